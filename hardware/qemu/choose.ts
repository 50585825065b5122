// Which nodes of a scenario are emulated machines, when not all can be: those that the file makes arm64 or riscv64, then those that
// faults name, then any; arm64 and riscv64 in turn where the file says neither. Pure.
import type { FaultSpec, NodeSpec, Scenario } from '../../scenarios/scenario.ts';
import type { ForeignArchitecture } from './toolchain.ts';

/** In this order they are taken in turn. */
const IN_TURN: readonly ForeignArchitecture[] = ['aarch64', 'riscv64'];

/** Architecture of each emulated node, by its name; at most `machinesMax`. */
export function chooseMachines({ fleet, steps }: Scenario, machinesMax: number): ReadonlyMap<string, ForeignArchitecture> {
  const faults = steps.flatMap((step) => (step.do === 'fault' ? [step.fault] : []));
  const named = new Set(faults.flatMap(namesOf));
  // A disk is filled from outside, where only the disks of processes are.
  const filled = new Set(faults.flatMap((fault) => (fault.kind === 'disk-full' ? [fault.machine] : [])));
  const rankOf = (node: NodeSpec): number => (isForeign(node) ? 0 : named.has(node.node) ? 1 : 2);
  const ranked = fleet.nodes
    .map((node, i) => ({ node, rank: rankOf(node), i }))
    .filter(({ node }) => !filled.has(node.node))
    .sort((a, b) => a.rank - b.rank || a.i - b.i)
    .slice(0, machinesMax);
  const chosen = new Map<string, ForeignArchitecture>();
  let turns = 0;
  for (const { node } of ranked) chosen.set(node.node, isForeign(node) ? node.architecture : IN_TURN[turns++ % IN_TURN.length]!);
  return chosen;
}

function isForeign(node: NodeSpec): node is NodeSpec & { readonly architecture: ForeignArchitecture } {
  return IN_TURN.some((architecture) => architecture === node.architecture);
}

function namesOf(fault: FaultSpec): readonly string[] {
  if ('machine' in fault) return [fault.machine];
  if ('a' in fault) return [fault.a, fault.b].flat();
  return [];
}
