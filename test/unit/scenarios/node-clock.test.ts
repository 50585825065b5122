import { expect, test } from 'vitest';
import { featuresOf } from '../../../scenarios/fleet.ts';
import { loadScenario } from '../../../scenarios/load.ts';
import { fleetLibrary } from '../../../sim/campaign/library.main.ts';

const load = (clock: string) =>
  loadScenario(
    {
      file: 'one.scenario.yaml',
      text: `question: Does it hold?
requirements: [H1.6]
duration: 5s
fleet:
  controller: { zone: cloud }
  zones: [{ zone: cloud, location: [50, 8] }]
  nodes: [{ node: n-1, zone: cloud${clock} }, { node: n-2, zone: cloud }]
steps: [{ at: 1s, push: echo }]
goals: [{ happens: { record: controller.started, atLeast: 1 } }]
`,
    },
    fleetLibrary,
  );

test('a node may have a clock that is wrong for good, which only some worlds can give it', () => {
  const loaded = load(', clock: { offset: -40ms, drift: 50 }');
  if (!loaded.ok) throw new Error(loaded.error.message);
  const { fleet } = loaded.value;
  expect(fleet.nodes.map(({ clock }) => clock)).toEqual([{ offsetMicros: -40_000, driftPpm: 50 }, null]);
  expect(featuresOf(fleet)).toEqual(['clock']);
  const right = load('');
  expect(right.ok && featuresOf(right.value.fleet)).toEqual([]);
});

test('its offset is of whole milliseconds, its rate of whole parts per million', () => {
  for (const [clock, says] of [
    [', clock: { offset: 40us }', 'whole milliseconds'],
    [', clock: { drift: 0.5 }', 'drift'],
    [', clock: { offst: 1ms }', 'offst'],
  ] as const) {
    const loaded = load(clock);
    expect(loaded.ok ? 'it loads' : loaded.error.message).toContain(says);
  }
});
