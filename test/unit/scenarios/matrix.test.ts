// A fleet made of matrices of round trips is one that loads, with the measured delays on its links.
import { expect, it } from 'vitest';
import { fleetOfMatrices } from '../../../scenarios/matrix.ts';
import { mustLoad } from '../../support/scenarios/files.ts';

const MORNING = '0\t20\t80\n22\t0\t5\n80\t5\t0\n';
const EVENING = '0\t30\t-1\n30\t0\t5\n90\t5\t0\n';
const SCENARIO = `question: Is it one?
requirements: [P1]
duration: 10s
fleet: measured
steps: [{ at: 1s, push: echo }]
goals: [{ happens: { record: node.status } }]
`;

it('has half of every measured round trip, both ways, of all times', () => {
  const fleet = fleetOfMatrices([MORNING, EVENING], { unitMicros: 1_000, sites: [2, 0] });
  if (!fleet.ok) throw new Error(fleet.error.message);
  const loaded = mustLoad(SCENARIO, (name) => ({ file: `${name}.yaml`, text: fleet.value })).fleet;
  expect(loaded.controller.zone).toBe('site/s2');
  expect(loaded.nodes.map(({ node, zone }) => `${node} in ${zone}`)).toEqual(['s2 in site/s2', 's0 in site/s0']);
  const between = loaded.links.find((link) => link.a !== link.b);
  expect(between?.latency).toEqual({ law: 'empirical', micros: [40_000, 40_000, 45_000] });
});

it.each([
  ['rows of other lengths', '0\t1\n1\t0\t3\n', [0], 'not square'],
  ['rows that are not there', MORNING, [3], 'no row 3'],
  ['sites between which nothing was measured', '0\t-1\n-1\t0\n', [0, 1], 'Nothing was measured'],
])('refuses %s', (_, text, sites, message) => {
  const fleet = fleetOfMatrices([text], { unitMicros: 1_000, sites });
  expect(fleet.ok ? '' : fleet.error.message).toContain(message);
});
