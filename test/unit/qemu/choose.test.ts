// Which nodes of a scenario are emulated machines.
import { describe, expect, it } from 'vitest';
import { chooseMachines } from '../../../hardware/qemu/choose.ts';
import { catalogueFiles, readScenarios } from '../../../sim/campaign/library.main.ts';
import { nameOf } from '../../../scenarios/load.ts';
import type { Scenario } from '../../../scenarios/scenario.ts';

function scenarioOf(name: string): Scenario {
  const [scenario] = readScenarios(catalogueFiles().filter((file) => nameOf(file) === name)).scenarios;
  if (scenario === undefined) throw new Error(name);
  return scenario;
}

/** The same with every node x86-64. */
function uniform(scenario: Scenario): Scenario {
  const nodes = scenario.fleet.nodes.map((node) => ({ ...node, architecture: 'x86_64' as const }));
  return { ...scenario, fleet: { ...scenario.fleet, nodes } };
}

describe('emulated machines of a scenario', () => {
  it('are the nodes that the file makes arm64 or riscv64, as it makes them', () => {
    const scenario = scenarioOf('node-failure');
    const foreign = scenario.fleet.nodes.filter(({ architecture }) => architecture !== 'x86_64');
    const chosen = chooseMachines(scenario, 8);
    for (const { node, architecture } of foreign) expect(chosen.get(node)).toBe(architecture);
    expect(chooseMachines(scenario, 2).size).toBe(2);
    expect(chooseMachines(scenario, 0).size).toBe(0);
  });

  it('are the nodes that faults are about where the file makes all alike, both architectures in turn', () => {
    const scenario = uniform(scenarioOf('node-failure'));
    const broken = scenario.steps.flatMap((step) => (step.do === 'fault' && 'machine' in step.fault ? [step.fault.machine] : []));
    const chosen = chooseMachines(scenario, 2);
    expect([...chosen.keys()]).toContain(broken[0]);
    expect([...chosen.values()]).toEqual(['aarch64', 'riscv64']);
  });

  it('are first those whose clock is to be wrong, which no process can have', () => {
    // Its file makes a-1 x86-64, and its faults are about the clocks of a-1, b-1 and the controller.
    const chosen = chooseMachines(scenarioOf('key-expires'), 2);
    expect([...chosen]).toEqual([
      ['a-1', 'aarch64'],
      ['b-1', 'riscv64'],
    ]);
  });

  it('are of both architectures where the file allows it, whatever stands first in it', () => {
    // Its file has two arm64 nodes before the first riscv64 one; the fault is about a-1.
    const chosen = chooseMachines(scenarioOf('node-return'), 2);
    expect([...chosen]).toEqual([
      ['a-1', 'aarch64'],
      ['b-2', 'riscv64'],
    ]);
  });
});
