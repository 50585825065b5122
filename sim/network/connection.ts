// The two ends of a connection. Each end belongs to one incarnation of its machine and knows only what packets told it: an
// end whose peer died stays half open until something it sends is answered by a reset, is given up, or a probe fails.
import { assert, failed, ok, unknown } from '../../system/domain/outcome.ts';
import type { Err, Outcome } from '../../system/domain/outcome.ts';
import { MESSAGE_BYTES_MAX } from '../../system/ports/network.ts';
import type { ByteStream, Connection, PeerIdentity, ServiceHandler } from '../../system/ports/network.ts';
import type { Kernel, ScheduledEvent } from '../kernel/kernel.ts';
import { decodeAnswer, encodeAnswer } from './envelope.ts';
import type { Host, Incoming } from './host.ts';
import type { Link, Packet } from './link.ts';
import { connectionLost, SimStream, tooLarge } from './stream.ts';
import type { StreamCarrier, StreamFrame } from './stream.ts';

/** Bound: calls of one connection that have no answer yet. */
export const CALLS_OPEN_MAX = 1_024;
/** Bound: streams of one connection. */
export const STREAMS_OPEN_MAX = 256;
/** Bytes that a call, a stream or a connection takes besides its message. */
const FRAME_BYTES = 64;

export type ConnectionEnv = {
  readonly kernel: Kernel;
  readonly linkOf: (from: Host, to: Host) => Link;
  /** An end that hears nothing finds out so long after its peer died. */
  readonly keepaliveMicros: number;
};

export type EndOptions = {
  readonly env: ConnectionEnv;
  readonly host: Host;
  readonly peer: Host;
  /** Null: the end that dialled. */
  readonly handler: ServiceHandler | null;
  /** Where the end enters itself, besides at its host, for as long as it lives. */
  readonly registry: Set<ConnectionEnd> | null;
  /** Called once, when it is gone. */
  readonly onGone?: () => void;
};

/** A call that has no answer yet: among `calls` until it is settled, by an answer, a loss or its deadline. */
class PendingCall {
  readonly #id: number;
  readonly #calls: Map<number, PendingCall>;
  readonly #resolve: (outcome: Outcome<Uint8Array>) => void;
  readonly #overdue: () => Err;
  deadline: ScheduledEvent | null = null;

  constructor(id: number, calls: Map<number, PendingCall>, resolve: (outcome: Outcome<Uint8Array>) => void, overdue: () => Err) {
    this.#id = id;
    this.#calls = calls;
    this.#resolve = resolve;
    this.#overdue = overdue;
    calls.set(id, this);
  }

