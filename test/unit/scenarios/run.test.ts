// What the driver of a run does, in which order, and how it judges: on a world in which nothing happens but time.
import { describe, expect, it } from 'vitest';
import { playScenario, type PlayOptions, type PlayResult } from '../../../scenarios/run.ts';
import type { LinkSpec, Scenario, StepSpec } from '../../../scenarios/scenario.ts';
import type { Subject, SubjectFilter } from '../../../system/domain/identifiers.ts';
import { failed, ok, rejected, unknown } from '../../../system/domain/outcome.ts';
import { FakeTestbed, type FakeAnswers } from '../../support/scenarios/fake-testbed.ts';
import { MS, S, said } from '../../support/scenarios/records.ts';
import { at, pushOf, scenarioOf, specOf, triggerOf, workloadOf } from '../../support/scenarios/scenario.ts';

const crash = (micros: StepSpec['at']): StepSpec => ({
  at: micros,
  do: 'fault',
  fault: { kind: 'crash', machine: 'a-1', forMicros: 1 * S },
});
const FULL = rejected('WM_BUS_FULL', { message: 'It is full.', next: 'Later.' });

async function play(
  scenario: Scenario,
  answers: FakeAnswers = {},
  options: Partial<PlayOptions> = {},
  commandMicros = 0,
): Promise<{ readonly result: PlayResult; readonly world: FakeTestbed }> {
  const world = new FakeTestbed(answers);
  world.commandMicros = commandMicros;
  const result = await playScenario(world, scenario, { onRecord: () => {}, cancelled: () => false, stopWhenBroken: true, ...options });
  return { result, world };
}

describe('what the controller lost', () => {
  const GONE = rejected('WM_DEPLOYMENT_UNKNOWN', { message: 'It is not there.', next: 'Apply it.' });
  const felt = said(3 * S, 'fault.felt', { fault: 'fault-1', kind: 'wipe', target: 'controller' });
  const scale: StepSpec = { at: at(5 * S), do: 'scale', deployment: specOf().name, replicas: 5 };
  const answer = (refusal: typeof GONE) => (command: { readonly kind: string }) =>
    command.kind === 'deployment-scale' ? refusal : ok({ sequence: 1 } as never);

  it('may be told by a refusal, and by no other one, and not before', async () => {
    const scenario = scenarioOf({ steps: [scale] });
    const lost = await play(scenario, { execute: answer(GONE), says: [felt] });
    expect(lost.result.trouble).toBeNull();
    const whole = await play(scenario, { execute: answer(GONE) });
    expect(whole.result.trouble).toContain('The command deployment-scale was not carried out: WM_DEPLOYMENT_UNKNOWN');
    const other = await play(scenario, { execute: answer(FULL), says: [felt] });
    expect(other.result.trouble).toContain('WM_BUS_FULL');
  });

  it('has its keys trusted again by a step, which takes them from nobody at the start', async () => {
    const trust: StepSpec = { at: at(6 * S), do: 'trust', author: 'ops', forMicros: null };
    const trusted = async (steps: readonly StepSpec[]) =>
      (await play(scenarioOf({ steps }))).world.happened.flatMap((one) =>
        one.did === 'command' && one.command.kind === 'trust-add' ? [one.micros] : [],
      );
    expect(await trusted([pushOf({ at: at(1 * S) }), trust])).toEqual([0, 6 * S]);
    expect(await trusted([trust, pushOf({ at: at(7 * S) })])).toEqual([6 * S]);
  });
});

