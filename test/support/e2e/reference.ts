// What docs/reference/cli.md says of a verb, to be compared with what the command says of itself.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from './command.ts';

export const REFERENCE = join(ROOT, 'docs', 'reference', 'cli.md');
const FLAG = /(?<![\w-])--[a-z][a-z-]*/g;

/** Options in the table under the heading of a verb, sorted. */
export function documentedOptions(verb: string, page = readFileSync(REFERENCE, 'utf8')): readonly string[] {
  const section = page.split(/^## /m).find((part) => part.startsWith(`\`wasmmatrix ${verb}\``)) ?? '';
  const rows = section.split('\n').filter((line) => line.startsWith('| `-'));
  return rows.flatMap((row) => row.split('|')[1]?.match(FLAG) ?? []).sort();
}

/** Options that `--help` lists, sorted. */
export function helpedOptions(help: string): readonly string[] {
  return help
    .split('\n')
    .flatMap((line) => /^ {2}(?:-\w, )?(--[a-z][a-z-]*)/.exec(line)?.[1] ?? [])
    .sort();
}

export function documentedVerbs(page = readFileSync(REFERENCE, 'utf8')): readonly string[] {
  return [...page.matchAll(/^## `wasmmatrix ([a-z]+)`/gm)].map((match) => match[1] ?? '').sort();
}

export function helpedVerbs(help: string): readonly string[] {
  const [, commands = ''] = help.split('Commands:\n');
  return [...commands.matchAll(/^ {2}([a-z]+)/gm)]
    .map((match) => match[1] ?? '')
    .filter((verb) => verb !== 'help')
    .sort();
}
