// The agent's line to the controller: dials, is greeted, keeps the line alive, dials again with backoff (R1.1, R1.3).
// It carries reports and refusals out, lets the artefact cache fetch over the same connection, and decides nothing itself.
// Bound: one session at a time; pauses between diallings grow to `redialMsMax`.
import type { FetchReply, FetchRequest, InstanceReport } from '../../system/domain/session.ts';
import { FETCH_METHOD } from '../../system/domain/session.ts';
import type { Outcome } from '../../system/domain/outcome.ts';
import type { Endpoint, NodeId } from '../../system/domain/identifiers.ts';
import type { GuestLine } from '../../system/domain/logs.ts';
import type { GeoPoint } from '../../system/domain/node.ts';
import { MICROS_PER_MS } from '../../system/ports/clock.ts';
import type { Timer } from '../../system/ports/clock.ts';
import type { Ports } from '../../system/ports/ports.ts';
import { decodeFetchReply, encodeFetchRequest } from '../../system/wire/codec/session.ts';
import type { AgentBounds } from '../bounds.ts';
import { backoffMicros, Wait } from '../waiting/waiting.ts';
import { Link, NO_SESSION } from './link.ts';
import type { LinkEnd, SessionHost } from './link.ts';
import { Outbox } from './outbox.ts';
import type { Refusal } from './outbox.ts';
import { Rate } from './rate.ts';

export type { Desired, Hello, SessionHost, Welcome } from './link.ts';
export type { Refusal } from './outbox.ts';

type SessionPorts = Pick<Ports, 'clock' | 'network' | 'random' | 'telemetry'>;

export class Session {
  readonly #ports: SessionPorts;
  readonly #bounds: AgentBounds;
  readonly #node: NodeId;
  readonly #controller: Endpoint;
  readonly #host: SessionHost;
  readonly #outbox: Outbox;
  readonly #pause: Wait;
  /** Woken when a session begins: what waits for one goes on. */
  readonly #onConnected: () => void;
  #link: Link | null = null;
  #isStopped = false;
  #ended: Promise<void> = Promise.resolve();
  readonly #refusalRate: Rate;
  readonly #logRate: Rate;
  #logTimer: Timer | null = null;

  constructor(
    ports: SessionPorts,
    options: { readonly bounds: AgentBounds; readonly node: NodeId; readonly controller: Endpoint; readonly onConnected: () => void },
    host: SessionHost,
  ) {
    this.#ports = ports;
    this.#bounds = options.bounds;
    this.#node = options.node;
    this.#controller = options.controller;
    this.#onConnected = options.onConnected;
    this.#host = host;
    this.#outbox = new Outbox(options.bounds);
    this.#pause = new Wait(ports.clock);
    this.#refusalRate = new Rate(ports.clock, options.bounds.refusalsPerSecondMax);
    this.#logRate = new Rate(ports.clock, options.bounds.logLinesPerSecondMax);
  }

  start(): void {
    this.#ended = this.#run();
  }

  isConnected(): boolean {
    return this.#link?.isWelcomed() ?? false;
  }

  report(report: InstanceReport): void {
    this.#outbox.report(report);
    this.#link?.wake();
  }

  /** Bound: `refusalsPerSecondMax`; a module in a loop must not fill the controller's audit log. */
  refuse(refusal: Omit<Refusal, 'kind'>): void {
    if (!this.#refusalRate.admits()) return;
    this.#outbox.refuse({ kind: 'refusal', ...refusal });
    this.#link?.wake();
  }

  /** A newer place takes the room of one that was not sent yet. */
  moved(location: GeoPoint): void {
    this.#outbox.move(location);
    this.#link?.wake();
  }

  /** Bound: `logLinesPerSecondMax`. Lines wait a little for each other; nothing is sent where nothing is logged. */
  log(line: GuestLine): void {
    if (!this.#logRate.admits()) return this.#outbox.dropLine(line.instance);
    this.#outbox.log(line);
    this.#logTimer ??= this.#ports.clock.after(this.#bounds.logDelayMs * MICROS_PER_MS, () => {
      this.#logTimer = null;
      this.#link?.wake();
    });
  }

  async fetch(request: FetchRequest): Promise<Outcome<FetchReply>> {
    if (this.#link === null) return NO_SESSION;
    const answered = await this.#link.call(FETCH_METHOD, encodeFetchRequest(request), this.#bounds.fetchDeadlineMs * MICROS_PER_MS);
    return answered.ok ? decodeFetchReply(answered.value) : answered;
  }

  /** Ends the present session: what it still brings was written for a node that was believed to be in another state. */
  redial(cause: string): void {
    this.#link?.close(cause);
  }

  /** Sends what waits within the bound, then closes for good. */
  async stop(flushMs: number): Promise<void> {
    this.#isStopped = true;
    this.#logTimer?.cancel();
    this.#link?.wake();
    const link = this.#link;
    const deadline = this.#ports.clock.monotonicMicros() + flushMs * MICROS_PER_MS;
    while (link !== null && link.isWelcomed() && !link.isQuiet() && this.#ports.clock.monotonicMicros() < deadline) {
      await this.#ports.clock.sleep(MICROS_PER_MS);
    }
    link?.close('the agent stops');
    this.#pause.wake();
    await this.#ended;
  }

  async #run(): Promise<void> {
    const random = this.#ports.random.stream(`agent/${this.#node}/redial`);
    for (let attempt = 0; !this.#isStopped; attempt++) {
      const link = new Link(this.#ports, this.#bounds, this.#host, this.#outbox, () => {
        this.#record('connected', attempt, 'welcome');
        this.#onConnected();
      });
      this.#link = link;
      const end = await link.run(this.#controller);
      if (end.wasWelcomed) this.#record('lost', attempt, end.cause);
      else this.#ports.telemetry.log('warn', `Dialling the controller failed (attempt ${attempt}): ${end.cause}`);
      if (this.#isStopped) break;
      if (end.isProven) attempt = 0;
      await this.#pause.for(this.#pauseMicros(end, attempt, random));
    }
    this.#link = null;
  }

  #pauseMicros(end: LinkEnd, attempt: number, random: ReturnType<Ports['random']['stream']>): number {
    if (!end.isRefused) return backoffMicros({ baseMs: this.#bounds.redialMs, maxMs: this.#bounds.redialMsMax }, attempt, random);
    const mean = this.#bounds.refusedRetryMs * MICROS_PER_MS;
    return Math.floor(mean / 2) + random.below(mean);
  }

  #record(state: 'connected' | 'lost', attempt: number, cause: string): void {
    this.#ports.telemetry.record('agent.session', { node: this.#node, state, attempt, cause });
  }
}