describe('the course of a run', () => {
  it('boots, prepares, works, heals, is quiet, looks once more and stops', async () => {
    const { world, result } = await play(
      scenarioOf({ steps: [crash(at(3 * S))], observe: ['answers.>' as SubjectFilter], observeState: ['counter', 'absent'] }),
    );
    expect(world.happened.map(({ did, micros }) => [did, micros])).toEqual([
      ['start', 0],
      ['command', 0],
      ['inject', 3 * S],
      ['heal', 10 * S],
      ['query', 15 * S],
      ['query', 15 * S],
      ['query', 15 * S],
      ['stop', 15 * S],
    ]);
    const phases = world.records.filter((record) => record.kind === 'run.phase').map((record) => [record.fields.phase, record.micros]);
    expect(phases).toEqual([
      ['start', 0],
      ['work', 0],
      ['quiet', 10 * S],
      ['end', 15 * S],
    ]);
    const seen = world.records.filter((record) => record.kind === 'state.observed').map((record) => record.fields);
    expect(seen).toEqual([
      { key: 'counter', value: 'counter' },
      { key: 'absent', value: null },
    ]);
    expect(result).toMatchObject({ simulatedMicros: 15 * S, records: world.records.length, trouble: null });
  });

  it('takes steps in the order of their times, and equal times in the order of the file', async () => {
    const steps: readonly StepSpec[] = [
      { at: at(5 * S), do: 'scale', deployment: specOf().name, replicas: 5 },
      { at: at(2 * S), do: 'deploy', spec: specOf() },
      { at: at(2 * S), do: 'trigger', spec: triggerOf() },
      { at: at(1 * S), do: 'drain', node: scenarioOf().fleet.nodes[0]!.node },
      { at: at(6 * S), do: 'undrain', node: scenarioOf().fleet.nodes[0]!.node },
      { at: { kind: 'between', microsMin: 3 * S, microsMax: 4 * S }, do: 'rollback', deployment: specOf().name, version: 1 },
    ];
    const { world } = await play(scenarioOf({ steps }));
    const done = world.happened.flatMap((happening) =>
      happening.did === 'command' ? [[happening.micros, happening.id, happening.command.kind]] : [],
    );
    expect(done).toEqual([
      [0, 'command-1', 'trust-add'],
      [1 * S, 'command-2', 'node-drain'],
      [2 * S, 'command-3', 'deployment-apply'],
      [2 * S, 'command-4', 'trigger-apply'],
      [3 * S, 'command-5', 'rollback'],
      [5 * S, 'command-6', 'deployment-scale'],
      [6 * S, 'command-7', 'node-undrain'],
    ]);
  });

  it('lets a fault keep its time while a command is under way, and makes commands wait for each other', async () => {
    const steps: readonly StepSpec[] = [
      { at: at(2 * S), do: 'deploy', spec: specOf() },
      crash(at(2 * S + 1 * MS)),
      { at: at(2 * S + 2 * MS), do: 'trigger', spec: triggerOf() },
    ];
    const { world } = await play(scenarioOf({ steps }), {}, {}, 500 * MS);
    expect(world.happened.filter(({ did }) => did === 'inject').map(({ micros }) => micros)).toEqual([2 * S + 1 * MS]);
    expect(world.commands('trigger-apply').map(({ micros }) => micros)).toEqual([2_500 * MS]);
  });

  it('heals when its time is over, and is quiet for its whole time once the last command is answered', async () => {
    const steps: readonly StepSpec[] = [{ at: at(9 * S), do: 'deploy', spec: specOf() }, crash(at(10 * S))];
    const { world, result } = await play(scenarioOf({ steps }), {}, {}, 5 * S);
    expect(world.happened.filter(({ did }) => did === 'inject' || did === 'heal').map(({ did, micros }) => [did, micros])).toEqual([
      ['inject', 10 * S],
      ['heal', 10 * S],
    ]);
    // The operator's first command trusts a key, before the work begins.
    const phases = world.records.filter((record) => record.kind === 'run.phase').map((record) => [record.fields.phase, record.micros]);
    expect(phases).toEqual([
      ['start', 0],
      ['work', 5 * S],
      ['quiet', 14 * S],
      ['end', 19 * S],
    ]);
    expect(result.simulatedMicros).toBe(19 * S);
  });

  it('is refused by a world that lacks a fault, by the name of the fault', async () => {
    const { result, world } = await play(scenarioOf({ steps: [crash(at(0))] }), { faultKinds: ['pause'] });
    expect(result).toMatchObject({ verdict: 'rejected', goals: [], records: 0 });
    expect(result.trouble).toContain(
      "WM_FAULT_UNSUPPORTED (rejected): the fake world cannot produce the fault 'crash' that by-hand asks for",
    );
    expect(world.happened).toEqual([]);
  });

  it('is refused by a world that lacks what its fleet asks for, by name', async () => {
    const { fleet } = scenarioOf();
    const zone = fleet.zones[0]!.zone;
    const narrow: LinkSpec = {
      a: zone,
      b: zone,
      latency: { law: 'constant', micros: 1 },
      loss: [0, 1],
      impairments: [{ kind: 'bandwidth', bytesPerS: 1, queueBytes: 1 }],
    };
    const { result, world } = await play(scenarioOf({ steps: [], fleet: { ...fleet, links: [narrow] } }), {
      fleetFeatures: ['corruption'],
    });
    expect(result).toMatchObject({ verdict: 'rejected', goals: [], records: 0 });
    expect(result.trouble).toContain(
      "WM_FAULT_UNSUPPORTED (rejected): the fake world cannot produce 'bandwidth', which the fleet of by-hand asks for",
    );
    expect(world.happened).toEqual([]);
  });

  it('ends early, stopped in order, when the user gives up', async () => {
    let asked = 0;
    const { result, world } = await play(scenarioOf({ steps: [] }), {}, { cancelled: () => ++asked > 6 });
    expect(result.verdict).toBe('cancelled');
    expect(result.simulatedMicros).toBeLessThan(10 * S);
    expect(world.happened.at(-1)?.did).toBe('stop');
  });

  it('tells why a fleet did not start', async () => {
    const { result } = await play(scenarioOf(), { start: failed('WM_UNREACHABLE', { message: 'Nobody is there.', next: 'Wait.' }) });
    expect(result).toMatchObject({
      verdict: 'violated',
      trouble: 'The fleet did not start: WM_UNREACHABLE (failed): Nobody is there. Wait.',
    });
  });
});

