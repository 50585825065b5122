// What of a scenario this machine can be, and what it cannot. A node is a process here, so it has this machine's architecture, or an
// emulated machine or a device with its own; its guests are no faster than that. What a scenario merely says is taken as this machine's, and told; what it needs and is not here refuses it.
import type { FaultSpec, NodeSpec, Scenario } from '../../scenarios/scenario.ts';
import type { Architecture } from '../../system/domain/node.ts';
import { ok, rejected, type Outcome } from '../../system/domain/outcome.ts';
import { CLOCK_FAULT_KINDS } from './faults.ts';
import { mayMount } from './volume.ts';

export type Fitted = {
  /** With the architectures that its nodes really have. */
  readonly scenario: Scenario;
  /** What differs from the file, one sentence each. */
  readonly notes: readonly string[];
};

type MachineKind = {
  readonly architecture: Architecture;
  /** ISA features that its agent reports. */
  readonly isaFeatures: readonly string[];
};

export type ThisMachine = MachineKind & {
  /** Nodes that are emulated machines, by name. */
  readonly emulated: ReadonlyMap<string, MachineKind>;
  /** Nodes that are physical devices, by name, and what their inventory calls them. */
  readonly devices?: ReadonlyMap<string, MachineKind & { readonly device: string }>;
  /** Nodes that are simulated, with guests that run on this machine. Null, or absent: there is no simulator in the run. */
  readonly simulated?: ReadonlySet<string> | null;
};

export function fitScenario(scenario: Scenario, machine: ThisMachine): Outcome<Fitted> {
  const { emulated, devices = new Map(), simulated = null, ...here } = machine;
  const processes = emulated.size === 0 ? 'on local processes' : `with ${emulated.size} emulated machines`;
  const where = simulated !== null ? 'with hardware in the loop' : devices.size > 0 ? `with ${devices.size} devices` : processes;
  const refused = (why: string, next: string): Outcome<Fitted> =>
    rejected('WM_ARGUMENT', { message: `${scenario.name} cannot be played ${where}: ${why}.`, next });
  const nodes = scenario.fleet.nodes.map((node) => {
    const { architecture, isaFeatures } = emulated.get(node.node) ?? devices.get(node.node) ?? here;
    return { ...node, architecture, isaFeatures };
  });
  for (const step of scenario.steps) {
    const isElsewhere = (node: string): boolean => simulated?.has(node) === true || emulated.has(node);
    if (step.do === 'fault' && step.fault.kind === 'disk-full' && !isElsewhere(step.fault.machine) && !mayMount())
      return refused(
        'filling a disk takes a small file system of its own, and only root may mount one',
        'Run as root, or play it with --target sim.',
      );
    if (step.do === 'fault' && emulated.size > 0 && CLOCK_FAULT_KINDS.includes(step.fault.kind)) {
      const lacking = clockLacking(step.fault, emulated);
      if (lacking !== null)
        return rejected('WM_FAULT_UNSUPPORTED', {
          message: `${scenario.name} cannot be played ${where}: the fault '${step.fault.kind}' is about ${lacking}.`,
          next: 'Play it with more --machines, or with --target sim.',
        });
    }
    if (step.do !== 'deploy') continue;
    const { architectures, isaFeatures } = step.spec.requirements;
    const fitting = nodes.filter((node) => architectures.length === 0 || architectures.includes(node.architecture));
    if (fitting.length === 0)
      return refused(
        `deployment ${step.spec.name} needs ${architectures.join(' or ')}, and its nodes are ${[...new Set(nodes.map((node) => node.architecture))].join(' and ')}`,
        'Play it with --target sim or qemu, or on a machine of that architecture.',
      );
    const missing = isaFeatures.filter((feature) => !fitting.some((node) => node.isaFeatures.includes(feature)));
    if (missing.length > 0)
      return refused(
        `deployment ${step.spec.name} needs ${missing.join(' and ')}, which no node of it has here`,
        'Play it with --target sim, or on a machine that has it.',
      );
  }
  return ok({
    scenario: { ...scenario, fleet: { ...scenario.fleet, nodes } },
    notes: notesOf(scenario, nodes, { ...machine, devices, simulated }),
  });
}

/** Processes have the clock of this machine, which nobody sets. Null: it is about an emulated machine. */
function clockLacking(fault: FaultSpec, emulated: ThisMachine['emulated']): string | null {
  if (!('machine' in fault) || emulated.has(fault.machine)) return null;
  return `${fault.machine}, which is no emulated machine and has no clock of its own`;
}

type Roles = Required<Pick<ThisMachine, 'emulated' | 'devices' | 'simulated'>>;

function rolesOf(nodes: readonly NodeSpec[], { emulated, devices, simulated }: Roles): readonly string[] {
  const there = nodes.flatMap(({ node, architecture }) => {
    const device = devices.get(node)?.device;
    return device === undefined ? [] : [`${node} on ${device} (${architecture})`];
  });
  const machines = nodes.filter(({ node }) => emulated.has(node)).map(({ node, architecture }) => `${node} (${architecture})`);
  const list = (names: readonly string[]): string => (names.length === 0 ? 'none' : names.join(', '));
  if (simulated !== null) {
    const processes = nodes
      .map(({ node }) => node as string)
      .filter((node) => !emulated.has(node) && !devices.has(node) && !simulated.has(node));
    return [
      `${there.length === 0 ? '' : `Devices: ${list(there)}. `}Emulated machines: ${list(machines)}; processes: ${list(processes)}; the other ${simulated.size} nodes are simulated, at the pace of the wall.`,
    ];
  }
  if (there.length > 0) return [`Devices: ${list(there)}; the other nodes are processes of this machine.`];
  return machines.length === 0 ? [] : [`Emulated machines: ${list(machines)}; the other nodes are processes of this machine.`];
}

function notesOf({ fleet }: Scenario, nodes: readonly NodeSpec[], roles: Roles): readonly string[] {
  const notes = rolesOf(nodes, roles);
  const others = nodes.filter(({ architecture }, i) => architecture !== fleet.nodes[i]?.architecture);
  if (others.length === 0) return notes;
  const said = [...new Set(others.map(({ architecture }) => architecture))].map(
    (architecture) =>
      `${others
        .filter((node) => node.architecture === architecture)
        .map(({ node }) => node)
        .join(', ')} as ${architecture}`,
  );
  return [...notes, `Played otherwise than the file says: ${said.join('; ')}. No guest needs the architecture of the file.`];
}
