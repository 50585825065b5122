// The whole platform in the simulated world, in guarded worker threads: a signed module is deployed by the real controller to
// real agents and answers its events, whatever breaks meanwhile.
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ensureEngine } from '../../hardware/wasm/build/build.ts';
import { buildExamples } from '../../scenarios/examples/build.ts';
import type { RecordOf, RunRecord, RunSummary } from '../../scenarios/record.ts';
import type { FaultSpec, Scenario } from '../../scenarios/scenario.ts';
import { runCampaign } from '../../sim/campaign/campaign.ts';
import { canonicalSeed } from '../../sim/kernel/kernel.ts';
import type { RecordKind } from '../../system/domain/telemetry.ts';
import { skeletonScenario } from './skeleton-scenario.ts';

const PLAYER = new URL('../../sim/campaign/scenario.main.ts', import.meta.url);
const SECOND = 1_000_000;

let settings: unknown;
let directory = '';
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'wasmmatrix-skeleton-'));
  const examples = [...(await buildExamples())].map(([name, { wasmPath, manifest }]) => ({
    name,
    file: wasmPath,
    capabilities: manifest.capabilities,
    limits: manifest.limits,
  }));
  settings = { engine: await ensureEngine(), examples, version: '0.0.0-test', stopWhenBroken: false };
});
afterAll(() => rm(directory, { recursive: true }));

type Played = { readonly summary: RunSummary; readonly records: readonly RunRecord[] };

async function play(scenario: Scenario, seeds: readonly number[]): Promise<readonly Played[]> {
  const jobs = seeds.map((seed) => ({
    scenario,
    seed: canonicalSeed(String(seed))!,
    verify: true,
    recordFile: join(directory, `${seed}.jsonl`),
    reproduce: '',
  }));
  const summaries = await runCampaign({ jobs, player: PLAYER, settings });
  return summaries.map((summary, i) => ({
    summary,
    records: readFileSync(jobs[i]!.recordFile, 'utf8')
      .split('\n')
      .filter((line) => line.startsWith('{"source"') || line.includes('"kind":'))
      .map((line) => JSON.parse(line) as RunRecord),
  }));
}

function of<K extends RecordKind>(records: readonly RunRecord[], kind: K): readonly RecordOf<K>[] {
  return records.filter((record) => record.kind === kind) as unknown as readonly RecordOf<K>[];
}

function expectHeld(played: readonly Played[]): void {
  for (const { summary } of played) {
    expect([summary.seed, summary.verdict, summary.trouble, summary.goals.filter(({ held }) => !held)]).toEqual([
      summary.seed,
      'held',
      null,
      [],
    ]);
  }
}

/** Every accepted event was answered, and nothing was answered that was not asked. */
function expectAnswered({ records }: Played): void {
  const accepted = of(records, 'workload.published').filter(({ fields }) => fields.outcome === 'accepted');
  const published = accepted.map(({ fields }) => fields.event).sort();
  const finished = of(records, 'invocation.finished').filter(({ fields }) => fields.outcome === 'completed');
  const answered = [...new Set(finished.map(({ fields }) => fields.event))].sort();
  expect(published.length).toBeGreaterThan(10);
  expect(answered).toEqual(published);
  expect(of(records, 'workload.result').length).toBeGreaterThanOrEqual(published.length);
}

describe('the platform in the simulated world', () => {
  it('deploys a pushed module near its demand and answers events with what the guest says', async () => {
    const played = await play(skeletonScenario({ workSeconds: 6 }), [1, 2]);
    expectHeld(played);
    for (const run of played) {
      expectAnswered(run);
      const places = of(run.records, 'placement.decided').map(({ fields }) => fields.node);
      expect([...places].sort()).toEqual(['truck-1', 'truck-2']);
      expect(of(run.records, 'workload.result')[0]!.fields.data).toMatch(/^hello \d+$/);
    }
    expect(played[0]!.summary.digest).not.toBe(played[1]!.summary.digest);
  });

  it('runs example guests that use capabilities', async () => {
    const played = await play(skeletonScenario({ example: 'counter', data: '{n}', workSeconds: 6 }), [3]);
    expectHeld(played);
    expect(of(played[0]!.records, 'state.written').length).toBeGreaterThan(10);
  });

  const faults: readonly (readonly [string, FaultSpec])[] = [
    ['a node loses its power', { kind: 'crash', machine: 'truck-1', forMicros: 6 * SECOND }],
    ['the controller loses its power', { kind: 'crash', machine: 'controller', forMicros: 2 * SECOND }],
    ['a node stands still', { kind: 'pause', machine: 'truck-2', forMicros: 5 * SECOND }],
    ['the controller stands still', { kind: 'pause', machine: 'controller', forMicros: 4 * SECOND }],
    ['the vehicles are cut off', { kind: 'partition', a: ['cloud'], b: ['fleet'], forMicros: 8 * SECOND }],
    ['the link grows slow', { kind: 'latency', a: 'cloud', b: 'fleet', factor: [10, 1], forMicros: 8 * SECOND }],
    ['the link loses packets', { kind: 'loss', a: 'cloud', b: 'fleet', loss: [3, 10], forMicros: 8 * SECOND }],
  ];
  it.each(faults)('answers every accepted event although %s', async (_what, fault) => {
    const played = await play(
      skeletonScenario({ workSeconds: 16, quietSeconds: 20, faults: [{ atMicros: 6 * SECOND, fault }] }),
      [4, 5, 6],
    );
    expectHeld(played);
    for (const run of played) {
      expectAnswered(run);
      expect(of(run.records, 'fault.begun')).toHaveLength(1);
      expect(of(run.records, 'fault.ended')).toHaveLength(1);
    }
  });
});
