// One write to a stream: all of its messages, in order, or none, after a sequence that is named, or not at all. A single message
// is an ordinary publication; several are one atomic batch of JetStream, which the server syncs once.
// Safety: one write of a stream is under way at a time. Were the second sent before the first is acknowledged, each naming its
// own sequence, another process that wrote in between could make the second right though the first was refused.
import { randomUUID } from 'node:crypto';
import { JetStreamApiError } from '@nats-io/jetstream';
import type { ApiError, PubAck } from '@nats-io/jetstream';
import type { Msg, MsgHdrs, NatsConnection } from '@nats-io/transport-node';
import { assert } from '../../../system/domain/outcome.ts';
import { ANSWERED_WITHIN_MS, Deposed } from './answers.ts';

/** Bound: messages of one write; the server takes 1,000. */
export const WRITE_MESSAGES_MAX = 1_000;
/** Bound: bytes of one write, beyond which no further message is added. */
export const WRITE_BYTES_MAX = 8 * 1024 * 1024;

export type Message = { readonly subject: string; readonly bytes: Uint8Array; readonly headers: MsgHdrs };

/** Requests that end with the connection: an answer to what was sent before it was lost does not come any more. */
export class Requests {
  readonly #connection: NatsConnection;
  readonly #mayWrite: () => boolean;
  #isLost: boolean;
  /** Bound: what a store has under way at once. */
  readonly #waiting = new Set<(error: Error) => void>();

  constructor(connection: NatsConnection, mayWrite: () => boolean) {
    this.#connection = connection;
    this.#mayWrite = mayWrite;
    this.#isLost = connection.isClosed();
    void this.#follow();
  }

  /** Nothing is queued while there is no connection. */
  async ask(messages: readonly Message[]): Promise<Msg> {
    const last = messages.at(-1);
    assert(last !== undefined, 'a request has a message');
    if (this.#isLost) throw new Error('there is no connection');
    // Safety: a process that was stopped handles what lies in its sockets before its timers tell it that its lease is over.
    if (!this.#mayWrite()) throw new Deposed();
    for (const { subject, bytes, headers } of messages.slice(0, -1)) this.#connection.publish(subject, bytes, { headers });
    const answer = this.#connection.request(last.subject, last.bytes, { headers: last.headers, timeout: ANSWERED_WITHIN_MS });
    return new Promise((resolve, reject) => {
      this.#waiting.add(reject);
      void answer.then(resolve, reject).finally(() => this.#waiting.delete(reject));
    });
  }

  async #follow(): Promise<void> {
    for await (const { type } of this.#connection.status()) {
      if (type === 'reconnect') this.#isLost = false;
      if (type === 'disconnect') this.#lose();
    }
    this.#lose();
  }

  #lose(): void {
    this.#isLost = true;
    for (const reject of this.#waiting) reject(new Error('the connection was lost'));
    this.#waiting.clear();
  }
}

/** The sequence of the last one. Throws what the server or the connection said: JetStreamApiError when it refused. */
export async function write(requests: Requests, messages: readonly Message[], afterSequence: number): Promise<number> {
  const [first, last] = [messages[0], messages.at(-1)];
  assert(first !== undefined && last !== undefined && messages.length <= WRITE_MESSAGES_MAX, 'a write has messages, and not too many');
  first.headers.set('Nats-Expected-Last-Sequence', String(afterSequence));
  if (messages.length > 1) {
    const batch = randomUUID();
    for (const [i, { headers }] of messages.entries()) {
      headers.set('Nats-Batch-Id', batch);
      headers.set('Nats-Batch-Sequence', String(i + 1));
    }
    last.headers.set('Nats-Batch-Commit', '1');
  }
  const reply = await requests.ask(messages);
  const answer = reply.json<PubAck & { readonly error?: ApiError }>();
  if (answer.error !== undefined) throw new JetStreamApiError(answer.error);
  return answer.seq;
}
