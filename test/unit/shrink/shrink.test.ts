import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { loadScenario } from '../../../scenarios/load.ts';
import { createGoals } from '../../../scenarios/goals/goals.ts';
import type { RunSummary } from '../../../scenarios/record.ts';
import type { Scenario } from '../../../scenarios/scenario.ts';
import { STEPS_STREAM, timesOf } from '../../../scenarios/times.ts';
import { drawRun } from '../../../sim/campaign/draw/draw.ts';
import { fleetLibrary } from '../../../sim/campaign/library.main.ts';
import { pinned, readDocument, writeDocument, type Document } from '../../../sim/campaign/shrink/document.ts';
import { failsAlike, failureOf } from '../../../sim/campaign/shrink/failure.ts';
import { isFault, passesFor } from '../../../sim/campaign/shrink/passes.ts';
import { shrink } from '../../../sim/campaign/shrink/shrink.ts';
import { createStream } from '../../../sim/kernel/stream.ts';
import { SIM_FAULT_KINDS } from '../../../sim/faults/faults.ts';
import { judge, S, said } from '../../support/scenarios/records.ts';
import { withGoal } from '../../support/scenarios/scenario.ts';

function load(text: string): Scenario | null {
  const loaded = loadScenario({ file: 'one.scenario.yaml', text }, fleetLibrary);
  return loaded.ok ? loaded.value : null;
}

/** A platform that has exactly one bug, which a scenario shows or does not. */
async function shrunk(
  text: string,
  shows: (scenario: Scenario) => boolean,
  runsMax = 2_000,
): Promise<{ readonly document: Document; readonly scenario: Scenario; readonly runs: number }> {
  let runs = 0;
  const document = await shrink(readDocument(text, fleetLibrary), {
    passes: passesFor({ keepsQuiet: false }),
    endMs: 3_600_000,
    isOver: () => runs >= runsMax,
    firstFailing: async (texts) => {
      for (const [index, candidate] of texts.entries()) {
        const scenario = load(candidate);
        if (scenario === null) continue;
        runs += 1;
        if (shows(scenario)) return { index, endMs: 3_600_000 };
      }
      return null;
    },
  });
  const scenario = load(writeDocument(document));
  if (scenario === null) throw new Error(`no scenario any more:\n${writeDocument(document)}`);
  return { document, scenario, runs };
}

const crashes = (scenario: Scenario, machine: string): boolean =>
  scenario.steps.some((step) => step.do === 'fault' && step.fault.kind === 'crash' && step.fault.machine === machine);

const LARGE = `question: Does it hold?
requirements: [R1.2]
duration: 30s
fleet: three-zones
steps:
  - { at: 2s, push: echo }
  - { at: 3s, deploy: echo, origin: cloud/eu/b, replicas: 2, spread: node, concurrency: 2 }
  - { at: 4s, trigger: echo, on: questions.plain, ackWait: 3s }
  - { at: 2s, push: burn }
  - { at: 3s, deploy: burn, origin: cloud/eu/a }
  - { at: 4s, trigger: burn, on: jobs.burn }
  - { at: 6s, scale: echo, replicas: 3 }
  - { at: 7s, crash: a-1, for: 1s }
  - { at: 8s, crash: b-2, for: 1s }
  - { at: 9s, partition: [a-1, b-2], from: [controller], for: 1s }
  - { at: 10s, latency: [cloud/eu/a, cloud/eu/c], factor: 2, for: 1s }
  - { at: 12s, drain: c-1 }
  - { at: 14s, undrain: c-1 }
workload:
  - { name: questions, subject: questions.plain, from: cloud/eu/a, start: 5s, every: 10ms, shape: poisson }
  - { name: jobs, subject: jobs.burn, from: cloud/eu/c, start: 5s, every: 100ms }
goals:
  - running: { deployment: echo, atLeast: 3 }
  - running: { deployment: burn, atLeast: 1 }
`;

