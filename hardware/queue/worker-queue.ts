// The side of a worker: hears which campaigns there are, takes their runs one by one, keeps what it took by saying so, and tells what
// came of it. It takes nothing ahead: a run that waits at a worker would wait although another one is free.
import type { Msg } from '@nats-io/transport-node';
import { ok, type Outcome } from '../../system/domain/outcome.ts';
import type { NatsLink } from '../nats/nats.ts';
import { bytesMaxOf, metaHeaders, refusalOf } from './message.ts';
import { deliveriesOf, isCampaign, queueNames, runOf, type QueueNames } from './names.ts';
import { ACK_WAIT_MS } from './streams.ts';

/** Often enough that two of three may be lost. */
const WORKING_MS = ACK_WAIT_MS / 4;
/** Bound: answers of the server. */
const TAKE_MS_MAX = 5_000;
const TELL_MS_MAX = 10_000;
/** A status in the place of a message: nothing waits, or the server may hand out no more. */
const STATUS_LEAST = 100;

/** A campaign that says it is there. */
export type Call = { readonly campaign: string; readonly data: Uint8Array; answer(data: Uint8Array): void };

/** A run that is this worker's until it says `done` or `back`, or falls silent. */
export type Taken = {
  readonly run: number;
  /** How often it was handed out, this time included. */
  readonly deliveries: number;
  readonly data: Uint8Array;
  /** Resolves when the server knows: the run is never handed out again. */
  done(): Promise<Outcome<void>>;
  /** Another worker may have it at once. */
  back(): Promise<Outcome<void>>;
  /** Says no more that it is being worked on. */
  abandon(): void;
};

export class WorkerQueue {
  readonly #link: NatsLink;
  readonly #names: QueueNames;

  private constructor(link: NatsLink, names: QueueNames) {
    this.#link = link;
    this.#names = names;
  }

  static open(link: NatsLink, prefix: string): Outcome<WorkerQueue> {
    const names = queueNames(prefix);
    return names.ok ? ok(new WorkerQueue(link, names.value)) : names;
  }

  /** Bound: bytes of one piece that is told. */
  get bytesMax(): number {
    return bytesMaxOf(this.#link);
  }

  /** Gives what ends it. */
  listen(heard: (call: Call) => void): () => void {
    const subscription = this.#link.connection.subscribe(this.#names.calls, {
      callback: (error, message) => {
        if (error !== null) return;
        const campaign = message.subject.slice(message.subject.lastIndexOf('.') + 1);
        if (!isCampaign(campaign)) return;
        heard({ campaign, data: message.data, answer: (data) => void message.respond(data) });
      },
    });
    return () => subscription.unsubscribe();
  }

  /** Every campaign calls at once. */
  hello(): void {
    if (this.#link.state() === 'connected') this.#link.connection.publish(this.#names.hello);
  }

  /** Null: nothing of this campaign waits now. */
  async take(campaign: string): Promise<Outcome<Taken | null>> {
    const subject = `$JS.API.CONSUMER.MSG.NEXT.${this.#names.runs}.${campaign}`;
    // The message has the subject of the run and not that of the inbox, so each question needs an inbox of its own.
    const asked = await this.#link.ask<Msg>(`a run of ${campaign}`, () =>
      this.#link.connection.request(subject, JSON.stringify({ batch: 1, no_wait: true }), { timeout: TAKE_MS_MAX, noMux: true }),
    );
    if (!asked.ok) return asked;
    const message = asked.value;
    const { reply } = message;
    const run = runOf(message.subject);
    if ((message.headers?.code ?? 0) >= STATUS_LEAST || reply === undefined || reply === '' || run === null) return ok(null);
    return ok(this.#taken(run, reply, new Uint8Array(message.data)));
  }

  #taken(run: number, reply: string, data: Uint8Array): Taken {
    const timer = setInterval(() => {
      if (this.#link.state() === 'connected') this.#link.connection.publish(reply, '+WPI');
    }, WORKING_MS);
    const end = async (how: string): Promise<Outcome<void>> => {
      clearInterval(timer);
      const ended = await this.#link.ask(`the end of run ${run}`, () =>
        this.#link.connection.request(reply, how, { timeout: TAKE_MS_MAX }),
      );
      return ended.ok ? ok() : ended;
    };
    return {
      run,
      deliveries: deliveriesOf(reply),
      data,
      done: () => end('+ACK'),
      back: () => end('-NAK'),
      abandon: () => clearInterval(timer),
    };
  }

  /** Stored when it answers; once for each `id`, however often it is repeated within two minutes. WM_STORAGE_FULL: try again. */
  async tell(campaign: string, run: number, id: string, meta: string, data: Uint8Array): Promise<Outcome<void>> {
    const stored = await this.#link.ask(
      `what came of run ${run}`,
      () =>
        this.#link.jetstream.publish(this.#names.verdict(campaign, run), data, {
          msgID: `${campaign}.${id}`,
          headers: metaHeaders(meta),
          timeout: TELL_MS_MAX,
        }),
      refusalOf(this.#names.verdicts),
    );
    return stored.ok ? ok() : stored;
  }
}
