// The same seed gives the same digest whatever is around the run: process, threads, files, order, and streams that others draw
// from. The whole platform plays, in scenarios of the catalogue that leave much to chance.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { SuiteSummary } from '../../scenarios/record.ts';
import type { Scenario } from '../../scenarios/scenario.ts';
import { runCampaign } from '../../sim/campaign/campaign.ts';
import { findScenario, readScenarios } from '../../sim/campaign/library.main.ts';
import { prepare } from '../../sim/campaign/prepare.main.ts';
import type { ScenarioSettings } from '../../sim/campaign/scenario.main.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const PLAYER = new URL('../../sim/campaign/scenario.main.ts', import.meta.url);
const OTHER_STREAMS = new URL('./players/other-streams.main.ts', import.meta.url);
/** Links that corrupt and lose, and a node that dies. */
const NAMES = ['corrupt-messages', 'node-failure'];
const SEEDS = ['0x1', '0x2'];

type Digests = Readonly<Record<string, string | null>>;
type Around = {
  readonly workersMax: number;
  readonly records: boolean;
  readonly reversed?: true;
  readonly permute?: true;
  readonly streams?: readonly string[];
};

let folder = '';
let settings: ScenarioSettings;
let scenarios: readonly Scenario[] = [];
let told: Digests = {};

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'wasmmatrix-determinism-'));
  const prepared = await prepare(true);
  if (prepared === null) throw new Error('the engine or the examples cannot be built');
  settings = prepared;
  const files = NAMES.map(findScenario).flatMap((found) => (found.ok ? [found.value] : []));
  scenarios = readScenarios(files).scenarios;
  told = await digests({ workersMax: 1, records: false });
});
afterAll(() => rmSync(folder, { recursive: true }));

async function digests({ workersMax, records, reversed, permute, streams }: Around): Promise<Digests> {
  const jobs = scenarios.flatMap((scenario) =>
    SEEDS.map((seed) => ({
      scenario,
      seed,
      verify: false,
      permute: permute === true,
      recordFile: records ? join(folder, `${scenario.name}-${seed}.jsonl`) : null,
      reproduce: '',
    })),
  );
  const runs = await runCampaign({
    jobs: reversed === true ? jobs.toReversed() : jobs,
    player: streams === undefined ? PLAYER : OTHER_STREAMS,
    settings: { ...settings, named: streams ?? [] },
    workersMax,
  });
  for (const { verdict, trouble } of runs) expect({ verdict, trouble }).toEqual({ verdict: 'held', trouble: null });
  return Object.fromEntries(runs.map(({ scenario, seed, digest }) => [`${scenario} ${seed}`, digest]));
}

/** Two processes of the command line, as a user starts them. */
function inProcess(jobs: number): Digests {
  const out = join(folder, `jobs-${jobs}`);
  const seeds = SEEDS.flatMap((seed) => ['--seed', seed]);
  const args = ['cli.ts', 'run', ...NAMES, ...seeds, '--jobs', String(jobs), '--quiet', '--out', out];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: ROOT, encoding: 'utf8' });
  expect(status, stdout + stderr).toBe(0);
  const { runs } = JSON.parse(readFileSync(join(out, 'summary.json'), 'utf8')) as SuiteSummary;
  return Object.fromEntries(runs.map(({ scenario, seed, digest }) => [`${scenario} ${seed}`, digest]));
}

describe('the digest of a seed is the same', () => {
  test('in other processes, with one job and with two', () => {
    expect(inProcess(1)).toEqual(told);
    expect(inProcess(2)).toEqual(told);
  });

  test('with two threads, in another order, and with its records written to files', async () => {
    expect(await digests({ workersMax: 2, records: true, reversed: true })).toEqual(told);
    expect(readFileSync(join(folder, 'node-failure-0x1.jsonl'), 'utf8').split('\n').length).toBeGreaterThan(1_000);
  });

  test('before and after streams are added that nothing else draws from', async () => {
    const streams = ['added', 'driver/added', 'machine/controller/added', 'machine/a-1/added'];
    expect(await digests({ workersMax: 2, records: false, streams })).toEqual(told);
  });
});

describe('the digest of a seed is another', () => {
  test('for every scenario and seed', () => {
    expect(Object.values(told).every((digest) => /^[0-9a-f]{16}$/.test(digest ?? ''))).toBe(true);
    expect(new Set(Object.values(told)).size).toBe(NAMES.length * SEEDS.length);
  });

  test('when somebody else draws from a stream that the run has', async () => {
    // An agent draws the name of its boot from it.
    const other = await digests({ workersMax: 2, records: false, streams: ['machine/a-1/agent/boot'] });
    for (const [run, digest] of Object.entries(other)) expect(digest, run).not.toBe(told[run]);
  });

  test('when machines take turns at one instant in another order', async () => {
    const permuted = await digests({ workersMax: 2, records: false, permute: true });
    for (const [run, digest] of Object.entries(permuted)) expect(digest, run).not.toBe(told[run]);
  });
});
