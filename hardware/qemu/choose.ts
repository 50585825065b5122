// Which nodes of a scenario are emulated machines, when not all can be: those whose clock is to be wrong, which nobody else can do, then
// those that the file makes arm64 or riscv64, then others; of each, those that faults name first. Both architectures, as far as the file allows: what there is less of comes next. Pure.
import type { FaultSpec, NodeSpec, Scenario } from '../../scenarios/scenario.ts';
import type { ForeignArchitecture } from '../debian/debian.ts';

/** Of two that there are as many of, the first. */
const FOREIGN: readonly ForeignArchitecture[] = ['aarch64', 'riscv64'];

/** Architecture of each emulated node, by its name; at most `machinesMax`. */
export function chooseMachines({ fleet, steps }: Scenario, machinesMax: number): ReadonlyMap<string, ForeignArchitecture> {
  const faults = steps.flatMap((step) => (step.do === 'fault' ? [step.fault] : []));
  const named = new Set(faults.flatMap(namesOf));
  const clocks = new Set(faults.flatMap((fault) => (fault.kind.startsWith('clock-') ? namesOf(fault) : [])));
  const chosen = new Map<string, ForeignArchitecture>();
  const rest = [...fleet.nodes];
  while (chosen.size < machinesMax && rest.length > 0) {
    const wanted = rarest([...chosen.values()]);
    const rankOf = (node: NodeSpec): readonly number[] => [
      clocks.has(node.node) ? 0 : 1,
      isForeign(node) ? (node.architecture === wanted ? 0 : 1) : 2,
      named.has(node.node) ? 0 : 1,
    ];
    const best = rest.reduce((first, node) => (isBefore(rankOf(node), rankOf(first)) ? node : first));
    rest.splice(rest.indexOf(best), 1);
    chosen.set(best.node, isForeign(best) ? best.architecture : wanted);
  }
  return chosen;
}

function isBefore(a: readonly number[], b: readonly number[]): boolean {
  const i = a.findIndex((rank, at) => rank !== b[at]);
  return i >= 0 && (a[i] ?? 0) < (b[i] ?? 0);
}

function rarest(all: readonly ForeignArchitecture[]): ForeignArchitecture {
  const countOf = (wanted: ForeignArchitecture): number => all.filter((architecture) => architecture === wanted).length;
  return FOREIGN.reduce((best, one) => (countOf(one) < countOf(best) ? one : best));
}

function isForeign(node: NodeSpec): node is NodeSpec & { readonly architecture: ForeignArchitecture } {
  return FOREIGN.some((architecture) => architecture === node.architecture);
}

function namesOf(fault: FaultSpec): readonly string[] {
  if ('machine' in fault) return [fault.machine];
  if ('a' in fault) return [fault.a, fault.b].flat();
  return [];
}
