// The control plane as one process: recovers its journal, takes a new term, serves operators and agents on one endpoint, and
// hosts the broker (or stands before another) and the state store beside it. Owns the order of start and end; refuses to go on after a write that failed.
// Surprising: replies, messages to agents and telemetry of a change leave only after its record is durable (architecture §5).
import { createApi } from '../api/api.ts';
import { createBroker, type ControllerBroker } from '../bus/bus.ts';
import type { FencingToken } from '../domain/event.ts';
import type { CorrelationId, NodeId, Term } from '../domain/identifiers.ts';
import type { TrustedKey } from '../domain/module.ts';
import { failed, ok, unknown, type Outcome } from '../domain/outcome.ts';
import type { Census, Fact } from '../domain/telemetry.ts';
import { Journal } from '../journal/journal.ts';
import type { JournalStore } from '../ports/storage.ts';
import type { Listener } from '../ports/network.ts';
import type { Ports } from '../ports/ports.ts';
import { createStateStore, type StateStore } from '../state/state.ts';
import { Authority, Holders } from './authority.ts';
import { CONTROLLER_KEY } from './compiler.ts';
import { assertConfig, isOperator, type ControllerConfig } from './config.ts';
import { planEpochFloor } from './epochs.ts';
import { Head } from './head.ts';
import { Leader } from './leader.ts';
import { recover, type Recovered } from './recovery.ts';
import { tellRefusals } from './refusals.ts';
import { Snapshots } from './snapshots.ts';
import type { ControllerState, Entry } from './state.ts';

export { DEFAULT_CONFIG, type ControllerConfig } from './config.ts';

export type ControllerPorts = Pick<Ports, 'clock' | 'random' | 'network' | 'storage' | 'wasm' | 'keys' | 'telemetry'>;

export interface Controller {
  /** Resolves when operators and agents are served. */
  start(): Promise<Outcome<void>>;
  /** Ends in order; idempotent. */
  stop(): Promise<void>;
  /** What there is now, counted; null while it does not lead. */
  census(): Census | null;
  /** Why it ended: `stop`, or what made it impossible to go on. */
  readonly ended: Promise<string>;
}

const JOURNAL_NAME = 'controller';

/** Bound: starts of a controller between a copy of its store and the day on which that is put back. Agents refuse terms that they have seen. */
const TERMS_SINCE_COPY_MAX = 1_000_000;

export type ControllerParts = {
  /** The broker behind the endpoint; the embedded one when absent. */
  readonly broker?: ControllerBroker;
};

export function createController(ports: ControllerPorts, config: ControllerConfig, parts: ControllerParts = {}): Controller {
  assertConfig(config);
  return new LeadingController(ports, config, parts);
}

class LeadingController implements Controller {
  readonly #ports: ControllerPorts;
  readonly #config: ControllerConfig;
  readonly #broker: ControllerBroker;
  readonly #store: StateStore;
  readonly #holders = new Holders();
  readonly ended: Promise<string>;
  #settleEnded: (cause: string) => void = () => {};
  #over = false;
  #term = 0 as Term;
  #journal: Journal<Entry> | null = null;
  #leader: Leader | null = null;
  #listener: Listener | null = null;
  #snapshots: Snapshots | null = null;

