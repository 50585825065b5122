// docs/reference/configuration.md says what the tables of settings say, row by row.
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { AGENT_SETTINGS, CONTROLLER_SETTINGS, flagOf, variableOf, type SettingsTable } from '../../../hardware/process/process.ts';

const PAGE = readFileSync(new URL('../../../docs/reference/configuration.md', import.meta.url), 'utf8');

function rowsUnder(heading: string): readonly (readonly string[])[] {
  const section = PAGE.split(/^## /m).find((part) => part.startsWith(heading)) ?? '';
  return section
    .split('\n')
    .filter((line) => line.startsWith('| `'))
    .map((line) =>
      line
        .split(/(?<!\\)\|/)
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
}

describe.each([
  ['Controller', CONTROLLER_SETTINGS],
  ['Agent', AGENT_SETTINGS],
] as [string, SettingsTable][])('the settings of the %s on their page', (heading, table) => {
  it('have a row each, with the same names, default and words', () => {
    expect(rowsUnder(heading).map(([name, flag, variable, , fallback, what]) => ({ name, flag, variable, fallback, what }))).toEqual(
      Object.entries(table).map(([name, setting]) => ({
        name: `\`${name}\``,
        flag: `\`${flagOf(name)}\``,
        variable: `\`${variableOf(name)}\``,
        fallback: setting.fallbackWords ?? (setting.fallback === null || setting.fallback === '' ? 'none' : `\`${setting.fallback}\``),
        what: setting.what,
      })),
    );
  });
});
