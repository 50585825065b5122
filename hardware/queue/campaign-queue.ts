// The side of a campaign: offers runs, hears what came of them, and takes away what is left of it when it ends.
import { createInbox, headers as createHeaders, type Subscription } from '@nats-io/transport-node';
import type { Consumer, ConsumerInfo, ConsumerMessages } from '@nats-io/jetstream';
import { failed, ok, rejected, type Outcome } from '../../system/domain/outcome.ts';
import { JETSTREAM, type NatsLink } from '../nats/nats.ts';
import { isCampaign, queueNames, runOf, type QueueNames } from './names.ts';
import { openConsumer, openStreams } from './streams.ts';

/** Bound: messages of verdicts that wait in this process. */
const PARTS_AHEAD_MAX = 32;
/** Room for headers in a message. */
export const HEADER_BYTES = 4_096;
export const META_HEADER = 'Wm-Part';

export type CampaignQueueOptions = { readonly link: NatsLink; readonly prefix: string; readonly campaign: string };

/** A piece of what came of a run: `meta` says what it is. */
export type Part = { readonly run: number; readonly meta: string; readonly data: Uint8Array };

export class CampaignQueue {
  readonly #link: NatsLink;
  readonly #names: QueueNames;
  readonly #campaign: string;
  readonly #inbox = createInbox();
  readonly #subscriptions: Subscription[] = [];
  #reader: Consumer | null = null;
  #parts: ConsumerMessages | null = null;

  private constructor(link: NatsLink, names: QueueNames, campaign: string) {
    this.#link = link;
    this.#names = names;
    this.#campaign = campaign;
  }

  /** Makes what is missing at the server. `campaign` is of small letters and digits, and nobody else's. */
  static async open({ link, prefix, campaign }: CampaignQueueOptions): Promise<Outcome<CampaignQueue>> {
    const names = queueNames(prefix);
    if (!names.ok) return names;
    if (!isCampaign(campaign)) return rejected('WM_ARGUMENT', { message: `'${campaign}' names no campaign.`, next: 'Use a-z and 0-9.' });
    const queue = new CampaignQueue(link, names.value, campaign);
    const restored = await queue.restore();
    const opened = restored.ok ? await queue.#openParts() : restored;
    return opened.ok ? ok(queue) : opened;
  }

