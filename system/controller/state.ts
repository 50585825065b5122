// The controller's state is the fold of its journal: the union of its components' states, and the replies that make operator
// commands idempotent. Pure; the same entries give the same state in every process (architecture §5).
import type { Digest, Epoch, Term } from '../domain/identifiers.ts';
import type { OperatorReply } from '../domain/operator.ts';
import { assert } from '../domain/outcome.ts';
import type { Fact } from '../domain/telemetry.ts';
import {
  applyDeploymentEntry,
  applyInstanceEntry,
  createDeploymentsState,
  factsOfDeploymentEntry,
  factsOfInstanceEntry,
  isDeploymentEntry,
  isInstanceEntry,
  type DeploymentEntry,
  type DeploymentsState,
  type InstanceEntry,
} from '../deployments/deployments.ts';
import {
  applyTriggerEntry,
  createEventsState,
  factsOfTriggerEntry,
  isTriggerEntry,
  type EventsState,
  type TriggerEntry,
} from '../events/events.ts';
import {
  applyModuleEntry,
  createModulesState,
  factsOfModuleEntry,
  isModuleEntry,
  type ModuleEntry,
  type ModulesState,
} from '../modules/modules.ts';
import { applyNodeEntry, createNodesState, factsOfNodeEntry, isNodeEntry, type NodeEntry, type NodesState } from '../nodes/nodes.ts';

/** Bound: answered commands that are remembered; the oldest go first. */
export const ANSWERED_MAX = 4_096;

/** A reply without the sequence, which is that of the record it is in. */
export type ReplyBody = { readonly kind: 'done' } | Omit<Extract<OperatorReply, { readonly kind: 'module-stored' }>, 'sequence'>;

export type ControllerEntry =
  /** `epochFloor` where an older copy of the store was put back: whoever acts from here on does so in a higher epoch. */
  | { readonly kind: 'leader-term'; readonly term: Term; readonly epochFloor?: Epoch }
  | { readonly kind: 'request-answered'; readonly id: string; readonly command: string; readonly reply: ReplyBody }
  /** A blob holds the state through this sequence. */
  | { readonly kind: 'snapshot-taken'; readonly snapshot: Digest; readonly through: number };

export type Entry = NodeEntry | ModuleEntry | DeploymentEntry | InstanceEntry | TriggerEntry | ControllerEntry;

export type ControllerState = {
  term: Term;
  readonly nodes: NodesState;
  readonly modules: ModulesState;
  readonly deployments: DeploymentsState;
  readonly events: EventsState;
  readonly answered: Map<string, OperatorReply>;
  snapshot: { readonly snapshot: Digest; readonly through: number } | null;
  /** No epoch that was given and lost is higher. Absent until an older copy is put back, so that snapshots are what they were. */
  epochFloor?: Epoch;
};

export function createState(): ControllerState {
  return {
    term: 0 as Term,
    nodes: createNodesState(),
    modules: createModulesState(),
    deployments: createDeploymentsState(),
    events: createEventsState(),
    answered: new Map(),
    snapshot: null,
  };
}

/** `sequence` is that of the record that holds the entry. */
export function applyEntry(state: ControllerState, entry: Entry, sequence: number): void {
  if (isNodeEntry(entry)) applyNodeEntry(state.nodes, entry);
  else if (isModuleEntry(entry)) applyModuleEntry(state.modules, entry);
  else if (isDeploymentEntry(entry)) applyDeploymentEntry(state.deployments, entry);
  else if (isInstanceEntry(entry)) applyInstanceEntry(state.deployments, entry);
  else if (isTriggerEntry(entry)) applyTriggerEntry(state.events, entry);
  else applyControllerEntry(state, entry, sequence);
}

function applyControllerEntry(state: ControllerState, entry: ControllerEntry, sequence: number): void {
  switch (entry.kind) {
    case 'leader-term':
      assert(entry.term > state.term, 'the leader term grows with each start');
      state.term = entry.term;
      if (entry.epochFloor !== undefined) {
        assert(entry.epochFloor >= (state.epochFloor ?? 0), 'the floor of epochs never goes down');
        state.epochFloor = entry.epochFloor;
      }
      return;
    case 'request-answered':
      state.answered.set(entry.id, { ...entry.reply, sequence });
      for (const oldest of state.answered.keys()) {
        if (state.answered.size <= ANSWERED_MAX) break;
        state.answered.delete(oldest);
      }
      return;
    case 'snapshot-taken':
      state.snapshot = { snapshot: entry.snapshot, through: entry.through };
      return;
  }
}

/** What is worth telling of an entry once it is durable, seen from the state before it. */
export function factsOfEntry(state: ControllerState, entry: Entry, sequence: number): readonly Fact[] {
  if (isNodeEntry(entry)) return factsOfNodeEntry(state.nodes, entry);
  if (isModuleEntry(entry)) return factsOfModuleEntry(state.modules, entry);
  if (isDeploymentEntry(entry)) return factsOfDeploymentEntry(state.deployments, entry);
  if (isInstanceEntry(entry)) return factsOfInstanceEntry(state.deployments, entry);
  if (isTriggerEntry(entry)) return factsOfTriggerEntry(entry);
  return entry.kind === 'request-answered'
    ? [{ kind: 'command.accepted', fields: { id: entry.id, command: entry.command, sequence } }]
    : [];
}
