// One session with the controller, from the dialling to its end: hello, welcome, heartbeats out, desired states in.
// It ends by itself when the stream ends, when answers stay away, or when it is told so; it never dials again.
import type { AgentMessage, ControllerMessage } from '../../system/domain/session.ts';
import { SESSION_METHOD } from '../../system/domain/session.ts';
import { describeError, failed } from '../../system/domain/outcome.ts';
import type { Err, Outcome, WmError } from '../../system/domain/outcome.ts';
import type { Endpoint, Term } from '../../system/domain/identifiers.ts';
import { MEASURED_FOR_MS } from '../../system/domain/node.ts';
import type { LatencyReport, NodeLoad } from '../../system/domain/node.ts';
import type { ByteStream, Connection } from '../../system/ports/network.ts';
import { MICROS_PER_MS } from '../../system/ports/clock.ts';
import { hearAll } from '../../system/ports/hear.ts';
import type { Clock, Timer } from '../../system/ports/clock.ts';
import type { Ports } from '../../system/ports/ports.ts';
import { decodeControllerMessage, encodeAgentMessage } from '../../system/wire/codec/session.ts';
import type { AgentBounds } from '../bounds.ts';
import type { Outbox } from './outbox.ts';

export type Welcome = Extract<ControllerMessage, { kind: 'welcome' }>;
export type Desired = Extract<ControllerMessage, { kind: 'desired' }>;
export type Hello = Extract<AgentMessage, { kind: 'hello' }>;

/** What the agent knows and a session has to ask or tell. */
export type SessionHost = {
  readonly hello: () => Hello;
  readonly load: () => NodeLoad;
  /** The same array until something was measured anew. */
  readonly latencies: () => readonly LatencyReport[];
  /** Whether the controller may be believed: its term is not older, its key the one that was pinned. */
  readonly welcomed: (welcome: Welcome) => Promise<Outcome<void>>;
  /** False: an older leader speaks. */
  readonly acceptsTerm: (term: Term) => boolean;
  readonly renewLease: (sentMicros: number, leaseMs: number) => void;
  readonly desired: (desired: Desired, bytes: Uint8Array) => void;
};

export const NO_SESSION: Err = failed('WM_UNREACHABLE', {
  message: 'There is no session with the controller now.',
  next: 'The controller is dialled again; repeat the call then.',
});

/** Distances are said when they are new, and again before the controller would forget them: most heartbeats need not. */
const LATENCIES_AGAIN_MS = MEASURED_FOR_MS / 3;
const NO_NEWS: readonly LatencyReport[] = [];
/** Bound: heartbeats whose time of sending is remembered. */
const SENT_MAX = 1_024;

export type LinkEnd = {
  readonly cause: string;
  readonly wasWelcomed: boolean;
  /** The controller will not have this agent, or this agent not this controller. */
  readonly isRefused: boolean;
  /** A heartbeat was answered: the next dialling begins its backoff anew. */
  readonly isProven: boolean;
};

export class Link {
  readonly #ports: Pick<Ports, 'clock' | 'network' | 'telemetry'>;
  readonly #clock: Clock;
  readonly #bounds: AgentBounds;
  readonly #host: SessionHost;
  readonly #outbox: Outbox;
  readonly #onConnected: () => void;
  #connection: Connection | null = null;
  #stream: ByteStream | null = null;
  #end: LinkEnd | null = null;
  #isWelcomed = false;
  #isProven = false;
  #isSending = false;
  #heartbeatTimer: Timer | null = null;
  #heartbeatIntervalMs = 0;
  #isHeartbeatDue = false;
  #sequence = 0;
  #silentHeartbeats = 0;
  /** When the heartbeat of a number was sent, in the place of its number. Bound: those within one lease; an answer to an older one renews nothing. */
  #sentMicros: number[] = [];
  /** Number of the last heartbeat that was answered. */
  #answered = 0;
  /** The distances that were said last, and when. */
  #latencies: readonly LatencyReport[] | null = null;
  #latenciesMicros = 0;
  readonly #onBeat = (): void => this.#beat();
  readonly #onHeard = (received: Outcome<Uint8Array | null>): boolean => this.#hear(received);
  readonly #onSent = (sent: Outcome<void>): void => this.#sent(sent);

