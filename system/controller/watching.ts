// Who watches what. Each change of the head state is seen here as it is made, and told when its record is durable, so that a
// watcher learns each transition once, in order (P18, R5.6). Costs nothing while nobody watches.
// Surprising: deployments are told as of the end of a record, since their views grow with their instances; the rest entry by entry.
import type { CorrelationId, DeploymentName, InstanceId, NodeId, Term } from '../domain/identifiers.ts';
import { keyOfCell, type MatrixCell } from '../domain/matrix.ts';
import { sameLoad, type NodeLoad } from '../domain/node.ts';
import { rejected } from '../domain/outcome.ts';
import type { Fact } from '../domain/telemetry.ts';
import type { EventView, StateKind, StateViews, WatchMessage } from '../domain/watch.ts';
import type { WatchStream } from '../api/api.ts';
import { viewInstance } from '../deployments/deployments.ts';
import { viewKey } from '../modules/modules.ts';
import { viewNode } from '../nodes/nodes.ts';
import { MICROS_PER_S, type Clock, type Micros } from '../ports/clock.ts';
import { Feed, tooMany } from './feed.ts';
import type { Head, HeadObserver } from './head.ts';
import { answerQuery, viewDeployment, type Inventory } from './queries.ts';
import type { Recent } from './recent.ts';
import type { Entry } from './state.ts';

/** Bound: operators that watch at a time. */
export const WATCHERS_MAX = 256;
/** Bound: time that a stream has to say what it wants. */
export const REQUEST_MICROS = 5 * MICROS_PER_S;
/** Bound: how often a change of nothing but the load of a node is told. */
const LOAD_INTERVAL_MICROS = MICROS_PER_S;

type Change = { readonly upsert: StateViews[StateKind] } | { readonly removal: string } | { readonly event: EventView } | null;

type WatchItem = {
  readonly bytes: number;
  readonly sequence: number;
  readonly phase: 'present' | 'change';
  readonly gap: boolean;
  /** Null: there is nothing yet. */
  readonly change: Change;
};

type Watcher = {
  readonly kind: StateKind | 'events';
  readonly feed: Feed<WatchItem, WatchMessage>;
  /** It was told the present state; what comes now is a change of that. */
  begun: boolean;
};

export type WatchingOptions = {
  readonly clock: Pick<Clock, 'after' | 'civilMs' | 'monotonicMicros'>;
  readonly term: Term;
  readonly head: Head;
  readonly inventory: Inventory;
  readonly recent: Recent;
  readonly journal: { readonly durableSequence: number; whenDurable(release: () => void): void };
};

export class Watching implements HeadObserver {
  readonly #options: WatchingOptions;
  readonly #watchers = new Set<Watcher>();
  /** Of these kinds something is watched. */
  readonly #watched = new Set<Watcher['kind']>();
  /** Deployments whose view may be another one at the end of this record. */
  readonly #deployments = new Set<DeploymentName>();
  /** Load of each node as last told. Bound: the nodes. */
  readonly #loads = new Map<NodeId, { readonly micros: Micros; readonly load: NodeLoad | null }>();
  /** Cells of the matrix as last told, by key, while it is watched. Bound: the cells. */
  readonly #cells = new Map<string, string>();
  #isMatrixChanged = false;
  #modulesChanged: readonly InstanceId[] = [];
  #stopped = false;

  constructor(options: WatchingOptions) {
    this.#options = options;
  }