describe('shrink', () => {
  test('leaves the one fault and the one node that matter, and what a scenario cannot be without', async () => {
    const { scenario, document } = await shrunk(LARGE, (candidate) => crashes(candidate, 'b-2'));
    expect(scenario.steps).toHaveLength(1);
    expect(crashes(scenario, 'b-2')).toBe(true);
    expect(scenario.fleet.nodes.map(({ node }) => node)).toEqual(['b-2']);
    expect(scenario.fleet.zones).toHaveLength(1);
    expect(scenario).toMatchObject({ workload: [], quietMicros: 3_000_000 });
    expect(scenario.durationMicros).toBeLessThan(10_000_000);
    expect(document.goals).toHaveLength(1);
  });

  test('keeps two faults that fail only together, and the commands that matter with them', async () => {
    const { scenario, document } = await shrunk(
      LARGE,
      (candidate) =>
        crashes(candidate, 'a-1') &&
        crashes(candidate, 'b-2') &&
        candidate.steps.some((step) => step.do === 'scale' && step.replicas === 3),
    );
    expect(document.steps.filter(isFault)).toHaveLength(2);
    expect(scenario.steps.map((step) => step.do).toSorted()).toEqual(['deploy', 'fault', 'fault', 'push', 'scale']);
    expect(scenario.steps.find((step) => step.do === 'deploy')).toMatchObject({ spec: { name: 'echo', spread: 0, concurrency: 4 } });
  });

  test('makes a partition smaller without the machines that do not matter', async () => {
    const { scenario } = await shrunk(LARGE, ({ steps }) =>
      steps.some((step) => step.do === 'fault' && step.fault.kind === 'partition' && step.fault.a.includes('b-2')),
    );
    expect(scenario.steps).toMatchObject([{ do: 'fault', fault: { kind: 'partition', a: ['b-2'], b: ['controller'] } }]);
  });

  test('takes events away by halves', async () => {
    const events = ({ workload }: Scenario): number =>
      workload.reduce((n, { startMicros, endMicros, everyMicros }) => n + (endMicros - startMicros) / everyMicros, 0);
    const { scenario } = await shrunk(LARGE, (candidate) => events(candidate) >= 20);
    expect(events(scenario)).toBeGreaterThanOrEqual(20);
    expect(events(scenario)).toBeLessThan(45);
    expect(scenario.workload).toHaveLength(1);
  });

  test('takes away events that come faster than one in a millisecond too', async () => {
    const fast = LARGE.replace('every: 10ms', 'every: 10us');
    const tried: number[] = [];
    await shrunk(fast, ({ workload }) => {
      tried.push(...workload.filter(({ name }) => name === 'questions').map(({ everyMicros }) => everyMicros));
      return workload.some(({ name, everyMicros }) => name === 'questions' && everyMicros < 100);
    });
    expect([10, 20, 40, 80, 160].filter((micros) => !tried.includes(micros))).toEqual([]);
  });

  test('moves cells and needs out of a zone that goes', async () => {
    const { scenario } = await shrunk(
      LARGE.replace('fleet: three-zones', 'fleet: road-with-cells')
        .replaceAll(/cloud\/eu\/[abc]/g, 'edge/unit-2')
        .replace(/^ .*(crash|partition|latency|drain).*\n/gm, '')
        .replace('origin: edge/unit-2, replicas: 2', 'origin: edge/unit-2, needs: { within: edge/unit-2 }, replicas: 2'),
      ({ fleet, steps }) =>
        fleet.cells.length === 3 && steps.some((step) => step.do === 'deploy' && step.spec.requirements.within !== null),
    );
    expect(scenario.fleet.zones.length).toBeLessThan(3);
  });

  test('keeps the times that were drawn when the steps before them go', () => {
    const text = LARGE.replace('at: 7s, crash', 'between: [7s, 9s], crash').replace('at: 8s, crash', 'between: [8s, 9s], crash');
    const steps = load(text)?.steps ?? [];
    const document = readDocument(text, fleetLibrary);
    const still = pinned(document, timesOf(steps, createStream('0x7', STEPS_STREAM)));
    const timesIn = (loaded: Scenario | null) =>
      (loaded?.steps ?? []).flatMap((step) => (step.do === 'fault' && step.fault.kind === 'crash' ? [step.at] : []));
    const [first, second] = timesIn(load(writeDocument(still)));
    for (const time of [first, second]) expect(time?.kind).toBe('at');
    const without = { ...still, steps: still.steps.filter(({ fields }) => fields['crash'] !== 'a-1') };
    expect(timesIn(load(writeDocument(without)))).toEqual([second]);
    // Everything else is as it was.
    expect(load(writeDocument(still))?.steps.map((step) => ({ ...step, at: null }))).toEqual(steps.map((step) => ({ ...step, at: null })));
  });

  test('turns drawn runs of any size into few things, in a bounded number of runs', async () => {
    for (const seed of ['0x2', '0x5']) {
      const { text } = drawRun(seed, SIM_FAULT_KINDS, null);
      const first = load(text)?.steps.find((step) => step.do === 'fault')?.fault.kind;
      if (first === undefined) continue;
      const { scenario, runs } = await shrunk(text, ({ steps }) => steps.some((step) => step.do === 'fault' && step.fault.kind === first));
      expect(scenario.steps).toHaveLength(1);
      expect(scenario.fleet.nodes).toHaveLength(1);
      expect(runs).toBeLessThan(200);
    }
  });

  test('stops at its bound with the smallest that it has, which still fails', async () => {
    const { scenario, runs } = await shrunk(LARGE, (candidate) => crashes(candidate, 'b-2'), 3);
    expect(runs).toBeLessThanOrEqual(3 + 8);
    expect(crashes(scenario, 'b-2')).toBe(true);
  });

  test('writes what it was given when nothing can go', async () => {
    const { document } = await shrunk(LARGE, () => false);
    expect(load(writeDocument(document))).toEqual({ ...load(LARGE), fleet: load(LARGE)?.fleet });
  });
});

