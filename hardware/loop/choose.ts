// Which nodes of a run with hardware in the loop are processes: the first of the file that are no emulated machines. The others are
// simulated. Pure.
import type { FleetSpec } from '../../scenarios/scenario.ts';

export type Roles = {
  readonly processes: ReadonlySet<string>;
  readonly simulated: ReadonlySet<string>;
};

export function chooseRoles({ nodes }: FleetSpec, machines: ReadonlySet<string>, processesMax: number): Roles {
  const rest = nodes.map(({ node }) => node as string).filter((node) => !machines.has(node));
  return { processes: new Set(rest.slice(0, processesMax)), simulated: new Set(rest.slice(processesMax)) };
}
