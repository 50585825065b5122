// The catalogue as a whole: each scenario in one suite, and its page equal to its files.
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { nameOf } from '../../../scenarios/load.ts';
import { cataloguePage, SUITES, suitesOf, type CatalogueEntry } from '../../support/scenarios/catalogue-page.ts';
import { CATALOGUE, fleetsOnDisk, loadText, mustLoad } from '../../support/scenarios/files.ts';

function entryOf(file: string): CatalogueEntry {
  const text = readFileSync(`${CATALOGUE}${file}`, 'utf8');
  const loaded = loadText(text, fleetsOnDisk, file);
  if (!loaded.ok) throw new Error(loaded.error.message);
  return { scenario: loaded.value, text };
}

const entries = readdirSync(CATALOGUE).sort().map(entryOf);
const ENTRY = `requirements: [P1]
duration: 10s
fleet: three-zones
steps:
  - { at: 1s, push: echo }
  - { at: 2s, crash: a-1, for: 1s }
  - { between: [4s, 5s], crash: a-1, for: 1s }
  - { at: 6s, partition: [a-1, b-1], from: [controller], for: 1s }
goals: [{ happens: { record: node.status } }]
`;

describe('the catalogue', () => {
  it.each(entries.map(({ scenario }) => [scenario.name, scenario] as const))('%s belongs to exactly one suite', (_, scenario) => {
    expect(suitesOf(scenario), `give it one of the tags ${Object.keys(SUITES).join(', ')}`).toHaveLength(1);
  });

  it('is what its page says (make it anew with `npx vitest run --project unit catalogue -u`)', async () => {
    await expect(cataloguePage(entries)).toMatchFileSnapshot('../../../docs/reference/catalogue.md');
  });
});

it('the page of a catalogue has the question, the requirements and what breaks, by suite', () => {
  const text = `question: Yes | no?\ntags: [storm, other]\n${ENTRY}`;
  const scenario = { ...mustLoad(text, fleetsOnDisk), name: nameOf('some.scenario.yaml') };
  const page = cataloguePage([{ scenario, text }]);
  expect(page.slice(page.indexOf('## Storm')).split('\n')[6]).toBe(
    '| [some](../../scenarios/catalogue/some.scenario.yaml) | Yes \\| no? | P1 | crash of a-1, 2 times; partition of a-1 and b-1 from controller |',
  );
  expect(page.split('No scenario yet.')).toHaveLength(Object.keys(SUITES).length);
});
