// What a scenario comes to, in words: of every file that ships, and of a small one in detail (H2.1).
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { explainClaims, explainScenario, timetableOf, type Section } from '../../../scenarios/explain.ts';
import { CATALOGUE, fleetsOnDisk, mustLoad, SCENARIOS, SMALL } from '../../support/scenarios/files.ts';

const EXAMPLES = new Map([['echo', { capabilities: ['log'], limits: { fuelMax: 7, memoryBytesMax: 65_536, outputBytesMax: 1_024 } }]]);
const explain = (text: string): readonly Section[] => explainScenario(mustLoad(text), parse(text), EXAMPLES);
const linesOf = (sections: readonly Section[], title: string): readonly string[] =>
  sections
    .filter((section) => section.title.startsWith(title))
    .flatMap(({ rows }) => rows.map(({ cells, filled }) => [cells.join(' | '), ...filled].join(' ~ ')));

describe('a small file', () => {
  const sections = explain(SMALL);

  it('has what it says apart from what follows', () => {
    expect(linesOf(sections, 'Time').slice(0, 2)).toEqual([
      'duration | 10s | workload and faults',
      'quiet | (12s) | no faults; everything must settle',
    ]);
    expect(linesOf(sections, 'Platform')).toContain('queue | 100 | events that the broker holds at most');
    expect(linesOf(sections, 'Platform')).toContain('lease | (2.5s) | time out of touch after which an agent stops movable work');
    expect(linesOf(sections, 'Timetable')[0]).toBe(
      '1s | push echo ~ example echo ~ capabilities log ~ fuel 7 ~ memory 64KiB ~ output 1KiB ~ by ops ~ signing trusted ~ accepted true',
    );
    expect(linesOf(sections, 'Timetable')[1]).toMatch(
      /^2s \| deploy echo, origin cloud\/a ~ module echo ~ version newest ~ replicas 1 ~ spread none/,
    );
    expect(linesOf(sections, 'Workload')).toEqual([
      'questions | about 60 events on questions.plain from cloud/b, start 4s, every 100ms ~ end 10s ~ shape steady ~ data {n} ~ attempts 100',
    ]);
  });

  it('says when a fault whose time is drawn ends', () => {
    expect(linesOf(sections, 'Timetable')).toContain('5s to 6s, drawn | fault crash a-1, for 2s: ends at 7s to 8s');
    // None outlives the phase of faults.
    const long = explain(SMALL.replace('crash: a-1, for: 2s', 'pause: a-1, for: 1m'));
    expect(linesOf(long, 'Timetable')).toContain('5s to 6s, drawn | fault pause a-1, for 60s: ends at 10s');
  });

  it('moves a value out of the defaults when the file says it, even when it is the default', () => {
    const said = explain(
      SMALL.replace('origin: cloud/a }', 'origin: cloud/a, replicas: 1 }').replace('push: echo }', 'push: echo, limits: { fuel: 9 } }'),
    );
    expect(linesOf(said, 'Timetable')[0]).toMatch(/^1s \| push echo, fuel 9 ~ /);
    expect(linesOf(said, 'Timetable')[1]).toMatch(/^2s \| deploy echo, origin cloud\/a, replicas 1 ~ /);
  });

  it('bounds its tables', () => {
    const many = explain(SMALL.replace('count: 2', 'count: 500'));
    const [fleet] = many.filter(({ title }) => title.startsWith('Fleet: 501 nodes'));
    expect(fleet?.rows).toHaveLength(61);
    expect(fleet?.rows.at(-1)?.cells).toEqual(['and 441 more; --json has all']);
  });
});

describe('every file that ships', () => {
  const files = ['catalogue', 'large', 'regressions', 'templates'].flatMap((folder) =>
    readdirSync(`${SCENARIOS}${folder}`).map((name) => `${SCENARIOS}${folder}/${name}`),
  );

  it.each(files)('%s is explained', (file) => {
    const text = readFileSync(file, 'utf8');
    const scenario = mustLoad(text, fleetsOnDisk);
    const words = explainScenario(scenario, parse(text), new Map()).flatMap(({ rows }) =>
      rows.flatMap(({ cells, filled }) => [...cells, ...filled]),
    );
    for (const word of words) expect(word).not.toMatch(/undefined|NaN|\[object|Infinity|null/);
    const { goals, invariants } = explainClaims(scenario);
    expect(goals).toHaveLength(scenario.goals.length);
    expect(invariants.map(({ name }) => name)).toEqual(['P1', 'P2', 'P3', 'P4', 'P5', 'P6', 'P7', 'P8', 'P11', 'R1.3', 'R9.3']);
    for (const { claim } of [...goals, ...invariants]) expect(claim).toMatch(/\.$/);
  });

  it.each(files)('%s has a timetable in order, from its first step to its end', (file) => {
    const scenario = mustLoad(readFileSync(file, 'utf8'), fleetsOnDisk);
    const table = timetableOf(scenario);
    const times = table.map(({ microsMin }) => microsMin);
    expect(times).toEqual(times.toSorted((a, b) => a - b));
    expect(table).toHaveLength(scenario.steps.length + 2);
    expect(table.at(-1)).toMatchObject({ kind: 'end', microsMin: scenario.durationMicros + scenario.quietMicros });
    for (const { microsMax, endMicrosMin, endMicrosMax } of table) {
      expect(microsMax).toBeLessThanOrEqual(scenario.durationMicros + scenario.quietMicros);
      expect(endMicrosMax ?? 0).toBeGreaterThanOrEqual(endMicrosMin ?? 0);
    }
  });

  it('of the catalogue is among them', () => {
    expect(files.filter((file) => file.startsWith(CATALOGUE)).length).toBeGreaterThan(10);
  });
});

describe('a vehicle', () => {
  it('has no link but its own: it reaches everything else over its cell', () => {
    const text = readFileSync(`${CATALOGUE}truck-drives-by.scenario.yaml`, 'utf8');
    const sections = explainScenario(mustLoad(text, fleetsOnDisk), parse(text), EXAMPLES);
    const links = linesOf(sections, 'Links').filter((line) => line.includes('fleet/truck-7'));
    expect(links).toEqual(['within fleet/truck-7 | 100us | none | ']);
  });
});
