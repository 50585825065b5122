// Who is what in a run with hardware in the loop.
import { expect, it } from 'vitest';
import { chooseRoles } from '../../../hardware/loop/loop.ts';
import { chooseMachines } from '../../../hardware/qemu/choose.ts';
import { findScenario, readScenario } from '../../../sim/campaign/library.main.ts';

it('makes the first nodes that are no machines processes, and simulates the rest', () => {
  const file = findScenario('hundred-nodes');
  const loaded = readScenario(file.ok ? file.value : '');
  const scenario = loaded.ok ? loaded.value : null;
  const machines = chooseMachines(scenario!, 2);
  expect([...machines]).toEqual([
    ['gate-arm', 'aarch64'],
    ['gate-riscv', 'riscv64'],
  ]);
  const { processes, simulated } = chooseRoles(scenario!.fleet, new Set(machines.keys()), 2);
  expect([...processes]).toEqual(['depot-1', 'depot-2']);
  expect(simulated.size).toBe(100);
  expect([...simulated].some((node) => machines.has(node) || processes.has(node))).toBe(false);
  expect(chooseRoles(scenario!.fleet, new Set(), 0).simulated.size).toBe(104);
  expect(chooseRoles(scenario!.fleet, new Set(), 200)).toEqual({
    processes: new Set(scenario!.fleet.nodes.map(({ node }) => node)),
    simulated: new Set(),
  });
});