  constructor(ports: ControllerPorts, config: ControllerConfig, parts: ControllerParts) {
    this.#ports = ports;
    this.#config = config;
    this.#broker = parts.broker ?? createBroker(ports, { queueEventsMax: config.queueEventsMax, restored: config.restored });
    this.#store = createStateStore(ports);
    this.ended = new Promise((resolve) => (this.#settleEnded = resolve));
  }

  async start(): Promise<Outcome<void>> {
    const { keys, storage } = this.#ports;
    const key = await keys.open(CONTROLLER_KEY);
    if (!key.ok) return key;
    const store = await storage.journal(JOURNAL_NAME);
    if (!store.ok) return store;
    const recovered = await recover(store.value, storage.blobs, {
      assertRecovery: this.#config.assertRecovery,
      digest: (bytes) => keys.digest(bytes),
    });
    if (!recovered.ok) return recovered;
    const broker = await this.#broker.start();
    if (!broker.ok) return broker;
    void this.#broker.ended.then((cause) => this.#end(`broker: ${cause}`));
    void this.#store.ended.then((cause) => this.#end(`state store: ${cause}`));
    const controllerKey: TrustedKey = { ...key.value, mayGrant: [], revoked: false };
    const leading = await this.#lead(store.value, recovered.value, controllerKey);
    return leading.ok ? this.#listen(leading.value, recovered.value.state) : leading;
  }

  /** Takes the next term, durably, and repeats what may not have been told or fenced before. */
  async #lead(store: JournalStore, recovered: Recovered, controllerKey: TrustedKey): Promise<Outcome<Leader>> {
    const { clock } = this.#ports;
    const next = recovered.state.term + 1;
    // Seconds besides, so that the same copy that is put back twice does not take the same term twice.
    const term = (this.#config.restored ? Math.max(next + TERMS_SINCE_COPY_MAX, Math.floor(clock.civilMs() / 1_000)) : next) as Term;
    this.#term = term;
    const journal = new Journal<Entry>(
      { clock, store, onClose: (sequence) => this.#closing(sequence), onBroken: (cause) => this.#end(cause) },
      term,
    );
    const head = new Head(recovered.state, {
      journal,
      tell: (facts, correlation, sequence) => this.#tell(facts, correlation, sequence),
      raiseFence: ({ id, epoch, node }) => {
        this.#place({ instance: id, epoch }, node);
        this.#holders.prune(recovered.state.deployments.instances);
      },
    });
    // What was read counts, or a controller that is restarted often enough would never take a snapshot.
    head.entriesSinceSnapshot = recovered.entries;
    this.#journal = journal;
    this.#snapshots = new Snapshots({
      ports: this.#ports,
      journal,
      head,
      keepJournal: this.#config.assertRecovery,
      everyEntries: this.#config.snapshotEveryEntries,
      onBroken: (cause) => this.#end(cause),
    });
    const floor = this.#config.restored ? { epochFloor: planEpochFloor(recovered.state, clock.civilMs()) } : {};
    head.commit([{ kind: 'leader-term', term, ...floor }]);
    const durable = await Promise.race([
      new Promise<boolean>((resolve) => journal.whenDurable(() => resolve(true))),
      this.ended.then(() => false),
    ]);
    if (!durable)
      return unknown('WM_STORAGE_FAILED', {
        message: 'The controller could not write its new term.',
        next: 'Look at the log for what the store said, and start again.',
      });
    const { recent, lastFacts, lastSequence, entries } = recovered;
    const started: Fact = { kind: 'controller.started', fields: { term, sequence: lastSequence, entries } };
    this.#ports.telemetry.record(started.kind, started.fields);
    recent.add(started, { sequence: journal.durableSequence, timeMs: clock.civilMs(), correlation: null });
    for (const fact of lastFacts) this.#ports.telemetry.record(fact.kind, fact.fields, `repeated/${lastSequence}` as CorrelationId);
    for (const { id, epoch, node } of head.state.deployments.instances.values()) if (epoch > 0) this.#place({ instance: id, epoch }, node);
    const leader = new Leader({
      ports: this.#ports,
      config: this.#config,
      head,
      journal,
      broker: this.#broker,
      controllerKey,
      term,
      recent,
      onBroken: (cause) => this.#end(cause),
    });
    this.#leader = leader;
    await leader.start();
    return ok(leader);
  }

  async #listen(leader: Leader, state: ControllerState): Promise<Outcome<void>> {
    const authority = new Authority({ config: this.#config, state, holders: this.#holders });
    const api = createApi({
      isOperator: (peer) => isOperator(this.#config, peer.name),
      execute: (request) => leader.execute(request),
      query: (query) => leader.query(query),
      fetch: (request) => leader.fetch(request),
      session: (stream) => leader.serve(stream),
      watch: (stream) => leader.watch(stream),
      logs: (stream) => leader.logs(stream),
      bus: (method, peer, request) => this.#broker.handleCall(method, authority.admissionOf(peer.name), request),
      state: (method, peer, request) => this.#store.handleCall(method, authority.admissionOf(peer.name), request),
    });
    const door = tellRefusals(api, {
      clock: this.#ports.clock,
      // Not to those who watch: one peer in a loop would drive out what they read when they come back.
      tell: (refusal) => this.#ports.telemetry.record(refusal.kind, refusal.fields),
    });
    const listening = await this.#ports.network.listen(this.#config.endpoint, door);
    if (!listening.ok) {
      this.#end('it could not listen');
      return listening;
    }
    if (this.#over) {
      listening.value.close();
      return failed('WM_CANCELLED', { message: 'The controller was stopped while it started.', next: 'Start it again.' });
    }
    this.#listener = listening.value;
    return ok();
  }

  async stop(): Promise<void> {
    if (!this.#over) this.#end('stop');
    await this.#broker.stop();
  }

  census(): Census | null {
    const backlog = this.#broker.backlog();
    if (this.#leader === null || this.#over) return null;
    return this.#leader.census(backlog === null ? [] : [{ queue: 'broker', ...backlog }]);
  }

  #closing(sequence: number): void {
    this.#leader?.onClose(sequence);
    this.#snapshots?.onClose(sequence);
  }

  /** The newest placement of an instance is durable: nobody else acts for it from here on. `node` null: nobody at all. */
  #place(token: FencingToken, node: NodeId | null): void {
    this.#holders.place(token, node);
    this.#broker.fence(token);
    this.#store.fence(token);
  }

  #tell(facts: readonly Fact[], correlation: CorrelationId | null, sequence: number): void {
    for (const fact of facts) {
      this.#ports.telemetry.record(fact.kind, fact.fields, correlation);
      this.#leader?.told(fact, correlation, sequence);
    }
  }

  #end(cause: string): void {
    if (this.#over) return;
    this.#over = true;
    this.#listener?.close();
    this.#journal?.stop();
    this.#leader?.stop(cause);
    this.#ports.telemetry.record('controller.stopped', { term: this.#term, cause });
    this.#settleEnded(cause);
  }
}
