// What of a scenario this machine can be, and what it cannot. Every node is a process here, so it has this machine's architecture,
// and its guests are no faster than this machine. What a scenario merely says is taken as this machine's, and told; what it needs and is not here refuses it.
import type { Scenario } from '../../scenarios/scenario.ts';
import type { Architecture } from '../../system/domain/node.ts';
import { ok, rejected, type Outcome } from '../../system/domain/outcome.ts';
import { mayMount } from './volume.ts';

export type Fitted = {
  /** With the architectures that its nodes really have. */
  readonly scenario: Scenario;
  /** What differs from the file, one sentence each. */
  readonly notes: readonly string[];
};

export type ThisMachine = {
  readonly architecture: Architecture;
  /** ISA features that agents report here. */
  readonly isaFeatures: readonly string[];
};

export function fitScenario(scenario: Scenario, { architecture, isaFeatures: here }: ThisMachine): Outcome<Fitted> {
  const refused = (why: string, next: string): Outcome<Fitted> =>
    rejected('WM_ARGUMENT', { message: `${scenario.name} cannot be played on local processes: ${why}.`, next });
  for (const step of scenario.steps) {
    if (step.do === 'fault' && step.fault.kind === 'disk-full' && !mayMount())
      return refused(
        'filling a disk takes a small file system of its own, and only root may mount one',
        'Run as root, or play it with --target sim.',
      );
    if (step.do !== 'deploy') continue;
    const { architectures, isaFeatures } = step.spec.requirements;
    if (architectures.length > 0 && !architectures.includes(architecture))
      return refused(
        `deployment ${step.spec.name} needs ${architectures.join(' or ')}, and this machine is ${architecture}`,
        'Play it with --target sim, or on a machine of that architecture.',
      );
    const missing = isaFeatures.filter((feature) => !here.includes(feature));
    if (missing.length > 0)
      return refused(
        `deployment ${step.spec.name} needs ${missing.join(' and ')}, which this machine does not have`,
        'Play it with --target sim, or on a machine that has it.',
      );
  }
  const nodes = scenario.fleet.nodes.map((node) => ({ ...node, architecture, isaFeatures: here }));
  return ok({ scenario: { ...scenario, fleet: { ...scenario.fleet, nodes } }, notes: notesOf(scenario, architecture) });
}

function notesOf({ fleet }: Scenario, architecture: Architecture): readonly string[] {
  const foreign = fleet.nodes.filter((node) => node.architecture !== architecture).map(({ node }) => node);
  if (foreign.length === 0) return [];
  return [
    `${foreign.join(', ')} ${foreign.length === 1 ? 'is' : 'are'} ${architecture} here: no guest needs the architecture of the file.`,
  ];
}
