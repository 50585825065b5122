// Agents' sessions: one a node, a newer one replaces the older (R1.3). Lets agents in, hears them, and sends each node what it is
// to run, built when a record is closed and sent when it is durable.
import type { NodeId, Term, TriggerName } from '../domain/identifiers.ts';
import type { ModuleVersion, SignedArtefact, TrustedKey } from '../domain/module.ts';
import { rejected, type Err, type Outcome } from '../domain/outcome.ts';
import type { AgentMessage } from '../domain/session.ts';
import type { ErrorCode } from '../domain/errors.ts';
import type { AgentStream } from '../api/api.ts';
import { holdsNode, planHelloReports, planReport, type InstanceRecord } from '../deployments/deployments.ts';
import { findArtefact, findVersion } from '../modules/modules.ts';
import { checkHello, planHeartbeat, planHello, planMoved, type Liveness } from '../nodes/nodes.ts';
import { MICROS_PER_S } from '../ports/clock.ts';
import type { Ports } from '../ports/ports.ts';
import type { ControllerConfig } from './config.ts';
import { FEATURES_MAX } from '../placement/placement.ts';
import { buildDesired, DESIRED_BYTES_MAX, landmarksOfHead } from './desired.ts';
import type { Head } from './head.ts';
import type { Rollbacks } from './rollbacks.ts';
import { Rivals } from './rivals.ts';
import { AgentSession } from './session.ts';
import type { Entry } from './state.ts';

/** Bound: time that a stream has for its hello. */
const HELLO_MICROS = 5 * MICROS_PER_S;
/** Bound: reports of instances in one hello. */
const REPORTS_MAX = 10_000;
/** Codes with which an agent says that it does not believe an artefact. */
const DISBELIEF: readonly ErrorCode[] = ['WM_SIGNATURE_INVALID', 'WM_SIGNATURE_MISSING', 'WM_SIGNER_UNTRUSTED', 'WM_DIGEST_MISMATCH'];

type Hello = Extract<AgentMessage, { readonly kind: 'hello' }>;

export type RosterOptions = {
  readonly ports: Pick<Ports, 'clock' | 'telemetry'>;
  readonly config: ControllerConfig;
  readonly head: Head;
  readonly liveness: Liveness;
  readonly term: Term;
  readonly controllerKey: TrustedKey;
  readonly ready: ReadonlySet<TriggerName>;
  readonly rollbacks: Rollbacks;
  readonly commit: (entries: readonly Entry[]) => void;
  readonly whenDurable: (release: () => void) => void;
  readonly doubt: (instance: InstanceRecord) => void;
  readonly loadReported: (node: NodeId) => void;
  readonly logged: (node: NodeId, logs: Extract<AgentMessage, { readonly kind: 'logs' }>) => void;
};

export class Roster {
  readonly #options: RosterOptions;
  /** Bound: one a node. */
  readonly #sessions = new Map<NodeId, AgentSession>();
  readonly #rivals: Rivals;
  #revision = 0;
  #landmarks = '';
  #stopped = false;

  constructor(options: RosterOptions) {
    this.#options = options;
    const { clock } = options.ports;
    this.#rivals = new Rivals({ clock, heartbeatIntervalMs: options.config.heartbeatIntervalMs });
  }

