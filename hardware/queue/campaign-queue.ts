// The side of a campaign: offers runs, hears what came of them, and takes away what is left of it when it ends.
import { createInbox, type Subscription } from '@nats-io/transport-node';
import type { Consumer, ConsumerInfo, ConsumerMessages, StreamInfo } from '@nats-io/jetstream';
import { ok, rejected, type Outcome } from '../../system/domain/outcome.ts';
import { JETSTREAM, type NatsLink } from '../nats/nats.ts';
import { bytesMaxOf, META_HEADER, refusalOf } from './message.ts';
import { isCampaign, queueNames, runOf, type QueueNames } from './names.ts';
import { openConsumer, openStreams } from './streams.ts';

/** Bound: messages of verdicts that wait in this process. */
const PARTS_AHEAD_MAX = 32;
/** So many bytes that were read are taken from the stream together, so that long records of some runs leave room for others. */
const READ_BYTES_MAX = 4 * 1_024 * 1_024;
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
    const opened = await queue.restore();
    return opened.ok ? ok(queue) : opened;
  }

  /** Makes what is missing of streams and consumer: also when a server lost them. */
  async restore(): Promise<Outcome<void>> {
    const made = await openStreams(this.#link, this.#names);
    if (!made.ok) return made;
    const opened = await openConsumer(this.#link, this.#names, this.#campaign);
    if (!opened.ok) return opened;
    // Who reads a stream that was made anew would look for its end where the old one had it.
    return this.#parts === null || made.value.includes(this.#names.verdicts) ? this.#openParts() : ok();
  }

  /** Once for each `id`, however often it is repeated within two minutes. WM_MESSAGE_TOO_LARGE, WM_STORAGE_FULL. */
  async offer(run: number, id: string, data: Uint8Array): Promise<Outcome<void>> {
    const bytesMax = bytesMaxOf(this.#link);
    if (data.length > bytesMax)
      return rejected('WM_MESSAGE_TOO_LARGE', {
        message: `Run ${run} takes ${data.length} bytes, and this NATS server takes ${bytesMax} in a message.`,
        next: 'Raise `max_payload` of the server, or play it with --jobs on this machine.',
      });
    const stored = await this.#link.ask(
      `run ${run}`,
      () => this.#link.jetstream.publish(this.#names.run(this.#campaign, run), data, { msgID: `${this.#campaign}.${id}` }),
      refusalOf(this.#names.runs),
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
    // What came of them would be heard of no more.
    if (info.value === null || (await this.#hasNoVerdicts())) return ok(null);
    return ok(info.value.num_pending + info.value.num_ack_pending);
  }

  async #hasNoVerdicts(): Promise<boolean> {
    const info = await this.#link.ask<StreamInfo | null>(
      `stream ${this.#names.verdicts}`,
      () => this.#link.manager.streams.info(this.#names.verdicts),
      ({ code }) => (code === JETSTREAM.streamNotFound ? ok(null) : null),
    );
    return info.ok && info.value === null;
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
    let bytes = 0;
    for (let parts = this.#parts, last: typeof parts = null; parts !== null && parts !== last; parts = this.#parts) {
      for await (const message of parts) {
        const run = runOf(message.subject);
        if (run !== null) yield { run, meta: message.headers?.get(META_HEADER) ?? '', data: message.data };
        bytes += message.data.length;
        if (bytes < READ_BYTES_MAX) continue;
        bytes = 0;
        await this.#purge(this.#names.verdicts, this.#names.verdictsOf(this.#campaign), message.seq + 1);
      }
      last = parts;
    }
  }

  async #openParts(): Promise<Outcome<void>> {
    const opened = await this.#link.ask(`stream ${this.#names.verdicts}`, async () => {
      const filter = { filter_subjects: this.#names.verdictsOf(this.#campaign) };
      const consumer = await this.#link.jetstream.consumers.get(this.#names.verdicts, filter);
      return { consumer, parts: await consumer.consume({ max_messages: PARTS_AHEAD_MAX }) };
    });
    if (!opened.ok) return opened;
    const before = this.#parts;
    this.#reader = opened.value.consumer;
    this.#parts = opened.value.parts;
    await before?.close();
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

  /** `before`: what has a lower number in the stream; without it all. */
  async #purge(stream: string, filter: string, before?: number): Promise<Outcome<void>> {
    const what = before === undefined ? { filter } : { filter, seq: before };
    const purged = await this.#link.ask(`stream ${stream}`, () => this.#link.manager.streams.purge(stream, what));
    return purged.ok ? ok() : purged;
  }
}