describe('the operator', () => {
  it('trusts its own key for what accepted pushes ask for, and nothing else', async () => {
    const steps = [
      pushOf({ capabilities: null }),
      pushOf({ capabilities: ['random', 'log'] }),
      pushOf({ capabilities: ['publish:>'], accepted: false }),
    ];
    const refuse: FakeAnswers['execute'] = (command, calls) =>
      command.kind === 'module-push' && calls === 3 ? FULL : ok({ kind: 'done', sequence: 1 });
    const { world } = await play(scenarioOf({ steps }), { execute: refuse });
    expect(world.commands('trust-add')[0]?.command).toMatchObject({ mayGrant: ['clock', 'log', 'random'] });
  });

  it('pushes other bytes each time, with the limits of the example where the step has none', async () => {
    const steps = [pushOf({ capabilities: null }), pushOf({ module: 'other' as never, limits: { fuelMax: 99 } })];
    const { world } = await play(scenarioOf({ steps }));
    const pushes = world.commands('module-push').map(({ command }) => (command.kind === 'module-push' ? command : null));
    expect(pushes.map((push) => [...(push?.bytes ?? [])])).toEqual([
      [4, 1],
      [4, 2],
    ]);
    expect(pushes.map((push) => push?.manifest)).toEqual([
      { name: 'echo', digest: 'sha256:4-1', capabilities: ['clock'], limits: { fuelMax: 10, memoryBytesMax: 20, outputBytesMax: 30 } },
      { name: 'other', digest: 'sha256:4-2', capabilities: [], limits: { fuelMax: 99, memoryBytesMax: 20, outputBytesMax: 30 } },
    ]);
    expect(pushes.map((push) => push?.signature?.key)).toEqual(['ed25519:ops', 'ed25519:ops']);
  });

  it('forges as the step says, and says so before', async () => {
    const signings = ['unsigned', 'untrusted', 'tampered'] as const;
    const steps = signings.map((signing) => pushOf({ signing, accepted: false }));
    const refuse: FakeAnswers['execute'] = (command) => (command.kind === 'module-push' ? FULL : ok({ kind: 'done', sequence: 1 }));
    const { world, result } = await play(scenarioOf({ steps }), { execute: refuse });
    const pushes = world.commands('module-push').map(({ command }) => (command.kind === 'module-push' ? command : null));
    expect(pushes.map((push) => push?.signature?.key ?? null)).toEqual([null, 'ed25519:stranger', 'ed25519:ops']);
    // One more unit of fuel than was signed.
    expect(pushes.map((push) => push?.manifest.limits.fuelMax)).toEqual([10, 10, 11]);
    expect(world.records.filter((record) => record.kind === 'forgery.made').map((record) => record.fields.detail)).toEqual([...signings]);
    expect(result.trouble).toBeNull();
  });

  it('ends the run when an answer is not the one that was due', async () => {
    const accepted = await play(scenarioOf({ steps: [pushOf({ signing: 'unsigned', accepted: false })] }));
    expect(accepted.result).toMatchObject({
      verdict: 'violated',
      trouble: 'The command module-push had to be refused, and was accepted: a check on the controller is missing.',
    });
    const refused = await play(scenarioOf(), {
      execute: (command) => (command.kind === 'deployment-apply' ? FULL : ok({ kind: 'done', sequence: 1 })),
    });
    expect(refused.result.trouble).toBe('The command deployment-apply was not carried out: WM_BUS_FULL (rejected): It is full. Later.');
    expect(refused.world.commands('trigger-apply')).toEqual([]);
    // Unknown is no refusal: it may have been accepted.
    const lost = await play(scenarioOf({ steps: [pushOf({ accepted: false })] }), {
      execute: (command) =>
        command.kind === 'module-push'
          ? unknown('WM_DEADLINE', { message: 'No answer.', next: 'Look.' })
          : ok({ kind: 'done', sequence: 1 }),
    });
    expect(lost.result.trouble).toContain('had to be refused, and was answered with WM_DEADLINE');
    const answers = lost.world.records.filter((record) => record.kind === 'operator.answered').map((record) => record.fields.outcome);
    expect(answers).toEqual(['done', 'unknown']);
  });
});