  settle(outcome: Outcome<Uint8Array>): void {
    if (!this.#calls.delete(this.#id)) return;
    this.deadline?.cancel();
    this.#resolve(outcome);
  }

  act(): void {
    this.settle(this.#overdue());
  }
}

export class ConnectionEnd implements StreamCarrier {
  readonly host: Host;
  readonly incarnation: number;
  readonly peer: PeerIdentity;
  readonly #env: ConnectionEnv;
  readonly #link: Link;
  readonly #handler: ServiceHandler | null;
  readonly #registry: Set<ConnectionEnd> | null;
  readonly #onGone: () => void;
  readonly #calls = new Map<number, PendingCall>();
  readonly #streams = new Map<number, SimStream>();
  /** The one that heard of the other end last: nearly all that a connection carries is of one stream. */
  #recent: SimStream | null = null;
  #recentId = 0;
  /** Faults that keep it from carrying anything. */
  readonly #deadBy = new Set<string>();
  #dead = false;
  #nextId = 1;
  #other: ConnectionEnd | null = null;
  /** closing: takes nothing new; gone when the last stream has ended on both sides. */
  #state: 'open' | 'closing' | 'gone' = 'open';

  constructor(options: EndOptions) {
    const { env, host, peer } = options;
    this.#env = env;
    this.host = host;
    this.incarnation = host.machine.incarnation;
    this.peer = { name: peer.identity };
    this.#link = env.linkOf(host, peer);
    this.#handler = options.handler;
    this.#registry = options.registry;
    this.#onGone = options.onGone ?? (() => {});
    host.ends.add(this);
    this.#registry?.add(this);
  }

  static join(a: ConnectionEnd, b: ConnectionEnd): void {
    a.#other = b;
    b.#other = a;
  }

  /** As the product sees it. */
  connection(): Connection {
    return {
      peer: this.peer,
      call: (method, request, { deadlineMicros }) => this.#call(method, request, deadlineMicros),
      open: (method) => this.#openStream(method),
      close: () => this.close(),
    };
  }

  get lives(): boolean {
    return this.#state !== 'gone' && this.host.machine.lives(this.incarnation);
  }

  /** In order: streams end, calls that have no answer are lost, the peer is told. */
  close(): void {
    if (this.#state !== 'open') return;
    this.#transmitLast('close', (other) => other.#wind('the peer closed it'));
    this.#wind('it was closed');
    for (const stream of [...this.#streams.values()]) stream.close();
  }

  /** A fault keeps it from carrying anything. */
  get isDead(): boolean {
    return this.#dead;
  }

  get peerHost(): Host {
    return this.#link.to;
  }

  /** From here on the connection carries nothing from this end, until `revive`; the end finds out as with a dead peer. */
  deaden(fault: string): void {
    this.#deadBy.add(fault);
    this.#dead = true;
    this.#env.kernel.after(this.#env.keepaliveMicros, this.host.machine, 'keepalive', () => {
      if (this.#deadBy.has(fault)) this.break('its probes found nobody');
    });
  }

  revive(fault: string): void {
    this.#deadBy.delete(fault);
    this.#dead = this.#deadBy.size > 0;
  }

  /** Settles everything outstanding at once. Call it in the name of the end's machine. */
  break(why: string): void {
    if (this.#state === 'gone') return;
    this.#leave();
    const error = connectionLost(this.peer, why);
    this.#loseCalls(error);
    for (const stream of [...this.#streams.values()]) stream.lose(error);
    this.#streams.clear();
    this.#recent = null;
    this.#leaveOther();
  }

  /** Its machine's incarnation is gone. `told`: the system of the machine lives on and resets what its process left behind. */
  die(told: boolean): void {
    this.#leave();
    if (told) this.#transmitLast('reset', (other) => other.break('the peer reset it'));
    this.#leaveOther();
  }

  /** Neither end wanted it. */
  reset(): void {
    this.#transmitLast('reset', (other) => other.break('it was reset'));
    this.breakOnMachine('it was reset');
  }

  /** The peer never finished the handshake. */
  dieUnlessJoined(): void {
    if (this.#other === null) this.die(false);
  }

  /** Nothing new from here on. Streams are ended by whoever closed, in order with what was sent on them. */
  #wind(why: string): void {
    if (this.#state !== 'open') return;
    this.#state = 'closing';
    const error = connectionLost(this.peer, why);
    this.#loseCalls(error);
    this.#leaveWhenIdle();
  }

  #loseCalls(error: Err): void {
    for (const call of [...this.#calls.values()]) call.settle(error);
  }

  #leaveWhenIdle(): void {
    if (this.#state !== 'closing' || this.#streams.size > 0) return;
    this.#leave();
    this.#leaveOther();
  }

  #leave(): void {
    if (this.#state !== 'gone') this.#onGone();
    this.#state = 'gone';
    this.host.ends.delete(this);
    this.#registry?.delete(this);
  }

  #call(method: string, request: Uint8Array, deadlineMicros: number): Promise<Outcome<Uint8Array>> {
    if (request.length > MESSAGE_BYTES_MAX) return Promise.resolve(tooLarge(request.length));
    if (this.#state !== 'open') return Promise.resolve(this.#notSent('the connection has ended'));
    if (this.#calls.size >= CALLS_OPEN_MAX) {
      return Promise.resolve(this.#notSent(`${CALLS_OPEN_MAX} calls of the connection have no answer yet`));
    }
    const copy = request.length === 0 ? request : request.slice();
    const id = this.#nextId++;
    return new Promise((resolve) => {
      const call = new PendingCall(id, this.#calls, resolve, () => this.#overdue(method, deadlineMicros));
      call.deadline = this.#env.kernel.after(Math.max(0, Math.ceil(deadlineMicros)), this.host.machine, 'call deadline', call);
      this.#transmit('request', copy.length, (other) => other.#answer(method, copy, (answer) => other.#reply(id, answer)));
    });
  }

  #answer(method: string, request: Uint8Array, reply: (answer: Uint8Array) => void): void {
    assert(this.#handler !== null, 'only the end that was dialled is called');
    const handled = this.#handler.call(method, this.peer, request).then((answer) => {
      const fits = answer.ok && answer.value.length > MESSAGE_BYTES_MAX ? tooLarge(answer.value.length) : answer;
      reply(encodeAnswer(fits));
    });
    this.#env.kernel.own(`handler of ${method} on ${this.host.name}`, handled);
  }

  #reply(id: number, answer: Uint8Array): void {
    if (!this.lives) return;
    this.#transmit('answer', answer.length, (other) => other.#calls.get(id)?.settle(decodeAnswer(answer)));
  }

  async #openStream(method: string): Promise<Outcome<ByteStream>> {
    if (this.#state !== 'open') return this.#notSent('the connection has ended');
    if (this.#streams.size >= STREAMS_OPEN_MAX) return this.#notSent(`${STREAMS_OPEN_MAX} streams of the connection are open`);
    const id = this.#nextId++;
    const stream = this.#addStream(id);
    stream.open(method);
    return ok<ByteStream>(stream);
  }

  opened(stream: SimStream, method: string): void {
    assert(this.#handler !== null, 'only the end that was dialled is called');
    const served = this.#handler.stream(method, stream).then(() => stream.close());
    this.#env.kernel.own(`stream ${method} on ${this.host.name}`, served);
  }

  #addStream(id: number): SimStream {
    const stream = new SimStream(this, id);
    this.#streams.set(id, stream);
    return stream;
  }

  forget(id: number): void {
    this.#streams.delete(id);
    if (id === this.#recentId) this.#recent = null;
    this.#leaveWhenIdle();
  }

  transmitFrame(id: number, frame: StreamFrame): void {
    if (!this.lives) return;
    const bytes = frame.kind === 'message' ? frame.bytes.length : FRAME_BYTES;
    this.#link.transmit(new Parcel(this, this.#joined(), 'frame', bytes, frame, id));
  }

  /** `frame` of stream `id` arrived. */
  accept(id: number, frame: StreamFrame): void {
    const known = this.#streamOf(id);
    if (known !== null) known.accept(frame);
    else if (this.#handler !== null && frame.kind !== 'credit') this.#addStream(id).accept(frame);
  }

  #streamOf(id: number): SimStream | null {
    if (id === this.#recentId && this.#recent !== null) return this.#recent;
    this.#recentId = id;
    this.#recent = this.#streams.get(id) ?? null;
    return this.#recent;
  }

  /** Sends a packet to the other end, where `handle` runs on its machine; no progress breaks the connection. */
  #transmit(label: string, bytes: number, handle: (other: ConnectionEnd) => void): void {
    if (!this.lives) return;
    this.#link.transmit(new Parcel(this, this.#joined(), label, bytes, handle, 0));
  }

  #joined(): ConnectionEnd {
    assert(this.#other !== null, 'a connection has two ends');
    return this.#other;
  }

  /** What the system of the peer's machine answers when its process knows no such connection. */
  resetBy(other: ConnectionEnd): void {
    this.#env.linkOf(other.host, this.host).transmit({
      label: 'reset',
      bytes: FRAME_BYTES,
      blocked: () => this.isDead,
      spoil: () => this.refuseRecord(),
      wanted: () => this.lives,
      arrive: () => this.breakOnMachine('the peer does not know it any more'),
      giveUp: () => {},
    });
  }

  /** The last word of an end that is gone by the time it is said. */
  #transmitLast(label: string, handle: (other: ConnectionEnd) => void): void {
    const other = this.#other;
    if (other === null) return;
    this.#link.transmit({
      label,
      bytes: FRAME_BYTES,
      blocked: () => this.isDead,
      spoil: () => other.refuseRecord(),
      wanted: () => other.lives && this.host.machine.alive,
      arrive: () => {
        if (other.lives) other.host.receive({ payloadBytes: FRAME_BYTES, handle: () => handle(other) });
      },
      giveUp: () => this.#leaveOther(),
    });
  }

  /** As TLS does: a record that fails its check ends the connection, and the peer is told. */
  refuseRecord(): void {
    if (!this.lives) return;
    const handle = (): void => {
      if (!this.lives) return;
      this.#transmitLast('alert', (other) => other.break('the peer received a corrupt record'));
      this.break('a corrupt record arrived');
    };
    this.host.receive({ payloadBytes: FRAME_BYTES, handle });
  }

  breakOnMachine(why: string): void {
    if (this.lives) this.#env.kernel.after(0, this.host.machine, 'connection lost', () => this.break(why));
  }

  /** What the other end's probes will find, unless it hears of it before. */
  #leaveOther(): void {
    const other = this.#other;
    if (other === null || !other.lives) return;
    this.#env.kernel.after(this.#env.keepaliveMicros, other.host.machine, 'keepalive', () => other.break('its probes found nobody'));
  }

  #notSent(why: string): Err {
    return failed('WM_UNREACHABLE', {
      message: `Nothing was sent to ${this.peer.name}: ${why}.`,
      next: 'Connect again, with backoff.',
      detail: { peer: this.peer.name },
    });
  }

  #overdue(method: string, deadlineMicros: number): Err {
    return unknown('WM_DEADLINE', {
      message: `${this.peer.name} did not answer ${method} within ${deadlineMicros} µs.`,
      next: 'Observe whether it happened before repeating it.',
      detail: { peer: this.peer.name, method, deadlineMicros },
    });
  }
}

/** What one end says to the other: on the way a packet, then a message that the machine of the other end handles. */
class Parcel implements Packet, Incoming {
  readonly label: string;
  readonly payloadBytes: number;
  readonly #sender: ConnectionEnd;
  readonly #receiver: ConnectionEnd;
  /** What the receiver does about it, or what it is of a stream: nearly all that is said, and it needs no function of its own. */
  readonly #content: ((receiver: ConnectionEnd) => void) | StreamFrame;
  readonly #stream: number;

  constructor(
    sender: ConnectionEnd,
    receiver: ConnectionEnd,
    label: string,
    payloadBytes: number,
    content: ((receiver: ConnectionEnd) => void) | StreamFrame,
    stream: number,
  ) {
    this.#sender = sender;
    this.#receiver = receiver;
    this.label = label;
    this.payloadBytes = payloadBytes;
    this.#content = content;
    this.#stream = stream;
  }

  get bytes(): number {
    return this.payloadBytes + FRAME_BYTES;
  }

  blocked(): boolean {
    return this.#sender.isDead;
  }

  wanted(): boolean {
    return this.#sender.lives;
  }

  spoil(): void {
    this.#receiver.refuseRecord();
  }

  arrive(): unknown {
    if (this.#receiver.lives) return this.#receiver.host.receive(this);
    this.#sender.resetBy(this.#receiver);
    return undefined;
  }

  giveUp(): void {
    this.#sender.breakOnMachine('nothing got through');
  }

  handle(): void {
    const receiver = this.#receiver;
    if (!receiver.lives) return;
    if (typeof this.#content === 'function') this.#content(receiver);
    else receiver.accept(this.#stream, this.#content);
  }
}