  /** Owns the stream until it resolves. */
  async serve(stream: WatchStream): Promise<void> {
    const timer = this.#options.clock.after(REQUEST_MICROS, () => stream.close());
    const first = await stream.receive();
    timer.cancel();
    if (!first.ok) return first.error.code === 'WM_MESSAGE_INVALID' ? stream.refuse(first.error) : stream.close();
    if (first.value === null || this.#stopped) return stream.close();
    if (this.#watchers.size >= WATCHERS_MAX) return stream.refuse(tooMany('watches', WATCHERS_MAX));
    const { kind, after } = first.value;
    const { clock, recent } = this.#options;
    const feed = new Feed<WatchItem, WatchMessage>({
      clock,
      stream,
      joins: kind === 'events' ? joinsEvent : joinsChange,
      compose: (items, next) => this.#compose(kind, items, next),
    });
    const watcher: Watcher = { kind, feed, begun: false };
    this.#watchers.add(watcher);
    this.#watched.add(kind);
    if (kind === 'events') this.#begin(watcher, recent.after(after));
    else this.#beginState(watcher, kind);
    while (!feed.closed) {
      const received = await stream.receive();
      if (received.ok && received.value !== null)
        feed.end(
          rejected('WM_MESSAGE_INVALID', { message: 'A watch asked for a second thing.', next: 'Open a stream for each watch.' }).error,
        );
      else feed.close();
    }
    this.#watchers.delete(watcher);
    if (![...this.#watchers].some((other) => other.kind === kind)) this.#watched.delete(kind);
    if (!this.#watched.has('nodes')) this.#loads.clear();
    if (!this.#watched.has('deployments')) this.#deployments.clear();
    if (!this.#watched.has('matrix')) this.#cells.clear();
  }

  /** Whoever watches is closed in order, and watches again when there is a controller. */
  stop(): void {
    this.#stopped = true;
    for (const { feed } of this.#watchers) feed.close();
  }

  changing(entry: Entry): void {
    if (this.#watched.size === 0) return;
    const { state } = this.#options.head;
    if (entry.kind === 'trigger-applied' || entry.kind === 'trigger-deleted') {
      const before = state.events.triggers.get(entry.kind === 'trigger-applied' ? entry.spec.name : entry.trigger);
      if (before !== undefined) this.#markDeployment(before.deployment);
    }
    this.#modulesChanged =
      entry.kind === 'deployment-applied' && this.#watched.has('instances')
        ? [...state.deployments.instances.values()]
            .filter(({ deployment, module }) => deployment === entry.spec.name && module !== entry.spec.module)
            .map(({ id }) => id)
        : [];
  }

  changed(entry: Entry): void {
    if (this.#watched.size === 0) return;
    switch (entry.kind) {
      case 'node-enrolled':
      case 'node-facts':
        this.#isMatrixChanged = true;
        return this.#tellNode(entry.facts.node);
      case 'node-status':
      case 'node-draining':
      case 'node-undrained':
        return this.#tellNode(entry.node);
      case 'node-removed':
        this.#isMatrixChanged = true;
        this.#loads.delete(entry.node);
        return this.#tell('nodes', () => ({ removal: entry.node }));
      case 'module-trust':
        return this.#tell('trust', () => ({ upsert: viewKey(entry.key) }));
      case 'module-artefact':
        this.#isMatrixChanged = true;
        return;
      case 'module-stored':
        this.#isMatrixChanged = true;
        return this.#tell('modules', () => ({ upsert: entry.version }));
      case 'deployment-applied':
        for (const id of this.#modulesChanged) this.#tellInstance(id);
        return this.#markDeployment(entry.spec.name);
      case 'deployment-rolled-back':
      case 'deployment-deleted':
        return this.#markDeployment(entry.deployment);
      case 'trigger-applied':
        return this.#markDeployment(entry.spec.deployment);
      case 'trigger-deleted':
      case 'leader-term':
      case 'request-answered':
      case 'snapshot-taken':
        return;
      default:
        this.#tellInstance(entry.instance);
        this.#markDeployment(this.#options.head.getInstance(entry.instance).deployment);
    }
  }

  /** A decision about it is another one, although nothing was journalled. */
  decisionChanged(instance: InstanceId): void {
    const found = this.#options.head.state.deployments.instances.get(instance);
    if (found !== undefined) this.#markDeployment(found.deployment);
  }

  /** Something could not be compiled, although nothing was journalled. */
  matrixChanged(): void {
    if (!this.#watched.has('matrix')) return;
    this.#isMatrixChanged = true;
    this.#options.journal.whenDurable(() => {});
  }

  /** R1.4: of load alone at most one change a second is told; the next heartbeat brings what was held back. */
  loadReported(node: NodeId): void {
    if (!this.#watched.has('nodes')) return;
    const { clock, inventory } = this.#options;
    const micros = clock.monotonicMicros();
    const load = inventory.loadOf(node);
    const told = this.#loads.get(node);
    if (
      told !== undefined &&
      (micros - told.micros < LOAD_INTERVAL_MICROS ||
        (load === null || told.load === null ? load === told.load : sameLoad(told.load, load)))
    )
      return;
    this.#loads.set(node, { micros, load });
    this.#tellNode(node);
  }

  /** A fact became known; what came with the journal did when it was durable. */
  told(fact: Fact, correlation: CorrelationId | null, sequence: number): void {
    const { clock, recent } = this.#options;
    const event = recent.add(fact, { sequence, timeMs: clock.civilMs(), correlation });
    if (this.#watched.has('events')) this.#publish('events', { event });
  }

  /** The head state is the fold through the record that is about to be closed. */
  prepare(): void {
    if (this.#isMatrixChanged) this.#tellMatrix();
    if (this.#deployments.size === 0) return;
    const { state } = this.#options.head;
    for (const name of [...this.#deployments].sort()) {
      const deployment = state.deployments.deployments.get(name);
      this.#tell('deployments', () =>
        deployment === undefined ? { removal: name } : { upsert: viewDeployment(state, deployment, this.#options.inventory.refusalOf) },
      );
    }
    this.#deployments.clear();
  }

  /** The cells that differ from those that were told. */
  #tellMatrix(): void {
    this.#isMatrixChanged = false;
    if (!this.#watched.has('matrix')) return;
    const gone = new Set(this.#cells.keys());
    for (const cell of this.#options.inventory.matrix()) {
      const key = keyOfCell(cell);
      gone.delete(key);
      if (this.#isNewCell(key, cell)) this.#tell('matrix', () => ({ upsert: cell }));
    }
    for (const key of gone) {
      this.#cells.delete(key);
      this.#tell('matrix', () => ({ removal: key }));
    }
  }

  #isNewCell(key: string, cell: MatrixCell): boolean {
    const text = JSON.stringify(cell);
    if (this.#cells.get(key) === text) return false;
    this.#cells.set(key, text);
    return true;
  }

  #markDeployment(name: DeploymentName): void {
    if (this.#watched.has('deployments')) this.#deployments.add(name);
  }

  #tellNode(id: NodeId): void {
    const { head, inventory } = this.#options;
    const node = head.state.nodes.nodes.get(id);
    if (node !== undefined) this.#tell('nodes', () => ({ upsert: viewNode(node, inventory.loadOf) }));
  }

  #tellInstance(id: InstanceId): void {
    this.#tell('instances', () => {
      const view = viewInstance(this.#options.head.getInstance(id));
      return view === null ? { removal: id } : { upsert: view };
    });
  }

  /** As it is now, once that is durable. */
  #tell(kind: StateKind, change: () => Change): void {
    if (!this.#watched.has(kind)) return;
    const made = change();
    this.#options.journal.whenDurable(() => this.#publish(kind, made));
  }

  #publish(kind: Watcher['kind'], change: Change): void {
    const item = this.#itemOf(change, 'change');
    for (const watcher of this.#watchers) if (watcher.kind === kind && watcher.begun) watcher.feed.push(item);
  }

  #itemOf(change: Change, phase: WatchItem['phase'], gap = false): WatchItem {
    const sequence = change !== null && 'event' in change ? change.event.sequence : this.#options.journal.durableSequence;
    return { bytes: JSON.stringify(change).length, sequence, phase, gap, change };
  }

  #begin(watcher: Watcher, { events, gap }: ReturnType<Recent['after']>): void {
    const items = events.map((event) => this.#itemOf({ event }, 'present', gap));
    watcher.begun = true;
    watcher.feed.begin(items.length > 0 ? items : [this.#itemOf(null, 'present', gap)]);
  }

  /** What is now, which may be not durable yet: it is told, and counts as the beginning, when it is. */
  #beginState(watcher: Watcher, kind: StateKind): void {
    const upserts = viewsOf(this.#options.inventory, kind);
    // Later watchers may hear again what they know by then; an upsert changes nothing twice.
    if (kind === 'matrix' && this.#cells.size === 0)
      for (const cell of this.#options.inventory.matrix()) this.#isNewCell(keyOfCell(cell), cell);
    this.#options.journal.whenDurable(() => {
      watcher.begun = true;
      const items = upserts.map((upsert) => this.#itemOf({ upsert }, 'present'));
      watcher.feed.begin(items.length > 0 ? items : [this.#itemOf(null, 'present')]);
    });
  }

  #compose(kind: Watcher['kind'], items: readonly WatchItem[], next: WatchItem | null): WatchMessage {
    const last = items.at(-1);
    const { sequence, phase, gap } = last ?? { sequence: 0, phase: 'change', gap: false };
    const more = next !== null && next.phase === phase && (phase === 'present' || next.sequence === sequence);
    const frame = { term: this.#options.term, sequence, phase, more };
    const changes = items.map(({ change }) => change).filter((change) => change !== null);
    if (kind === 'events') return { ...frame, kind, events: changes.flatMap((change) => ('event' in change ? [change.event] : [])), gap };
    const upserts = changes.flatMap((change) => ('upsert' in change ? [change.upsert] : []));
    const removals = changes.flatMap((change) => ('removal' in change ? [change.removal] : []));
    return { ...frame, kind, upserts, removals } as WatchMessage;
  }
}

/** One message has its upserts first, so nothing comes back in it after it was gone. */
function joinsChange(last: WatchItem, next: WatchItem): boolean {
  if (last.sequence !== next.sequence || last.phase !== next.phase) return false;
  return last.change === null || !('removal' in last.change) || (next.change !== null && 'removal' in next.change);
}

function joinsEvent(last: WatchItem, next: WatchItem): boolean {
  return last.phase === next.phase;
}

function viewsOf(inventory: Inventory, kind: StateKind): readonly StateViews[StateKind][] {
  const answer = answerQuery(inventory, { kind });
  switch (answer.kind) {
    case 'nodes':
      return answer.nodes;
    case 'modules':
      return answer.modules;
    case 'deployments':
      return answer.deployments;
    case 'instances':
      return answer.instances;
    case 'trust':
      return answer.keys;
    case 'matrix':
      return answer.cells;
    default:
      return [];
  }
}
