// Who is in the fleet: facts, incarnation and status of each node. Pure: the fold of node entries, and the rules that turn a
// hello or a silence into entries. Refuses agents whose identity is not their node's. Heartbeats are never journalled: when a
// node was last heard lives in `Liveness`, which a recovery starts afresh with a full grace period.
import type { Incarnation, NodeId } from '../domain/identifiers.ts';
import type { GeoPoint, NodeFacts, NodeLoad, NodeStatus, NodeView } from '../domain/node.ts';
import { assert, ok, rejected, type Outcome } from '../domain/outcome.ts';
import type { Fact } from '../domain/telemetry.ts';
import { checkFacts } from './enrolment.ts';

export { checkHello } from './enrolment.ts';
export { Liveness } from './liveness.ts';

export type NodeRecord = {
  readonly facts: NodeFacts;
  readonly status: NodeStatus;
  readonly incarnation: Incarnation;
  readonly bootId: string;
  /** Takes no new work until its agent starts anew, or an operator wants it to. */
  readonly draining: boolean;
  readonly sinceMs: number;
  readonly cause: string;
};

export type NodesState = { readonly nodes: Map<NodeId, NodeRecord> };

export type NodeEntry =
  /** A new incarnation: first start, restart, or a return after it was unavailable. */
  | {
      readonly kind: 'node-enrolled';
      readonly facts: NodeFacts;
      readonly bootId: string;
      readonly incarnation: Incarnation;
      readonly atMs: number;
      readonly cause: string;
      /** The same agent was drained before, and still is; absent where it is not, and in journals of earlier versions. */
      readonly draining?: true;
    }
  /** The same incarnation says something new about itself. */
  | { readonly kind: 'node-facts'; readonly facts: NodeFacts }
  | { readonly kind: 'node-status'; readonly node: NodeId; readonly status: NodeStatus; readonly atMs: number; readonly cause: string }
  | { readonly kind: 'node-draining'; readonly node: NodeId }
  | { readonly kind: 'node-undrained'; readonly node: NodeId }
  | { readonly kind: 'node-removed'; readonly node: NodeId };

export function createNodesState(): NodesState {
  return { nodes: new Map() };
}

function getNode(state: NodesState, id: NodeId): NodeRecord {
  const node = state.nodes.get(id);
  assert(node !== undefined, `node ${id} of an entry is enrolled`);
  return node;
}

export function applyNodeEntry(state: NodesState, entry: NodeEntry): void {
  switch (entry.kind) {
    case 'node-enrolled': {
      const before = state.nodes.get(entry.facts.node);
      assert(before === undefined || before.incarnation < entry.incarnation, `the incarnation of ${entry.facts.node} grows`);
      state.nodes.set(entry.facts.node, {
        facts: entry.facts,
        status: statusOf(entry),
        incarnation: entry.incarnation,
        bootId: entry.bootId,
        draining: entry.draining ?? false,
        sinceMs: entry.atMs,
        cause: entry.cause,
      });
      return;
    }
    case 'node-facts':
      state.nodes.set(entry.facts.node, { ...getNode(state, entry.facts.node), facts: entry.facts });
      return;
    case 'node-status': {
      const node = getNode(state, entry.node);
      assert(node.status !== entry.status, `a change of status of ${entry.node} changes it`);
      state.nodes.set(entry.node, { ...node, status: entry.status, sinceMs: entry.atMs, cause: entry.cause });
      return;
    }
    case 'node-draining':
      state.nodes.set(entry.node, { ...getNode(state, entry.node), draining: true });
      return;
    case 'node-undrained':
      state.nodes.set(entry.node, { ...getNode(state, entry.node), draining: false });
      return;
    case 'node-removed':
      assert(state.nodes.delete(entry.node), `node ${entry.node} is enrolled when it is removed`);
      return;
  }
}

/** What is worth telling of an entry, seen from the state before it. */
export function factsOfNodeEntry(state: NodesState, entry: NodeEntry): readonly Fact[] {
  switch (entry.kind) {
    case 'node-enrolled': {
      const { facts, incarnation, cause } = entry;
      const before = state.nodes.get(facts.node);
      const enrolled: Fact = {
        kind: 'node.enrolled',
        fields: {
          node: facts.node,
          incarnation,
          architecture: facts.architecture,
          zone: facts.zone,
          cores: facts.cores,
          memoryBytes: facts.memoryBytes,
          profile: facts.profile,
        },
      };
      const to = statusOf(entry);
      if ((before?.status ?? 'healthy') === to) return [enrolled];
      return [{ kind: 'node.status', fields: { node: facts.node, incarnation, from: before?.status ?? 'healthy', to, cause } }, enrolled];
    }
    case 'node-facts': {
      const { node, location } = entry.facts;
      const before = getNode(state, node);
      if (isSamePlace(before.facts.location, location)) return [];
      return [{ kind: 'node.moved', fields: { node, incarnation: before.incarnation, ...location } }];
    }
    case 'node-draining':
    case 'node-undrained':
    case 'node-removed':
      return [];
    case 'node-status': {
      const node = getNode(state, entry.node);
      return [
        {
          kind: 'node.status',
          fields: { node: entry.node, incarnation: node.incarnation, from: node.status, to: entry.status, cause: entry.cause },
        },
      ];
    }
  }
}

function statusOf({ draining }: Extract<NodeEntry, { readonly kind: 'node-enrolled' }>): NodeStatus {
  return draining === true ? 'draining' : 'healthy';
}

function isSamePlace(a: GeoPoint, b: GeoPoint): boolean {
  return a.latitude === b.latitude && a.longitude === b.longitude;
}

