import { describe, expect, test } from 'vitest';
import { LOG_LINES_MAX, runsToEmbed, TICKS_MAX, Timeline } from '../../../reports/timeline.ts';
import { record, run } from './runs.ts';

const S = 1_000_000;

function timeline(): Timeline {
  const machine = { zone: 'a', architecture: 'x86_64', latitude: 0, longitude: 0 };
  return new Timeline({
    scenario: 'x',
    seed: '0x1',
    world: 'sim',
    fleet: [
      { machine: 'controller', role: 'controller', ...machine },
      { machine: 'a-1', role: 'node', ...machine },
    ],
  });
}

const started = record(0, 'machine.started', { machine: 'a-1', role: 'node', zone: 'a', incarnation: 1 }, 'testbed');
const enrolled = record(S, 'node.enrolled', {
  node: 'a-1',
  incarnation: 1,
  architecture: 'x86_64',
  zone: 'a',
  cores: 4,
  memoryBytes: 1,
  profile: 'p',
});

const finished = (micros: number, outcome: string) =>
  record(
    micros,
    'invocation.finished',
    {
      node: 'a-1',
      instance: 'echo/0',
      epoch: 1,
      version: 1,
      trigger: 't',
      event: `e-${micros}`,
      attempt: 1,
      outcome,
      fuel: 1,
      memoryBytesPeak: 1,
      micros: 1,
      hostCalls: 0,
    },
    'a-1',
  );

describe('a lane', () => {
  test('has a band for each state, without gaps', () => {
    const line = timeline();
    for (const one of [
      started,
      enrolled,
      record(3 * S, 'machine.stopped', { machine: 'a-1', role: 'node', cause: 'crash' }, 'testbed'),
      record(6 * S, 'node.status', { node: 'a-1', incarnation: 1, from: 'suspect', to: 'unavailable', cause: 'silent' }),
      record(8 * S, 'machine.started', { machine: 'a-1', role: 'node', zone: 'a', incarnation: 2 }, 'testbed'),
      record(9 * S, 'run.phase', { phase: 'end' }, 'testbed'),
    ])
      line.add(one);
    // What the controller believes of a machine that is off does not hide that it is off.
    expect(line.finish().lanes[1]?.bands.map(({ from, to, state }) => [from / S, to / S, state])).toEqual([
      [0, 1, 'starting'],
      [1, 3, 'healthy'],
      [3, 8, 'off'],
      [8, 9, 'starting'],
    ]);
  });

  test('has a bar for each placement, which ends with its machine', () => {
    const line = timeline();
    const serving = (at: number, epoch: number) =>
      record(at, 'instance.serving', { node: 'a-1', instance: 'echo/0', epoch, version: 1 }, 'a-1');
    for (const one of [
      started,
      serving(S, 1),
      serving(2 * S, 2),
      record(5 * S, 'machine.stopped', { machine: 'a-1', role: 'node', cause: 'crash' }, 'testbed'),
    ])
      line.add(one);
    expect(line.finish().lanes[1]?.bars.map(({ from, to, epoch }) => [from / S, to / S, epoch])).toEqual([
      [1, 2, 1],
      [2, 5, 2],
    ]);
  });

  test('keeps faults that never ended to the end, and ignores what the teardown does', () => {
    const line = timeline();
    line.add(started);
    line.add(record(2 * S, 'fault.begun', { fault: 'f', kind: 'crash', target: 'a-1', detail: '' }, 'testbed'));
    line.add(record(4 * S, 'run.phase', { phase: 'end' }, 'testbed'));
    line.add(record(5 * S, 'machine.stopped', { machine: 'a-1', role: 'node', cause: 'stopped' }, 'testbed'));
    const view = line.finish();
    expect(view.faults).toEqual([{ from: 2 * S, to: 4 * S, kind: 'crash', target: 'a-1', detail: '', lanes: [1] }]);
    expect(view.lanes[1]?.bands.at(-1)?.state).toBe('starting');
  });
});