  constructor(
    ports: Pick<Ports, 'clock' | 'network' | 'telemetry'>,
    bounds: AgentBounds,
    host: SessionHost,
    outbox: Outbox,
    onConnected: () => void,
  ) {
    this.#ports = ports;
    this.#clock = ports.clock;
    this.#bounds = bounds;
    this.#host = host;
    this.#outbox = outbox;
    this.#onConnected = onConnected;
  }

  /** Resolves when the session has ended. */
  async run(controller: Endpoint): Promise<LinkEnd> {
    const connected = await this.#ports.network.connect(controller, { deadlineMicros: this.#bounds.connectDeadlineMs * MICROS_PER_MS });
    if (!connected.ok) return this.#finish(describeError(connected.error), false);
    this.#connection = connected.value;
    if (this.#end !== null) {
      connected.value.close();
      return this.#end;
    }
    const guard = this.#clock.after(this.#bounds.welcomeDeadlineMs * MICROS_PER_MS, () => {
      this.#finish(`no welcome within ${this.#bounds.welcomeDeadlineMs} ms`, false);
    });
    const opened = await connected.value.open(SESSION_METHOD);
    if (!opened.ok) {
      guard.cancel();
      return this.#finish(describeError(opened.error), false);
    }
    this.#stream = opened.value;
    await this.#greet(opened.value);
    guard.cancel();
    if (this.#end === null) {
      this.#isWelcomed = true;
      this.#onConnected();
      this.#beat();
      await hearAll(opened.value, this.#onHeard);
    }
    return this.#end ?? this.#finish('the controller closed the session', false);
  }

  /** There is something in the outbox. */
  wake(): void {
    if (this.#isWelcomed) this.#send();
  }

  isWelcomed(): boolean {
    return this.#isWelcomed && this.#end === null;
  }

  /** Nothing waits to be sent. */
  isQuiet(): boolean {
    return !this.#isSending && this.#outbox.isEmpty();
  }

  close(cause: string): void {
    this.#finish(cause, false);
  }

  async call(method: string, request: Uint8Array, deadlineMicros: number): Promise<Outcome<Uint8Array>> {
    if (this.#connection === null || !this.isWelcomed()) return NO_SESSION;
    return this.#connection.call(method, request, { deadlineMicros });
  }

  async #greet(stream: ByteStream): Promise<void> {
    const sentMicros = this.#clock.monotonicMicros();
    this.#outbox.forgetReports();
    const sent = await stream.send(encodeAgentMessage(this.#host.hello()));
    if (!sent.ok) return void this.#finish(describeError(sent.error), false);
    const answer = this.#decode(await stream.receive());
    if (answer === null || this.#end !== null) return;
    if (answer.kind === 'refused') return void this.#refused(answer.code, answer.message, answer.next);
    if (answer.kind !== 'welcome') return void this.#finish(`the controller began with ${answer.kind} instead of a welcome`, true);
    const believed = await this.#host.welcomed(answer);
    if (!believed.ok) return void this.#disbelieved(believed.error);
    this.#heartbeatIntervalMs = Math.max(answer.heartbeatIntervalMs, this.#bounds.heartbeatIntervalMsMin);
    const withinLease = Math.ceil(answer.leaseMs / this.#heartbeatIntervalMs) + 1;
    this.#sentMicros = Array.from({ length: Math.min(SENT_MAX, Math.max(this.#bounds.silentHeartbeatsMax, withinLease)) }, () => 0);
    if (this.#end === null) this.#host.renewLease(sentMicros, answer.leaseMs);
  }

  /** False: nothing more is wanted. */
  #hear(received: Outcome<Uint8Array | null>): boolean {
    const message = this.#decode(received);
    if (message !== null && received.ok && received.value !== null) this.#handle(message, received.value);
    return this.#end === null;
  }

  #handle(message: ControllerMessage, bytes: Uint8Array): void {
    this.#silentHeartbeats = 0;
    switch (message.kind) {
      case 'welcome':
        return void this.#finish('the controller welcomed it twice', true);
      case 'heartbeat-ack': {
        if (!this.#host.acceptsTerm(message.term)) return void this.#finish('an answer of an older leader', true);
        const sentMicros = this.#takeAnswered(message.sequence);
        this.#isProven = true;
        if (sentMicros !== null) this.#host.renewLease(sentMicros, message.leaseMs);
        return;
      }
      case 'desired':
        this.#host.desired(message, bytes);
        return;
      case 'refused':
        this.#refused(message.code, message.message, message.next);
        return;
      default:
        message satisfies never;
    }
  }

  /** When the heartbeat of that number was sent; forgets it and those before it. Null: it is not known. */
  #takeAnswered(sequence: number): number | null {
    if (sequence <= this.#answered || sequence > this.#sequence) return null;
    this.#answered = sequence;
    const places = this.#sentMicros.length;
    return sequence > this.#sequence - places ? (this.#sentMicros[sequence % places] as number) : null;
  }

  #refused(code: string, message: string, next: string): void {
    this.#ports.telemetry.log('error', `The controller refused this agent: ${code}: ${message} ${next}`);
    this.#finish(`refused: ${code}`, true);
  }

  #disbelieved(error: WmError): void {
    this.#ports.telemetry.log('error', `This agent does not believe the controller: ${describeError(error)}`);
    this.#finish(`disbelieved: ${error.code}`, true);
  }

  /** Null: the session has ended, by this or before. */
  #decode(received: Outcome<Uint8Array | null>): ControllerMessage | null {
    if (this.#end !== null) return null;
    if (!received.ok) {
      this.#finish(describeError(received.error), false);
      return null;
    }
    if (received.value === null) {
      this.#finish('the controller closed the session', false);
      return null;
    }
    const decoded = decodeControllerMessage(received.value);
    if (!decoded.ok) {
      this.#finish(describeError(decoded.error), true);
      return null;
    }
    return decoded.value;
  }

  /** Now, and again after every interval. A machine that was paused beats once and is not blamed for the silence of its pause. */
  #beat(): void {
    if (this.#end !== null) return;
    if (this.#silentHeartbeats >= this.#bounds.silentHeartbeatsMax) {
      this.#finish(`no answer to ${this.#silentHeartbeats} heartbeats`, false);
      return;
    }
    this.#silentHeartbeats += 1;
    this.#isHeartbeatDue = true;
    this.#heartbeatTimer = this.#clock.after(this.#heartbeatIntervalMs * MICROS_PER_MS, this.#onBeat);
    this.#send();
  }

  /** One sender at a time; whatever is due when the window opens is sent, so nothing piles up behind a slow link. */
  #send(): void {
    const stream = this.#stream;
    if (this.#isSending || stream === null || this.#end !== null) return;
    const message = this.#outbox.take() ?? this.#takeHeartbeat() ?? this.#outbox.takeLogs();
    if (message === null) return;
    this.#isSending = true;
    void stream.send(encodeAgentMessage(message)).then(this.#onSent);
  }

  #sent(sent: Outcome<void>): void {
    this.#isSending = false;
    if (sent.ok) this.#send();
    else this.#finish(describeError(sent.error), false);
  }

  #takeHeartbeat(): AgentMessage | null {
    if (!this.#isHeartbeatDue) return null;
    this.#isHeartbeatDue = false;
    const nowMicros = this.#clock.monotonicMicros();
    const sequence = ++this.#sequence;
    this.#sentMicros[sequence % this.#sentMicros.length] = nowMicros;
    return { kind: 'heartbeat', sequence, load: this.#host.load(), latencies: this.#takeLatencies(nowMicros) };
  }

  #takeLatencies(nowMicros: number): readonly LatencyReport[] {
    const latencies = this.#host.latencies();
    const isKnown = latencies === this.#latencies && nowMicros - this.#latenciesMicros < LATENCIES_AGAIN_MS * MICROS_PER_MS;
    if (isKnown) return NO_NEWS;
    this.#latencies = latencies;
    this.#latenciesMicros = nowMicros;
    return latencies;
  }

  #finish(cause: string, isRefused: boolean): LinkEnd {
    if (this.#end !== null) return this.#end;
    this.#end = { cause, isRefused, wasWelcomed: this.#isWelcomed, isProven: this.#isProven };
    this.#heartbeatTimer?.cancel();
    this.#stream?.close();
    this.#connection?.close();
    return this.#end;
  }
}