describe('publishers', () => {
  const publishing = (other: Parameters<typeof workloadOf>[0], answers: FakeAnswers = {}) =>
    play(scenarioOf({ steps: [], workload: [workloadOf(other)] }), answers);

  it('publish from start to end at their distance, and say what came of it', async () => {
    const { world } = await publishing({ startMicros: 1 * S, endMicros: 1_300 * MS });
    expect(world.published().map(({ micros, zone, event }) => [micros, zone, event.id, event.subject])).toEqual([
      [1_000 * MS, 'cloud/a', 'questions-1', 'questions.plain'],
      [1_100 * MS, 'cloud/a', 'questions-2', 'questions.plain'],
      [1_200 * MS, 'cloud/a', 'questions-3', 'questions.plain'],
    ]);
    const told = world.records.filter((record) => record.kind === 'workload.published').map((record) => record.fields);
    expect(told[0]).toEqual({ event: 'questions-1', subject: 'questions.plain', outcome: 'accepted', code: null, micros: 0 });
    expect(told).toHaveLength(3);
  });

  it('publish a burst at once each time', async () => {
    const { world } = await publishing({ shape: 'burst', burstEvents: 3, everyMicros: 500 * MS });
    expect(world.published().map(({ micros }) => micros)).toEqual([0, 0, 0, 500 * MS, 500 * MS, 500 * MS]);
    expect(new Set(world.published().map(({ event }) => event.id)).size).toBe(6);
  });

  it('publish at drawn distances of at least a hundredth of the mean', async () => {
    // The stream of the fake world says yes at once: the shortest distance there is.
    const { world } = await publishing({ shape: 'poisson', endMicros: 3 * MS });
    expect(world.published().map(({ micros }) => micros)).toEqual([0, 1 * MS, 2 * MS]);
  });

  it('follow a curve: as many events as lie under it, none where it is nothing', async () => {
    const points = [0, 0, 1].map((rate, i) => ({ micros: i * S, rate }));
    const { world } = await publishing({ endMicros: 2_900 * MS, everyMicros: 125 * MS, curve: { periodMicros: 3 * S, points } });
    // A triangle of 1 s between 1 s and 3 s: an eighth of it is over in its first half second.
    expect(world.published().map(({ micros }) => Math.round(micros / MS))).toEqual([1_500, 1_707, 1_866, 2_000, 2_134, 2_293, 2_500]);
  });

  it('publish a recording at its times, with its data, up to the end', async () => {
    const trace = [
      { micros: 0, data: 'first {n}' },
      { micros: 20 * MS, data: null },
      { micros: 20 * MS, data: null },
      { micros: 60 * MS, data: null },
    ];
    const { world } = await publishing({ startMicros: 1 * S, endMicros: 1_050 * MS, everyMicros: 0, trace });
    expect(world.published().map(({ micros, event }) => [micros, new TextDecoder().decode(event.data)])).toEqual([
      [1_000 * MS, 'first 1'],
      [1_020 * MS, '2'],
      [1_020 * MS, '3'],
    ]);
  });

  it('fill in the template, and leave other braces alone', async () => {
    const { world } = await publishing({ endMicros: 200 * MS, data: '{"n": {n}, "id": "{id}", "a": -{random:3:9}, {x} {random:a:b}}' });
    const data = world.published().map(({ event }) => new TextDecoder().decode(event.data));
    expect(data).toEqual([
      '{"n": 1, "id": "questions-1", "a": -3, {x} {random:a:b}}',
      '{"n": 2, "id": "questions-2", "a": -3, {x} {random:a:b}}',
    ]);
  });

  it('publish again under the same name while it is refused or unknown, so often and no more', async () => {
    const { world } = await publishing({ endMicros: 100 * MS, attemptsMax: 3 }, { publish: () => FULL });
    expect(world.published('questions-1').map(({ micros }) => micros)).toEqual([0, 200 * MS, 400 * MS]);
    const told = world.records.filter((record) => record.kind === 'workload.published').map((record) => record.fields);
    expect(told).toEqual([{ event: 'questions-1', subject: 'questions.plain', outcome: 'refused', code: 'WM_BUS_FULL', micros: 400 * MS }]);
  });

  it('stop as soon as it is accepted', async () => {
    const { world } = await publishing(
      { endMicros: 100 * MS, attemptsMax: 9 },
      { publish: (_, calls) => (calls < 3 ? FULL : ok({ sequence: 1, duplicate: false })) },
    );
    expect(world.published()).toHaveLength(3);
    expect(
      world.records.filter((record) => record.kind === 'workload.published').map((record) => [record.fields.outcome, record.fields.micros]),
    ).toEqual([['accepted', 400 * MS]]);
  });

  it('tell unknown from refused', async () => {
    const { world } = await publishing(
      { endMicros: 100 * MS, attemptsMax: 1 },
      { publish: () => unknown('WM_DEADLINE', { message: 'No answer.', next: 'Look.' }) },
    );
    expect(world.records.filter((record) => record.kind === 'workload.published').map((record) => record.fields.outcome)).toEqual([
      'unknown',
    ]);
  });

  it('give up when the phase of work is over', async () => {
    const { world } = await publishing({ startMicros: 9_900 * MS, endMicros: 10 * S, attemptsMax: 1_000 }, { publish: () => FULL });
    expect(world.published()).toHaveLength(2);
    expect(world.happened.find(({ did }) => did === 'heal')?.micros).toBeLessThanOrEqual(10_200 * MS);
  });
});

