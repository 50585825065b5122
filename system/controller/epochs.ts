// R1.3 after an older copy of the store was put back: it knows nothing of epochs that were given since, and fences that were raised with them
// last at NATS. From a restored start on, every instance acts in an epoch above a floor that nobody can have been given.
import type { Epoch } from '../domain/identifiers.ts';
import { holdsNode } from '../deployments/deployments.ts';
import type { ControllerState, Entry } from './state.ts';

/**
 * The floor for a restored start at `civilMs`. Civil milliseconds, so that the same copy that is put back twice does not give the same
 * epochs twice: no instance is placed so often that its epochs would run ahead of the clock.
 */
export function planEpochFloor({ deployments, epochFloor }: ControllerState, civilMs: number): Epoch {
  let highest = Math.max(epochFloor ?? 0, deployments.epochFloor);
  for (const { epoch } of deployments.instances.values()) highest = Math.max(highest, epoch);
  return Math.max(highest, Math.floor(civilMs)) as Epoch;
}

/** The epoch of the next placement of an instance, or of what takes its place. */
export function nextEpoch({ epochFloor }: Pick<ControllerState, 'epochFloor'>, { epoch }: { readonly epoch: Epoch }): Epoch {
  return (Math.max(epoch, epochFloor ?? 0) + 1) as Epoch;
}

/**
 * Takes to an epoch above the floor whoever has a node in one that is not, in its place: it would not be placed again on a node that
 * drains. Nothing where no floor was set, or all of it was done by an earlier start. Whatever an unavailable node has is left
 * alone: it is placed anew when the node returns or is lost, and goes on there meanwhile as far as it may (R5.4).
 */
export function planAboveFloor(state: ControllerState, atMs: number): readonly Entry[] {
  const { deployments, nodes, epochFloor } = state;
  if (epochFloor === undefined) return [];
  return [...deployments.instances.values()].flatMap((instance): readonly Entry[] => {
    if (!holdsNode(instance) || instance.epoch > epochFloor || nodes.nodes.get(instance.node)?.status === 'unavailable') return [];
    const { id, version } = instance;
    const cause = 'an older copy of the controller was put back';
    return [{ kind: 'instance-told', instance: id, version, epoch: nextEpoch(state, instance), atMs, cause }];
  });
}