  stop(cause: string): void {
    this.#stopped = true;
    for (const session of [...this.#sessions.values()]) session.close(cause);
  }

  drop(node: NodeId, cause: string): void {
    this.#sessions.get(node)?.close(cause);
  }

  get sessionCount(): number {
    return this.#sessions.size;
  }

  isInTouch(node: NodeId): boolean {
    const status = this.#options.head.state.nodes.nodes.get(node)?.status;
    return this.#sessions.has(node) && (status === 'healthy' || status === 'draining');
  }

  artefactOf(instance: InstanceRecord): { readonly version: ModuleVersion; readonly artefact: SignedArtefact } | null {
    const { state } = this.#options.head;
    const version = findVersion(state.modules, instance.module, instance.version);
    const profile = instance.node === null ? undefined : state.nodes.nodes.get(instance.node)?.facts.profile;
    const artefact = version === null || profile === undefined ? null : findArtefact(state.modules, version.manifest.digest, profile);
    return version === null || artefact === null ? null : { version, artefact };
  }

  /** R6.2: what moves when `node` is unavailable. */
  planLoss(node: NodeId): readonly Entry[] {
    const { head, ports } = this.#options;
    const atMs = ports.clock.civilMs();
    return head
      .instancesOn(node)
      .filter(
        (instance) =>
          instance.state !== 'stopped' && head.state.deployments.deployments.get(instance.deployment)?.spec.whenUnreachable === 'move',
      )
      .map((instance): Entry => ({ kind: 'instance-unplaced', instance: instance.id, atMs, cause: `node ${node} is unavailable` }));
  }

  /** Builds what changed as of record `sequence`, which is about to be closed; it is sent when that is durable. */
  prepareDesired(journal: { whenDurable(release: () => void): void }, sequence: number): void {
    const { head, term, ready, rollbacks } = this.#options;
    const landmarks = JSON.stringify(landmarksOfHead(head));
    if (landmarks !== this.#landmarks) {
      this.#landmarks = landmarks;
      for (const node of this.#sessions.keys()) head.dirty.add(node);
    }
    if (head.dirty.size === 0) return;
    for (const node of [...head.dirty].sort()) {
      const session = this.#sessions.get(node);
      if (session === undefined) continue;
      this.#revision = Math.max(this.#revision + 1, sequence);
      const { message, leftOut, isMoreWithdrawn } = buildDesired(head, node, { term, revision: this.#revision, ready });
      if (isMoreWithdrawn) head.toLetGo.set(node, new Set(message.withdrawn.map(({ instance }) => instance)));
      else head.toLetGo.delete(node);
      if (leftOut.length > 0) journal.whenDurable(() => this.#giveUp(leftOut));
      const again = head.retell.has(node);
      journal.whenDurable(() => session.desire(message, again, () => rollbacks.left(node, sequence)));
    }
    head.dirty.clear();
    head.retell.clear();
  }

  /** R1.4: what there is no room to tell a node of fails there and is placed again, rather than that node hears of nothing any more. */
  #giveUp(leftOut: readonly InstanceRecord[]): void {
    const { head, ports, commit } = this.#options;
    const atMs = ports.clock.civilMs();
    const entries = leftOut.flatMap(({ id, epoch, node }): readonly Entry[] => {
      const instance = head.state.deployments.instances.get(id);
      if (instance === undefined || instance.epoch !== epoch || !holdsNode(instance)) return [];
      const cause = `more is placed on ${node} than one message tells it of (${DESIRED_BYTES_MAX} bytes)`;
      return [{ kind: 'instance-failed', instance: id, code: 'WM_MESSAGE_TOO_LARGE', atMs, cause }];
    });
    if (entries.length > 0) commit(entries);
  }

  async serve(stream: AgentStream): Promise<void> {
    const timer = this.#options.ports.clock.after(HELLO_MICROS, () => stream.close());
    const first = await stream.receive();
    timer.cancel();
    if (!first.ok || first.value === null || this.#stopped) return stream.close();
    const hello = first.value;
    const refusal = this.#checkFirst(hello, stream.peer.name);
    if (refusal !== null || hello.kind !== 'hello') return this.#refuse(stream, refusal);
    const { node } = hello.facts;
    const rival = await this.#rivals.check({ node, bootId: hello.bootId }, () => this.#findOther(node, hello.bootId));
    if (this.#stopped) return stream.close();
    if (rival !== null) return this.#refuse(stream, rival);
    const session = this.#enter(hello, stream);
    if (!session.closed) await stream.hearAll((received) => this.#hear(session, received));
  }

  /** False: nothing more is wanted. */
  #hear(session: AgentSession, received: Outcome<AgentMessage | null>): boolean {
    if (session.closed) return false;
    if (!received.ok) session.close(received.error.code);
    else if (received.value === null) session.close('the agent closed it');
    else this.#handle(session, received.value);
    return !session.closed;
  }

  #checkFirst(message: AgentMessage, peer: string): Err['error'] | null {
    if (message.kind !== 'hello') {
      return rejected('WM_MESSAGE_INVALID', {
        message: `A session began with '${message.kind}'.`,
        next: 'Begin each session with a hello.',
      }).error;
    }
    const checked = checkHello(message, peer, this.#options.config.joinToken);
    if (!checked.ok) return checked.error;
    if (!this.#options.head.fleet.hasRoomFor(message.facts)) {
      return rejected('WM_NODE_REFUSED', {
        message: `With the ISA features and hardware of ${message.facts.node} the fleet would name more than ${FEATURES_MAX} of them.`,
        next: 'Use the same names for the same hardware on all nodes. Names that no node has any more count until the controller starts again.',
        detail: { featuresMax: FEATURES_MAX },
      }).error;
    }
    if (message.instances.length <= REPORTS_MAX) return null;
    return rejected('WM_NODE_REFUSED', {
      message: `The agent reports ${message.instances.length} instances.`,
      next: `Report at most ${REPORTS_MAX}.`,
    }).error;
  }

  /** Whoever has the session of `node`, unless it is an agent of this boot: one that dials again takes over at once. */
  #findOther(node: NodeId, bootId: string): AgentSession | null {
    const session = this.#sessions.get(node);
    const held = this.#options.head.state.nodes.nodes.get(node)?.bootId;
    return this.#stopped || session === undefined || session.closed || held === bootId ? null : session;
  }

  async #refuse(stream: AgentStream, refusal: Err['error'] | null): Promise<void> {
    if (refusal !== null) {
      const { code, message, next } = refusal;
      this.#options.ports.telemetry.record('security.refused', { node: stream.peer.name, subject: 'session', code, message });
      await stream.send({ kind: 'refused', code, message, next });
    }
    stream.close();
  }

  #enter(hello: Hello, stream: AgentStream): AgentSession {
    const { head, ports, config, liveness, term, controllerKey } = this.#options;
    const id = hello.facts.node;
    const atMs = ports.clock.civilMs();
    liveness.watch(id, ports.clock.monotonicMicros());
    this.#sessions.get(id)?.close('a newer session of the node replaces it');
    const entries: Entry[] = [...planHello(head.state.nodes, hello, atMs)];
    const enrolled = entries.find((entry) => entry.kind === 'node-enrolled');
    if (enrolled === undefined)
      entries.push(...planHelloReports(head.state.deployments, head.instancesOn(id), id, this.#incarnationOf(id), hello.instances, atMs));
    else entries.push(...this.#planRestart(id, enrolled.cause, atMs));
    this.#options.commit(entries);
    const session = new AgentSession({
      node: id,
      incarnation: this.#incarnationOf(id),
      nowMicros: ports.clock.monotonicMicros(),
      stream,
      onClosed: (cause) => this.#closed(session, cause),
    });
    this.#sessions.set(id, session);
    const { incarnation } = session;
    const { heartbeatIntervalMs, leaseMs } = config;
    this.#options.whenDurable(() => session.welcome({ kind: 'welcome', term, incarnation, heartbeatIntervalMs, leaseMs, controllerKey }));
    head.dirty.add(id);
    return session;
  }

  #incarnationOf(id: NodeId): AgentSession['incarnation'] {
    const node = this.#options.head.state.nodes.nodes.get(id);
    return node?.incarnation ?? (0 as AgentSession['incarnation']);
  }

  /** A new incarnation starts with nothing: what it held is placed anew, and what is bound to it comes back to it (R5.4). */
  #planRestart(id: NodeId, why: string, atMs: number): readonly Entry[] {
    const { head } = this.#options;
    return head.instancesOn(id).map((instance): Entry => {
      const common = { instance: instance.id, atMs, cause: `node ${id}: ${why}` };
      if (instance.state === 'stopped') return { ...common, kind: 'instance-released' };
      const stays = head.state.deployments.deployments.get(instance.deployment)?.spec.whenUnreachable === 'stay';
      return { ...common, kind: 'instance-unplaced', ...(stays ? { boundTo: id } : {}) };
    });
  }

  #closed(session: AgentSession, cause: string): void {
    const { ports, rollbacks } = this.#options;
    if (this.#sessions.get(session.node) === session) this.#sessions.delete(session.node);
    rollbacks.lost(session.node);
    ports.telemetry.log('debug', `The session of ${session.node} ended: ${cause}.`);
  }

  #handle(session: AgentSession, message: AgentMessage): void {
    const { head, ports, commit } = this.#options;
    session.heardMicros = ports.clock.monotonicMicros();
    const node = head.state.nodes.nodes.get(session.node);
    if (node === undefined || node.status === 'unavailable' || node.incarnation !== session.incarnation) {
      return session.close('the node is of another incarnation by now');
    }
    switch (message.kind) {
      case 'hello':
        return session.close('it said hello twice');
      case 'heartbeat':
        return this.#heard(session, message);
      case 'instance': {
        const { report } = message;
        const entries = planReport(head.state.deployments, session.node, session.incarnation, report, ports.clock.civilMs());
        if (entries.length === 0) return;
        const instance = head.getInstance(report.instance);
        commit(entries);
        if (report.state === 'failed' && report.code !== null && DISBELIEF.includes(report.code)) this.#options.doubt(instance);
        return;
      }
      case 'refusal': {
        const { code, subject, message: text } = message;
        ports.telemetry.record('security.refused', { node: session.node, subject, code, message: text });
        return;
      }
      case 'moved': {
        const planned = planMoved(head.state.nodes, session.node, message.location);
        if (!planned.ok) return session.close(planned.error.message);
        if (planned.value.length > 0) commit(planned.value);
        return;
      }
      case 'logs':
        return this.#options.logged(session.node, message);
    }
  }

  #heard(session: AgentSession, { load, latencies, sequence }: Extract<AgentMessage, { readonly kind: 'heartbeat' }>): void {
    const { head, ports, liveness, config, term, commit } = this.#options;
    const old = liveness.hear(session.node, session.heardMicros, load, latencies);
    for (const landmark of old) head.fleet.forget(session.node, landmark);
    for (const { landmark, rttMicros } of latencies) {
      if (Number.isSafeInteger(rttMicros) && rttMicros >= 0) head.fleet.measure(session.node, landmark, rttMicros);
    }
    const entries = planHeartbeat(head.state.nodes, session.node, ports.clock.civilMs());
    if (entries.length > 0) commit(entries);
    this.#options.loadReported(session.node);
    session.acknowledge({ kind: 'heartbeat-ack', term, sequence, leaseMs: config.leaseMs });
  }
}