describe('faults', () => {
  test('concern machines by name, and by zone with all that is in it', () => {
    const at = { architecture: 'x86_64', latitude: 0, longitude: 0 };
    const line = new Timeline({
      scenario: 'x',
      seed: '0x1',
      world: 'sim',
      fleet: [
        { machine: 'controller', role: 'controller', zone: 'cloud/west', ...at },
        { machine: 'a-1', role: 'node', zone: 'edge/a4', ...at },
        { machine: 'a-10', role: 'node', zone: 'edge/a44', ...at },
        { machine: 'b-1', role: 'node', zone: 'cloud/west/b', ...at },
      ],
    });
    const begin = (target: string) => record(S, 'fault.begun', { fault: target, kind: 'partition', target, detail: '' }, 'testbed');
    for (const target of ['a-1', 'edge/a4 | cloud/west', 'edge', 'nowhere | a-10 b-1']) line.add(begin(target));
    expect(line.finish().faults.map(({ lanes }) => lanes)).toEqual([[1], [0, 1, 3], [1, 2], [2, 3]]);
  });

  test('that come again under the same name are two', () => {
    const line = timeline();
    const fault = { fault: 'f', kind: 'crash', target: 'a-1' };
    line.add(record(1 * S, 'fault.begun', { ...fault, detail: '' }, 'testbed'));
    line.add(record(2 * S, 'fault.ended', fault, 'testbed'));
    line.add(record(5 * S, 'fault.begun', { ...fault, detail: '' }, 'testbed'));
    line.add(record(6 * S, 'fault.ended', fault, 'testbed'));
    expect(line.finish().faults.map(({ from, to }) => [from / S, to / S])).toEqual([
      [1, 2],
      [5, 6],
    ]);
  });
});

describe('invocations of a lane', () => {
  test('are thinned out evenly when there are too many, and each stands for more', () => {
    const line = timeline();
    const total = TICKS_MAX * 3;
    for (let n = 0; n < total; n++) line.add(finished(n * 100, 'completed'));
    line.add(finished(total * 100, 'trapped'));
    const lane = line.finish().lanes[1];
    expect(lane?.completed.length).toBeLessThanOrEqual(TICKS_MAX);
    expect((lane?.completed.length ?? 0) * (lane?.each ?? 0)).toBeGreaterThan(total * 0.99);
    expect((lane?.completed.length ?? 0) * (lane?.each ?? 0)).toBeLessThanOrEqual(total);
    expect(lane?.failed).toEqual([total * 100]);
  });
});

describe('the log', () => {
  test('may be given fewer lines', () => {
    const line = new Timeline({ scenario: 'x', seed: '0x1', world: 'sim', fleet: [] }, 10);
    for (let n = 0; n < 100; n++) line.add(record(n, 'fence.raised', { instance: 'echo/0', epoch: n }));
    expect(line.finish()).toMatchObject({ logTotal: 100, log: { length: 10 } });
  });

  test('is bounded, keeps what is rare, thins out evenly what is frequent, and says how much there was', () => {
    const line = timeline();
    const events = 20_000;
    for (let n = 1; n <= events; n++) {
      line.add(
        record(n * 1_000, 'event.acknowledged', { consumer: 'c', event: `e-${n}`, sequence: n, attempt: 1, instance: null, epoch: null }),
      );
      if (n % 1_000 === 0) line.add(record(n * 1_000, 'fence.raised', { instance: 'echo/0', epoch: n }));
    }
    const { log, logTotal, kinds } = line.finish();
    expect(logTotal).toBe(events + 20);
    expect(log.length).toBeLessThanOrEqual(LOG_LINES_MAX);
    expect(log.filter(([, , kind]) => kinds[kind] === 'fence.raised')).toHaveLength(20);
    const kept = log.filter(([, , kind]) => kinds[kind] === 'event.acknowledged').map(([at]) => at);
    expect(kept.length).toBeGreaterThan(500);
    expect(Math.min(...kept)).toBeLessThan(1 * S);
    expect(Math.max(...kept)).toBeGreaterThan(19 * S);
    expect(log.map(([at]) => at)).toEqual(log.map(([at]) => at).toSorted((a, b) => a - b));
  });
});

describe('the runs of a page', () => {
  test('are those that failed, then the first of each scenario, within the bound', () => {
    const runs = [
      run(),
      run({ seed: '0x2' }),
      run({ seed: '0x3', verdict: 'violated' }),
      run({ scenario: 'b' }),
      run({ scenario: 'b', seed: '0x2' }),
    ];
    expect([...runsToEmbed(runs, 10)]).toEqual([2, 0, 3]);
    expect([...runsToEmbed(runs, 2)]).toEqual([2, 0]);
  });
});