describe('the verdict', () => {
  const claims = (parameters: Record<string, string | number>): Scenario =>
    scenarioOf({ steps: [], goals: [{ goal: 'happens', parameters: { record: 'node.status', ...parameters } }] });
  const becomes = said(4 * S, 'node.status', { node: 'a-1', incarnation: 1, from: 'healthy', to: 'suspect', cause: 'silent' });

  it('is held when every goal is', async () => {
    const { result } = await play(claims({ atLeast: 1 }), { says: [becomes] });
    expect(result).toMatchObject({ verdict: 'held', lastRecords: [] });
    expect(result.goals.map((goal) => goal.held)).not.toContain(false);
  });

  it('is unconverged when time ran out', async () => {
    const { result } = await play(claims({ atLeast: 2 }), { says: [becomes] });
    expect(result.verdict).toBe('unconverged');
    expect(result.goals.find((goal) => !goal.held)).toMatchObject({ name: 'happens', unconverged: true });
  });

  it('is violated at the first breach, where the run ends; its last records are of the machine concerned', async () => {
    const { result, world } = await play(claims({ atMost: 0 }), { says: [becomes] });
    expect(result.verdict).toBe('violated');
    expect(result.simulatedMicros).toBeLessThan(6 * S);
    expect(result.lastRecords).toEqual([becomes]);
    expect(world.happened.map(({ did }) => did)).not.toContain('query');
  });

  it('is the same when it is played to its end', async () => {
    const { result } = await play(claims({ atMost: 0 }), { says: [becomes] }, { stopWhenBroken: false });
    expect(result).toMatchObject({ verdict: 'violated', simulatedMicros: 15 * S, lastRecords: [becomes] });
  });

  it('does not hold against other goals that they were given no time', async () => {
    const both = scenarioOf({
      steps: [],
      goals: [...claims({ atMost: 0 }).goals, { goal: 'running', parameters: { deployment: 'echo', atLeast: 3 } }],
    });
    const { result } = await play(both, { says: [becomes] });
    expect(result.goals.filter((goal) => !goal.held).map((goal) => goal.name)).toEqual(['happens']);
  });

  it('counts what a recovering controller tells again once', async () => {
    const again = { ...becomes, micros: 5 * S, correlation: 'repeated/3' };
    expect((await play(claims({ atMost: 1 }), { says: [becomes, again] })).result.verdict).toBe('held');
  });
});

it('results are recorded with the event and the trigger that they come from', async () => {
  const world = new FakeTestbed();
  const scenario = scenarioOf({ steps: [], observe: ['answers.>' as SubjectFilter] });
  const playing = playScenario(world, scenario, { onRecord: () => {}, cancelled: () => false, stopWhenBroken: true });
  await world.clock.sleep(2 * S);
  world.deliver({
    id: 'r1' as never,
    subject: 'answers.echo' as Subject,
    timeMs: 0,
    correlation: 'c' as never,
    headers: { 'wm-source': 'questions-1', 'wm-trigger': 'echo' },
    data: new TextEncoder().encode('four'),
  });
  await playing;
  expect(world.records.find((record) => record.kind === 'workload.result')?.fields).toEqual({
    event: 'r1',
    subject: 'answers.echo',
    source: 'questions-1',
    trigger: 'echo',
    data: 'four',
  });
});
