// The controller while it leads: turns calls, sessions and silence into entries, and the durable ones into messages. Each handler
// reads the head state and commits in one turn; only what waits for durability is asynchronous (architecture §5).
import type { CorrelationId, NodeId, Term } from '../domain/identifiers.ts';
import type { OperatorAnswer, OperatorQuery, OperatorReply, OperatorRequest } from '../domain/operator.ts';
import type { TrustedKey } from '../domain/module.ts';
import { assert, ok, rejected, unknown, type Outcome } from '../domain/outcome.ts';
import type { FetchReply, FetchRequest } from '../domain/session.ts';
import type { Census, Fact } from '../domain/telemetry.ts';
import type { InstanceRecord } from '../deployments/deployments.ts';
import type { Journal } from '../journal/journal.ts';
import { Liveness, planSilence } from '../nodes/nodes.ts';
import { MICROS_PER_S, type Timer } from '../ports/clock.ts';
import type { Ports } from '../ports/ports.ts';
import type { Telemetry } from '../ports/telemetry.ts';
import type { AgentStream, LogsStream, WatchStream } from '../api/api.ts';
import { ArtefactReader } from './artefacts.ts';
import { countCensus } from './census.ts';
import { planCommand } from './commands.ts';
import { Compiler } from './compiler.ts';
import type { ControllerConfig } from './config.ts';
import { Durability } from './durability.ts';
import { planAboveFloor } from './epochs.ts';
import { tooMany } from './feed.ts';
import { GuestLogs } from './guest-logs.ts';
import { Matrix } from './matrix.ts';
import type { Head } from './head.ts';
import { Placing } from './placing.ts';
import { plan, PLANS_MAX } from './planning.ts';
import { planExpiry } from '../modules/modules.ts';
import { answerQuery, type Inventory } from './queries.ts';
import type { Recent } from './recent.ts';
import { Retries } from './retries.ts';
import { Rollbacks } from './rollbacks.ts';
import { Roster } from './roster.ts';
import type { Entry, ReplyBody } from './state.ts';
import { Triggers, type ConsumerBroker } from './messaging.ts';
import { planUpload, prepareUpload, type Push } from './upload.ts';
import { Watching } from './watching.ts';

export type LeaderPorts = Pick<Ports, 'clock' | 'keys' | 'storage' | 'telemetry' | 'wasm'>;

export type LeaderOptions = {
  readonly ports: LeaderPorts;
  readonly config: ControllerConfig;
  readonly head: Head;
  readonly journal: Journal<Entry>;
  readonly broker: ConsumerBroker;
  readonly controllerKey: TrustedKey;
  readonly term: Term;
  readonly recent: Recent;
  readonly onBroken: (cause: string) => void;
};

/** How often instances that follow demand are looked at. */
const FOLLOW_MICROS = MICROS_PER_S;

/** Bound: uploads that are checked and compiled at a time. */
const UPLOADS_MAX = 16;

export class Leader {
  readonly #options: LeaderOptions;
  readonly #head: Head;
  readonly #placing: Placing;
  readonly #matrix: Matrix;
  readonly #compiler: Compiler;
  readonly #roster: Roster;
  readonly #rollbacks: Rollbacks;
  readonly #triggers: Triggers;
  readonly #liveness: Liveness;
  readonly #artefacts: ArtefactReader;
  readonly #inventory: Inventory;
  readonly #watching: Watching;
  readonly #logs: GuestLogs;
  /** Commands that were accepted or are being worked on, by identifier. */
  readonly #executing = new Map<string, Promise<Outcome<OperatorReply>>>();
  readonly #durability: Durability;
  readonly #retries: Retries;
  #uploads = 0;
  #plans = 0;
  #tick: Timer | null = null;
  #followedMicros = 0;
  #continuing: Timer | null = null;
  #stopped = false;

