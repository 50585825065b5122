// Runs and records for the tests of reports, with everything filled in that a test does not care about.
import { sometimesOf } from '../../../reports/sometimes.ts';
import type { GoalResult, RunRecord, RunSummary, SuiteSummary } from '../../../scenarios/record.ts';
import type { RecordKind, RecordKinds } from '../../../system/domain/telemetry.ts';

export function goal(over: Partial<GoalResult> = {}): GoalResult {
  return {
    name: 'P1',
    claim: 'A claim.',
    held: true,
    unconverged: false,
    because: '',
    machine: null,
    micros: null,
    checks: 3,
    figures: {},
    ...over,
  };
}

export function run(over: Partial<RunSummary> = {}): RunSummary {
  return {
    scenario: 'node-failure',
    question: 'Does it?',
    requirements: ['R1.2'],
    tags: [],
    world: 'sim',
    seed: '0x1',
    verdict: 'held',
    goals: [goal()],
    trouble: null,
    digest: '0123456789abcdef',
    simulatedMicros: 30_000_000,
    wallMs: 500,
    steps: 10,
    records: 5,
    reproduce: 'npx wasmmatrix run node-failure --seed 0x1',
    lastRecords: [],
    ...over,
  };
}

export function suite(runs: readonly RunSummary[]): SuiteSummary {
  return {
    schema: 1,
    tool: 'wasmmatrix',
    commit: null,
    startedAt: '2026-11-24T00:00:00.000Z',
    wallMs: 1_000,
    verify: false,
    sometimes: sometimesOf(runs),
    requireSometimes: false,
    runs,
  };
}

export function record<K extends RecordKind>(micros: number, kind: K, fields: RecordKinds[K], source = 'controller'): RunRecord {
  return { source, incarnation: 1, sequence: 1, micros, kind, correlation: null, fields } as unknown as RunRecord;
}