describe('failing alike', () => {
  const run = (goal: string, because: string, verdict: RunSummary['verdict'] = 'unconverged', trouble: string | null = null): RunSummary =>
    ({
      verdict,
      trouble,
      goals: [{ name: goal, held: because === '', unconverged: verdict === 'unconverged', because }],
    }) as unknown as RunSummary;

  test('is the same goal for the same reason, whatever the numbers', () => {
    const failure = failureOf(run('P11', 'Event echo-1-7 was accepted and lost.'));
    if (failure === null) throw new Error('it fails');
    expect(failsAlike(failure, run('P11', 'Event echo-2-33 was accepted and lost.'))).toBe(true);
    expect(failsAlike(failure, run('P11', 'A guest of echo/1 on n-3 still exists.'))).toBe(false);
    expect(failsAlike(failure, run('P8', 'Event echo-2-33 was accepted and lost.'))).toBe(false);
    expect(failsAlike(failure, run('P11', 'Event echo-2-33 was accepted and lost.', 'violated'))).toBe(false);
    expect(failsAlike(failure, run('P11', '', 'held'))).toBe(false);
  });

  test('is not a count that only has not come to its end, where the first was one of doubled effects', () => {
    const ended = (acknowledged: readonly string[], value: string): RunSummary => {
      const [goal] = createGoals(withGoal('counted-once', { key: 'k', subject: 'questions.*' }));
      if (goal === undefined) throw new Error('there is the goal');
      const events = ['e1', 'e2'].map((event) =>
        said(1 * S, 'event.accepted', { event, subject: 'questions.a', sequence: 1, bytes: 1, instance: null, epoch: null }),
      );
      const settled = acknowledged.map((event) =>
        said(2 * S, 'event.acknowledged', { event, consumer: 'trigger-echo', sequence: 1, attempt: 1, instance: null, epoch: null }),
      );
      const told = judge(goal, [...events, ...settled, said(3 * S, 'state.observed', { key: 'k', value })]);
      return { verdict: told.unconverged ? 'unconverged' : 'violated', trouble: null, goals: [told] } as unknown as RunSummary;
    };
    const failure = failureOf(ended(['e1', 'e2'], '3'));
    if (failure === null) throw new Error('it fails');
    expect(failsAlike(failure, ended(['e1'], '1'))).toBe(false);
    expect(failsAlike(failure, ended(['e1', 'e2'], '1'))).toBe(false);
    expect(failsAlike(failure, ended([], '7'))).toBe(true);
  });

  test('is the same trouble, where no goal failed', () => {
    const failure = failureOf(run('P11', '', 'bug', 'Bug: n-2 has 3 of them\n at x.ts:7\n'));
    if (failure === null) throw new Error('it fails');
    expect(failsAlike(failure, run('P11', '', 'bug', 'Bug: n-1 has 12 of them\n at y.ts:9\n'))).toBe(true);
    expect(failsAlike(failure, run('P11', '', 'bug', 'Bug: something else'))).toBe(false);
  });

  test('is nothing for a run that held or was not played', () => {
    expect(failureOf(run('P11', '', 'held'))).toBeNull();
    expect(failureOf(run('P11', '', 'cancelled', 'Stopped by the user.'))).toBeNull();
  });
});

test('a failure that a drive shows keeps the vehicle and its cells, and nothing else', async () => {
  const seed = Array.from({ length: 200 }, (_, i) => `0x${(i + 1).toString(16)}`).find((one) =>
    drawRun(one, SIM_FAULT_KINDS, null).text.includes('vehicles:'),
  );
  const { text } = drawRun(seed ?? '', SIM_FAULT_KINDS, null);
  const before = load(text);
  const { scenario } = await shrunk(text, ({ fleet }) => fleet.vehicles.length > 0);
  expect(before?.fleet.vehicles).toHaveLength(1);
  expect(scenario.fleet.vehicles[0]?.path).toEqual(before?.fleet.vehicles[0]?.path);
  expect(scenario.fleet.cells).toHaveLength(1);
  expect(scenario.steps.some(({ do: what }) => what === 'fault')).toBe(false);
});

test('work that has to come near keeps the leave to move, without which no platform could bring it there', async () => {
  const text = readFileSync(join(import.meta.dirname, '../../../scenarios/catalogue/truck-drives-by.scenario.yaml'), 'utf8');
  const near = ({ goals, steps }: Scenario): boolean =>
    goals.some(({ goal }) => goal === 'near') && steps.some(({ do: what }) => what === 'deploy');
  const { scenario } = await shrunk(text, near);
  const left = scenario.steps.flatMap((step) => (step.do === 'deploy' ? [step.spec] : []));
  expect(left).toMatchObject([{ name: 'echo', whenNearer: 'move', concurrency: 4 }]);
});