  constructor(options: LeaderOptions) {
    const { config, head, journal, recent } = options;
    const ports: LeaderPorts = { ...options.ports, telemetry: this.#telling(options.ports.telemetry) };
    this.#options = { ...options, ports };
    this.#head = head;
    this.#durability = new Durability(journal);
    this.#retries = new Retries({ clock: ports.clock, head, commit: (entries) => this.commit(entries) });
    this.#liveness = new Liveness(config, ports.clock.monotonicMicros());
    this.#matrix = new Matrix(ports.wasm.profiles, () => {
      this.#watching.matrixChanged();
      // Whoever waits for this code is told why in vain.
      head.placingWanted = true;
      this.commit([]);
    });
    this.#placing = new Placing({
      head,
      matrix: this.#matrix,
      weights: config.weights,
      clock: ports.clock,
      refused: (instance, fact) => {
        this.#watching.decisionChanged(instance);
        journal.whenDurable(() => this.#tell(fact));
      },
      onUnfinished: () => {
        this.#continuing ??= ports.clock.after(0, () => {
          this.#continuing = null;
          this.commit([]);
        });
      },
    });
    this.#compiler = new Compiler({ ports, head, matrix: this.#matrix, commit: (entries) => this.commit(entries) });
    this.#rollbacks = new Rollbacks({ clock: ports.clock, tell: (fact) => this.#tell(fact) });
    this.#triggers = new Triggers({
      broker: options.broker,
      clock: ports.clock,
      telemetry: ports.telemetry,
      onReady: (deployment) => {
        head.markDeployment(deployment);
        this.#flush();
      },
      onBroken: options.onBroken,
    });
    this.#artefacts = new ArtefactReader(
      ports,
      (digest) => head.artefacts.has(digest),
      (digest) => this.#compiler.remake(digest),
    );
    this.#inventory = {
      state: head.state,
      loadOf: (node) => this.#liveness.loadOf(node),
      refusalOf: (instance) => this.#placing.refusalOf(instance),
      events: () => recent.newest(),
      matrix: () => this.#matrix.cells(head),
    };
    this.#watching = new Watching({ clock: ports.clock, term: options.term, head, inventory: this.#inventory, recent, journal });
    head.observer = this.#watching;
    this.#logs = new GuestLogs({
      clock: ports.clock,
      deploymentOf: (instance) => head.state.deployments.instances.get(instance)?.deployment ?? null,
      isDeployed: (deployment) => head.state.deployments.deployments.has(deployment),
    });
    this.#roster = new Roster({
      ports,
      config,
      head,
      liveness: this.#liveness,
      term: options.term,
      controllerKey: options.controllerKey,
      ready: this.#triggers.ready,
      rollbacks: this.#rollbacks,
      commit: (entries) => this.commit(entries),
      whenDurable: (release) => journal.whenDurable(release),
      doubt: (instance) => this.#doubt(instance),
      loadReported: (node) => this.#watching.loadReported(node),
      logged: (node, logs) => this.#logs.add(node, logs),
    });
  }

  /** Everything is given a full grace period; consumers exist before anybody is served. */
  async start(): Promise<void> {
    const { clock } = this.#options.ports;
    for (const node of this.#head.state.nodes.nodes.keys()) this.#liveness.watch(node, clock.monotonicMicros());
    await this.#triggers.start(this.#head.state.events.triggers);
    if (this.#stopped) return;
    for (const instance of this.#head.state.deployments.instances.values()) this.#retries.schedule(instance);
    this.commit(planAboveFloor(this.#head.state, clock.civilMs()));
    this.#scheduleTick();
  }

  stop(cause: string): void {
    this.#stopped = true;
    this.#tick?.cancel();
    this.#continuing?.cancel();
    this.#retries.stop();
    this.#compiler.stop();
    this.#triggers.stop();
    this.#roster.stop(cause);
    this.#watching.stop();
    this.#logs.stop();
    this.#durability.stop();
  }

  /** The state is the fold through record `sequence`, which is about to be closed: what is built of it leaves when that is durable. */
  onClose(sequence: number): void {
    this.#roster.prepareDesired(this.#options.journal, sequence);
    this.#watching.prepare();
  }

  /** A fact that came with record `sequence` became durable, and is known to whoever reads records. */
  told(fact: Fact, correlation: CorrelationId | null, sequence: number): void {
    this.#watching.told(fact, correlation, sequence);
  }

  serve(stream: AgentStream): Promise<void> {
    return this.#roster.serve(stream);
  }

  watch(stream: WatchStream): Promise<void> {
    return this.#watching.serve(stream);
  }

  logs(stream: LogsStream): Promise<void> {
    return this.#logs.serve(stream);
  }

  fetch(request: FetchRequest): Promise<Outcome<FetchReply>> {
    return this.#artefacts.read(request);
  }

  /** Applies entries and whatever follows from them in the same turn: placements, retries, compilations. */
  commit(entries: readonly Entry[], correlation: CorrelationId | null = null): void {
    if (this.#stopped) return;
    this.#head.commit(entries, correlation);
    this.#placing.run();
    for (const entry of entries) {
      if (entry.kind === 'deployment-deleted') this.#logs.forget(entry.deployment);
      if (entry.kind === 'trigger-applied') this.#options.journal.whenDurable(() => this.#triggers.apply(entry.spec));
      if (entry.kind === 'trigger-deleted') this.#options.journal.whenDurable(() => this.#triggers.delete(entry.trigger));
      if (entry.kind === 'instance-stopped') this.#placing.forget(entry.instance);
      if (entry.kind === 'instance-failed') this.#failed(this.#head.getInstance(entry.instance));
      if (entry.kind === 'node-enrolled' || entry.kind === 'node-facts' || entry.kind === 'module-stored') this.#compiler.poke();
    }
    if (this.#head.dirty.size > 0) this.#flush();
  }

  async query(query: OperatorQuery): Promise<Outcome<OperatorAnswer>> {
    if (query.kind === 'plan') return this.#plan(query);
    const answer = answerQuery(this.#inventory, query);
    return (await this.#durability.reached()) ? ok(answer) : interrupted();
  }

  census(queues: Census['queues']): Census {
    const { sessionCount: sessions } = this.#roster;
    return countCensus(this.#head.state, { sessions, journalSequence: this.#options.journal.durableSequence, queues });
  }

  async #plan(query: Extract<OperatorQuery, { readonly kind: 'plan' }>): Promise<Outcome<OperatorAnswer>> {
    if (this.#plans >= PLANS_MAX) return { ok: false, error: tooMany('plans', PLANS_MAX) };
    const { keys, clock } = this.#options.ports;
    this.#plans += 1;
    const planning = plan({ head: this.#head, placing: this.#placing, keys, clock }, query);
    const planned = await planning.finally(() => (this.#plans -= 1));
    return this.#stopped ? interrupted() : planned;
  }

  execute(request: OperatorRequest): Promise<Outcome<OperatorReply>> {
    const running = this.#executing.get(request.id);
    if (running !== undefined) return running;
    const receivedMicros = this.#options.ports.clock.monotonicMicros();
    const done = this.#execute(request, receivedMicros).finally(() => this.#executing.delete(request.id));
    this.#executing.set(request.id, done);
    return done;
  }

  async #execute({ id, command }: OperatorRequest, receivedMicros: number): Promise<Outcome<OperatorReply>> {
    const correlation = id as CorrelationId;
    const answered = this.#head.state.answered.get(id);
    if (answered === undefined) {
      const accepted = command.kind === 'module-push' ? await this.#push(id, command) : this.#accept(id, command);
      if (!accepted.ok) {
        if (this.#stopped) return interrupted();
        this.#options.ports.telemetry.record('command.refused', { id, command: command.kind, code: accepted.error.code }, correlation);
        return accepted;
      }
      if (command.kind === 'rollback') this.#watchRollback(command, receivedMicros);
    }
    const reply = this.#head.state.answered.get(id);
    assert(reply !== undefined, `command ${id} was answered when it was accepted`);
    const durable = this.#durability.reached();
    if (!(await durable)) return interrupted();
    const followed = await this.#followUp(command);
    if (this.#stopped) return interrupted();
    if (!followed.ok) return followed;
    const { clock, telemetry } = this.#options.ports;
    const micros = clock.monotonicMicros() - receivedMicros;
    telemetry.record('command.acknowledged', { id, command: command.kind, sequence: reply.sequence, micros }, correlation);
    return ok(reply);
  }

  #accept(id: string, command: Exclude<OperatorRequest['command'], { readonly kind: 'module-push' }>): Outcome<void> {
    if (this.#stopped) return interrupted();
    const { clock, keys } = this.#options.ports;
    this.#expireKeys();
    const planned = planCommand(this.#head.state, command, keys, clock.civilMs());
    if (!planned.ok) return planned;
    if (command.kind === 'node-remove') this.#liveness.forget(command.node);
    this.#answer(id, command.kind, planned.value, { kind: 'done' });
    return ok();
  }

  async #push(id: string, push: Push): Promise<Outcome<void>> {
    if (this.#uploads >= UPLOADS_MAX) {
      return rejected('WM_ARGUMENT', {
        message: `${UPLOADS_MAX} uploads are being worked on.`,
        next: 'Push again when one of them is answered.',
      });
    }
    const { ports } = this.#options;
    this.#uploads += 1;
    const tools = { matrix: this.#matrix, compiler: this.#compiler };
    const prepared = await prepareUpload(ports, this.#head, tools, push).finally(() => (this.#uploads -= 1));
    if (this.#stopped) return interrupted();
    this.#expireKeys();
    const planned = prepared.ok ? planUpload(ports, this.#head, push, prepared.value) : prepared;
    if (planned.ok) {
      const { version, entries } = planned.value;
      this.#answer(id, push.kind, entries, { kind: 'module-stored', module: push.manifest.name, version });
      return ok();
    }
    const { name, digest } = push.manifest;
    ports.telemetry.record(
      'module.refused',
      { module: name, digest, key: push.signature?.key ?? null, code: planned.error.code },
      id as CorrelationId,
    );
    return planned;
  }

  #answer(id: string, command: string, entries: readonly Entry[], reply: ReplyBody): void {
    this.commit([...entries, { kind: 'request-answered', id, command, reply }], id as CorrelationId);
  }

  /** What an accepted command needs of the broker before its sender may rely on it. */
  async #followUp(command: OperatorRequest['command']): Promise<Outcome<void>> {
    if (command.kind === 'trigger-delete' || command.kind === 'deployment-delete') await this.#triggers.settled();
    if (command.kind !== 'trigger-apply') return ok();
    await this.#triggers.settled();
    const error = this.#triggers.refusalOf(command.spec.name);
    if (error === null) return ok();
    return rejected(error.code, {
      message: `Trigger '${command.spec.name}' is applied, but the broker refuses it: ${error.message}`,
      next: `${error.next} The broker is asked again until it takes the trigger.`,
      detail: error.detail,
    });
  }

  #watchRollback(command: Extract<OperatorRequest['command'], { readonly kind: 'rollback' }>, receivedMicros: number): void {
    const { deployment, version } = command;
    const nodes = new Set<NodeId>();
    for (const instance of this.#head.state.deployments.instances.values()) {
      if (instance.deployment !== deployment || instance.node === null || instance.state === 'stopped') continue;
      if (this.#roster.isInTouch(instance.node)) nodes.add(instance.node);
    }
    const sequence = this.#options.journal.nextSequence;
    this.#options.journal.whenDurable(() => {
      // Those whose session ended meanwhile are told when they are back.
      for (const node of nodes) if (!this.#roster.isInTouch(node)) nodes.delete(node);
      this.#rollbacks.watch({ deployment, version, nodes, sequence, receivedMicros });
    });
  }

  /** Makes the journal close a batch, so that what is dirty is built and sent, even where nothing is to be written. */
  #flush(): void {
    this.#options.journal.whenDurable(() => {});
  }

  #scheduleTick(): void {
    const { clock } = this.#options.ports;
    this.#tick = clock.after(this.#liveness.checkIntervalMicros, () => {
      this.#checkSilence();
      this.#expireKeys();
      this.#followDemand();
      if (!this.#stopped) this.#scheduleTick();
    });
  }

  #checkSilence(): void {
    const { clock } = this.#options.ports;
    const { config } = this.#options;
    for (const { node, silentMs } of this.#liveness.findSilent(clock.monotonicMicros())) {
      const entries = planSilence(this.#head.state.nodes, node, silentMs, config, clock.civilMs());
      const lost = entries.some((entry) => entry.kind === 'node-status' && entry.status === 'unavailable');
      if (entries.length === 0) continue;
      this.commit(lost ? [...entries, ...this.#roster.planLoss(node)] : entries);
      if (lost) this.#roster.drop(node, 'its node is unavailable');
    }
  }

  /** Before anything is believed, and at each tick. */
  #expireKeys(): void {
    const entries = planExpiry(this.#head.state.modules, this.#options.ports.clock.civilMs());
    if (entries.length > 0) this.commit(entries);
  }

  #followDemand(): void {
    const now = this.#options.ports.clock.monotonicMicros();
    if (this.#stopped || now - this.#followedMicros < FOLLOW_MICROS) return;
    this.#followedMicros = now;
    if (this.#placing.follow()) this.commit([]);
  }

  #failed(instance: InstanceRecord): void {
    this.#placing.failed(instance);
    this.#retries.schedule(instance);
  }

  /** An agent did not believe what it was given for this instance. */
  #doubt(instance: InstanceRecord): void {
    const found = this.#roster.artefactOf(instance);
    if (found !== null) this.#compiler.doubt(found.version, found.artefact, this.#options.controllerKey.publicKey);
  }

  #tell(fact: Fact): void {
    this.#options.ports.telemetry.record(fact.kind, fact.fields);
  }

  /** What the leader records of itself is told to operators as well, but for what they said and were answered themselves. */
  #telling(telemetry: Telemetry): Telemetry {
    return {
      log: (level, message, correlation) => telemetry.log(level, message, correlation),
      record: (kind, fields, correlation = null) => {
        telemetry.record(kind, fields, correlation);
        if (kind === 'command.acknowledged') return;
        this.#watching.told({ kind, fields } as Fact, correlation, this.#options.journal.durableSequence);
      },
    };
  }
}

function interrupted(): Outcome<never> {
  return unknown('WM_STORAGE_FAILED', {
    message: 'The controller ended before it knew that this is durable.',
    next: 'Repeat the command with the same identifier.',
  });
}