  /** Makes what is missing of streams and consumer: also when a server lost them. */
  async restore(): Promise<Outcome<void>> {
    const streams = await openStreams(this.#link, this.#names);
    return streams.ok ? openConsumer(this.#link, this.#names, this.#campaign) : streams;
  }

  /** Bound: bytes of a run, as the server takes them. */
  get bytesMax(): number {
    return (this.#link.connection.info?.max_payload ?? 1_048_576) - HEADER_BYTES;
  }

  /** Once for each `id`, however often it is repeated within two minutes. WM_MESSAGE_TOO_LARGE, WM_STORAGE_FULL. */
  async offer(run: number, id: string, data: Uint8Array): Promise<Outcome<void>> {
    if (data.length > this.bytesMax)
      return rejected('WM_MESSAGE_TOO_LARGE', {
        message: `Run ${run} takes ${data.length} bytes, and this NATS server takes messages of ${this.bytesMax + HEADER_BYTES}.`,
        next: 'Raise `max_payload` of the server, or play it with --jobs on this machine.',
      });
    const stored = await this.#link.ask(
      `run ${run}`,
      () => this.#link.jetstream.publish(this.#names.run(this.#campaign, run), data, { msgID: `${this.#campaign}.${id}` }),
      noRoom(this.#names.runs),
    );
    return stored.ok ? ok() : stored;
  }

  /** Runs that wait or are with a worker; null: the server knows nothing of this campaign any more. */
  async left(): Promise<Outcome<number | null>> {
    const info = await this.#link.ask<ConsumerInfo | null>(
      `consumer ${this.#campaign}`,
      () => this.#link.manager.consumers.info(this.#names.runs, this.#campaign),
      ({ code }) => (code === JETSTREAM.consumerNotFound || code === JETSTREAM.streamNotFound ? ok(null) : null),
    );
    if (!info.ok) return info;
    return ok(info.value === null ? null : info.value.num_pending + info.value.num_ack_pending);
  }

  /** Takes away this campaign's runs that are not done, and no other's. */
  withdraw(): Promise<Outcome<void>> {
    return this.#purge(this.#names.runs, this.#names.runsOf(this.#campaign));
  }

  /** What came of a run has been read. */
  forget(run: number): Promise<Outcome<void>> {
    return this.#purge(this.#names.verdicts, this.#names.verdict(this.#campaign, run));
  }

  /** Everything that workers tell of this campaign, in the order in which it was stored, until `close`. */
  async *parts(): AsyncGenerator<Part> {
    for await (const message of this.#parts ?? []) {
      const run = runOf(message.subject);
      if (run !== null) yield { run, meta: message.headers?.get(META_HEADER) ?? '', data: message.data };
    }
  }

  async #openParts(): Promise<Outcome<void>> {
    const opened = await this.#link.ask(`stream ${this.#names.verdicts}`, async () => {
      const filter = { filter_subjects: this.#names.verdictsOf(this.#campaign) };
      const consumer = await this.#link.jetstream.consumers.get(this.#names.verdicts, filter);
      return { consumer, parts: await consumer.consume({ max_messages: PARTS_AHEAD_MAX }) };
    });
    if (!opened.ok) return opened;
    this.#reader = opened.value.consumer;
    this.#parts = opened.value.parts;
    return ok();
  }

  /** `answered`: what a worker says to a call. `asked`: a worker has just come. */
  listen(listeners: { readonly answered: (data: Uint8Array) => void; readonly asked: () => void }): void {
    const { connection } = this.#link;
    this.#subscriptions.push(
      connection.subscribe(this.#inbox, { callback: (error, message) => void (error === null && listeners.answered(message.data)) }),
      connection.subscribe(this.#names.hello, { callback: (error) => void (error === null && listeners.asked()) }),
    );
  }

  /** To every worker there is. Not stored: it is repeated. */
  call(data: Uint8Array): void {
    if (this.#link.state() === 'connected') this.#link.connection.publish(this.#names.call(this.#campaign), data, { reply: this.#inbox });
  }

  /** Takes everything of this campaign from the server. */
  async close(): Promise<void> {
    for (const subscription of this.#subscriptions) subscription.unsubscribe();
    await this.#parts?.close();
    const reader = this.#reader;
    if (reader !== null) await this.#link.ask('the consumer of verdicts', () => reader.delete());
    await this.withdraw();
    await this.#link.ask(`consumer ${this.#campaign}`, () => this.#link.manager.consumers.delete(this.#names.runs, this.#campaign));
    await this.#purge(this.#names.verdicts, this.#names.verdictsOf(this.#campaign));
  }

  async #purge(stream: string, filter: string): Promise<Outcome<void>> {
    const purged = await this.#link.ask(`stream ${stream}`, () => this.#link.manager.streams.purge(stream, { filter }));
    return purged.ok ? ok() : purged;
  }
}

export function metaHeaders(meta: string): ReturnType<typeof createHeaders> {
  const headers = createHeaders();
  headers.set(META_HEADER, meta);
  return headers;
}

/** Says what it means that a stream takes no more. */
export function noRoom(stream: string): (error: { readonly code: number; readonly message: string }) => Outcome<never> | null {
  return ({ code, message }) =>
    code === JETSTREAM.storeFailed && message.startsWith('maximum ')
      ? failed('WM_STORAGE_FULL', {
          message: `Stream ${stream} has no room: ${message}.`,
          next: 'Wait: campaigns take out what is in it; what a killed one left is gone after two hours.',
        })
      : null;
}
