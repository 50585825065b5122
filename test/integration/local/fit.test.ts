// What of a scenario this machine can be: taken as it is, taken as this machine's and said, or refused.
import { describe, expect, it } from 'vitest';
import { fitScenario } from '../../../hardware/local/fit.ts';
import { catalogueFiles, readScenarios } from '../../../sim/campaign/library.main.ts';
import { nameOf } from '../../../scenarios/load.ts';
import type { Scenario, StepSpec } from '../../../scenarios/scenario.ts';
import type { Architecture } from '../../../system/domain/node.ts';

function scenarioOf(name: string): Scenario {
  const [scenario] = readScenarios(catalogueFiles().filter((file) => nameOf(file) === name)).scenarios;
  if (scenario === undefined) throw new Error(name);
  return scenario;
}

const X86 = { architecture: 'x86_64', isaFeatures: ['avx2'], emulated: new Map() } as const;

function needing(needs: { readonly architectures?: readonly Architecture[]; readonly isaFeatures?: readonly string[] }): Scenario {
  const scenario = scenarioOf('node-failure');
  const steps = scenario.steps.map((step): StepSpec =>
    step.do === 'deploy' ? { ...step, spec: { ...step.spec, requirements: { ...step.spec.requirements, ...needs } } } : step,
  );
  return { ...scenario, steps };
}

describe('a fleet on this machine', () => {
  it('has the architecture of this machine, and says of whom the file says another', () => {
    const fitted = fitScenario(scenarioOf('node-failure'), X86);
    expect(fitted.ok ? fitted.value.notes : fitted).toEqual([
      'Played otherwise than the file says: a-2, b-2, c-1, c-2 as x86_64. No guest needs the architecture of the file.',
    ]);
    expect(fitted.ok && new Set(fitted.value.scenario.fleet.nodes.map((node) => node.architecture))).toEqual(new Set(['x86_64']));
  });

  it('is refused a clock that is wrong, but for emulated machines, and says whose', () => {
    const scenario = scenarioOf('key-expires');
    const machine = { architecture: 'aarch64', isaFeatures: [] } as const;
    const wrong = (...names: readonly string[]): Scenario => ({
      ...scenario,
      steps: scenario.steps.filter((step) => step.do !== 'fault' || !('machine' in step.fault) || names.includes(step.fault.machine)),
    });
    const emulated = new Map([['a-1', machine]]);
    expect(fitScenario(wrong('a-1'), { ...X86, emulated }).ok).toBe(true);
    for (const name of ['b-1', 'controller']) {
      const fitted = fitScenario(wrong('a-1', name), { ...X86, emulated });
      expect(fitted.ok ? 'ok' : `${fitted.error.code}: ${fitted.error.message}`).toBe(
        `WM_FAULT_UNSUPPORTED: key-expires cannot be played with 1 emulated machines: the fault 'clock-step' is about ${name}, which is no emulated machine and has no clock of its own.`,
      );
    }
  });

  it('has devices, whose architecture they have, and says which node is which', () => {
    const devices = new Map([['a-2', { device: 'bench-1', architecture: 'aarch64', isaFeatures: [] }]] as const);
    const fitted = fitScenario(scenarioOf('node-failure'), { ...X86, devices });
    expect(fitted.ok && fitted.value.notes).toEqual([
      'Devices: a-2 on bench-1 (aarch64); the other nodes are processes of this machine.',
      'Played otherwise than the file says: b-2, c-1, c-2 as x86_64. No guest needs the architecture of the file.',
    ]);
  });

  it('is refused to a deployment that needs another architecture, or features that it does not have', () => {
    const foreign = fitScenario(needing({ architectures: ['riscv64'] }), X86);
    expect(foreign.ok ? 'ok' : foreign.error.message).toContain('needs riscv64, and its nodes are x86_64');
    expect(fitScenario(needing({ architectures: ['riscv64', 'x86_64'] }), X86).ok).toBe(true);
    const features = fitScenario(needing({ isaFeatures: ['avx2', 'fma'] }), X86);
    expect(features.ok ? 'ok' : features.error.message).toContain('needs fma, which no node of it has here');
    const has = fitScenario(needing({ isaFeatures: ['avx2'] }), X86);
    expect(has.ok && has.value.scenario.fleet.nodes.every((node) => node.isaFeatures.includes('avx2'))).toBe(true);
  });
});

it('a fleet with hardware in the loop says who is what, and fills the disks of simulated nodes without mounting any', () => {
  const scenario = scenarioOf('disk-full');
  const nodes = scenario.fleet.nodes.map(({ node }) => node as string);
  const [first, second, ...rest] = nodes as [string, string, ...string[]];
  const emulated = new Map([[second, { architecture: 'riscv64' as const, isaFeatures: [] }]]);
  const fitted = fitScenario(scenarioOf('node-failure'), { ...X86, emulated, simulated: new Set(rest) });
  expect(fitted.ok && fitted.value.notes[0]).toBe(
    `Emulated machines: ${second} (riscv64); processes: ${first}; the other ${rest.length} nodes are simulated, at the pace of the wall.`,
  );
  expect(fitScenario(scenario, { ...X86, simulated: new Set(nodes) }).ok).toBe(true);
});