export function isNodeEntry(entry: { readonly kind: string }): entry is NodeEntry {
  return entry.kind.startsWith('node-');
}

/** R1.3: the same process that was only out of touch goes on; anything else is a new incarnation. */
export function planHello(
  state: NodesState,
  hello: { readonly facts: NodeFacts; readonly bootId: string; readonly incarnation: Incarnation | null },
  atMs: number,
): readonly NodeEntry[] {
  const node = state.nodes.get(hello.facts.node);
  const { facts, bootId } = hello;
  // An agent that starts anew is in service again; one that was only out of reach is what the operator made of it.
  const stays = node?.draining === true && node.bootId === bootId ? { draining: true as const } : {};
  const enrol = (incarnation: number, cause: string): readonly NodeEntry[] => [
    { kind: 'node-enrolled', facts, bootId, incarnation: incarnation as Incarnation, atMs, cause, ...stays },
  ];
  if (node === undefined) return enrol(1, 'first enrolment');
  if (node.bootId !== hello.bootId) return enrol(node.incarnation + 1, 'its agent was restarted');
  if (node.status === 'unavailable') return enrol(node.incarnation + 1, 'it returned after it was unavailable');
  if (hello.incarnation !== node.incarnation) return enrol(node.incarnation + 1, 'it did not know its incarnation');
  if (shapeOf(node.facts) !== shapeOf(hello.facts)) return enrol(node.incarnation + 1, 'its machine changed');
  const entries: NodeEntry[] = [];
  if (JSON.stringify(node.facts) !== JSON.stringify(hello.facts)) entries.push({ kind: 'node-facts', facts: hello.facts });
  if (node.status === 'suspect') entries.push(heardAgain(node, atMs));
  return entries;
}

/** What placements rest on: when it changes, they are decided anew. Where the node is and which agent it runs may change under way. */
function shapeOf(facts: NodeFacts): string {
  const { architecture, isaFeatures, cores, memoryBytes, hardware, zone, faultDomain, profile, target } = facts;
  return JSON.stringify([architecture, isaFeatures, cores, memoryBytes, hardware, zone, faultDomain, profile, target]);
}

/** A node in good standing: back from suspicion to what it was. */
function heardAgain(node: NodeRecord, atMs: number): NodeEntry {
  return { kind: 'node-status', node: node.facts.node, status: node.draining ? 'draining' : 'healthy', atMs, cause: 'it answers again' };
}

/** A node that moves is the same machine somewhere else: it keeps its incarnation and its work. */
export function planMoved(state: NodesState, id: NodeId, location: GeoPoint): Outcome<readonly NodeEntry[]> {
  const { facts } = getNode(state, id);
  if (isSamePlace(facts.location, location)) return ok([]);
  const moved = { ...facts, location };
  const checked = checkFacts(moved);
  return checked.ok ? ok([{ kind: 'node-facts', facts: moved }]) : checked;
}

export function planHeartbeat(state: NodesState, id: NodeId, atMs: number): readonly NodeEntry[] {
  const node = getNode(state, id);
  return node.status === 'suspect' ? [heardAgain(node, atMs)] : [];
}

export function planSilence(
  state: NodesState,
  id: NodeId,
  silentMs: number,
  times: { readonly suspectAfterMs: number; readonly unavailableAfterMs: number },
  atMs: number,
): readonly NodeEntry[] {
  const node = getNode(state, id);
  const status: NodeStatus | null =
    node.status === 'unavailable'
      ? null
      : silentMs >= times.unavailableAfterMs
        ? 'unavailable'
        : silentMs >= times.suspectAfterMs && node.status !== 'suspect'
          ? 'suspect'
          : null;
  return status === null ? [] : [{ kind: 'node-status', node: id, status, atMs, cause: `no heartbeat for ${silentMs} ms` }];
}

export function planDrain(state: NodesState, id: NodeId, atMs: number): readonly NodeEntry[] {
  const node = getNode(state, id);
  if (node.draining) return [];
  const entries: NodeEntry[] = [{ kind: 'node-draining', node: id }];
  if (node.status === 'healthy') entries.push({ kind: 'node-status', node: id, status: 'draining', atMs, cause: 'an operator drains it' });
  return entries;
}

export function planUndrain(state: NodesState, id: NodeId, atMs: number): readonly NodeEntry[] {
  const node = getNode(state, id);
  if (!node.draining) return [];
  const entries: NodeEntry[] = [{ kind: 'node-undrained', node: id }];
  if (node.status === 'draining')
    entries.push({ kind: 'node-status', node: id, status: 'healthy', atMs, cause: 'an operator takes it into service again' });
  return entries;
}

/** Only what has been unavailable: a node in touch would enrol again at once. */
export function planRemove(state: NodesState, id: NodeId): Outcome<readonly NodeEntry[]> {
  const { status } = getNode(state, id);
  if (status === 'unavailable') return ok([{ kind: 'node-removed', node: id }]);
  return rejected('WM_ARGUMENT', {
    message: `Node '${id}' is ${status}; only a node that is unavailable can be removed.`,
    next: 'Drain it, stop its agent, and remove it when it is unavailable.',
    detail: { node: id, status },
  });
}

export type LoadOf = (node: NodeId) => NodeLoad | null;

export function viewNode({ facts, status, incarnation, sinceMs, cause }: NodeRecord, loadOf: LoadOf): NodeView {
  return { facts, status, incarnation, sinceMs, cause, load: loadOf(facts.node) };
}

export function viewNodes(state: NodesState, loadOf: LoadOf): readonly NodeView[] {
  return [...state.nodes.values()].map((node) => viewNode(node, loadOf)).sort((a, b) => (a.facts.node < b.facts.node ? -1 : 1));
}
