// What one operator is told on its stream: items in their order, as many in one message as belong together. Bound: bytes that
// wait for a reader. One that falls further behind is told so and ended, so that nothing is ever left out without a word.
import { rejected, failed, type Err, type Outcome } from '../domain/outcome.ts';
import type { EndedMessage } from '../domain/watch.ts';
import { MICROS_PER_S, type Clock, type Timer } from '../ports/clock.ts';

/** Bound: bytes of changes that wait for one reader. */
export const FEED_BYTES_MAX = 8 * 1024 * 1024;
/** Bound: items of one message, and their bytes; an item that is larger goes alone. */
const MESSAGE_ITEMS_MAX = 1_000;
const MESSAGE_ITEM_BYTES_MAX = 256 * 1024;
/** Bound: how long the last word may wait for a reader that does not read. */
const LAST_WORD_MICROS = 5 * MICROS_PER_S;

export type FeedItem = { readonly bytes: number };

export type FeedOptions<Item extends FeedItem, Message> = {
  readonly clock: Pick<Clock, 'after'>;
  readonly stream: { send(message: Message | EndedMessage): Promise<Outcome<void>>; close(): void };
  /** True: `next` may be in one message with `last`. */
  readonly joins: (last: Item, next: Item) => boolean;
  /** `next` is what waits behind these. */
  readonly compose: (items: readonly Item[], next: Item | null) => Message;
};

export class Feed<Item extends FeedItem, Message> {
  readonly #options: FeedOptions<Item, Message>;
  readonly #waiting: Item[] = [];
  #taken = 0;
  #bytes = 0;
  #beginningBytes = 0;
  #sending = false;
  #scheduled = false;
  #ended: EndedMessage | null = null;
  #lastWord: Timer | null = null;
  #closesWhenEmpty = false;
  #closed = false;

  constructor(options: FeedOptions<Item, Message>) {
    this.#options = options;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** What there is to begin with; however much it is, it does not count as falling behind. */
  begin(items: readonly Item[]): void {
    for (const item of items) {
      this.#waiting.push(item);
      this.#beginningBytes += item.bytes;
      this.#bytes += item.bytes;
    }
    this.#schedule();
  }

  push(item: Item): void {
    if (this.#closed || this.#ended !== null) return;
    this.#bytes += item.bytes;
    if (this.#bytes > FEED_BYTES_MAX + this.#beginningBytes) return this.#endBehind();
    this.#waiting.push(item);
    this.#schedule();
  }

  /** Drops what waits, says why, closes. */
  end(error: Err['error']): void {
    if (this.#closed || this.#ended !== null) return;
    this.#waiting.length = this.#taken = this.#bytes = 0;
    const { code, message, next } = error;
    this.#ended = { kind: 'ended', code, message, next };
    this.#lastWord = this.#options.clock.after(LAST_WORD_MICROS, () => this.close());
    this.#schedule();
  }

  /** Closes in order once all that was given is handed over. */
  finish(): void {
    this.#closesWhenEmpty = true;
    this.#schedule();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#lastWord?.cancel();
    this.#waiting.length = 0;
    this.#options.stream.close();
  }

  #endBehind(): void {
    this.end(
      failed('WM_WATCH_BEHIND', {
        message: `More than ${FEED_BYTES_MAX} bytes of changes waited to be read.`,
        next: 'Watch again: the present state comes first. Read faster, or watch less.',
      }).error,
    );
  }

  #schedule(): void {
    if (this.#sending || this.#scheduled || this.#closed) return;
    this.#scheduled = true;
    // Whatever becomes known in the same turn goes into one message.
    queueMicrotask(() => {
      this.#scheduled = false;
      void this.#send();
    });
  }

  async #send(): Promise<void> {
    if (this.#sending) return;
    this.#sending = true;
    while (!this.#closed) {
      const message = this.#next();
      if (message === null) break;
      const sent = await this.#options.stream.send(message);
      if (!sent.ok || message === this.#ended) this.close();
    }
    this.#sending = false;
    if (this.#closesWhenEmpty) this.close();
  }

  #next(): Message | EndedMessage | null {
    if (this.#ended !== null) return this.#ended;
    const items = this.#take();
    if (items.length === 0) return null;
    return this.#options.compose(items, this.#waiting[this.#taken] ?? null);
  }

  #take(): readonly Item[] {
    const items: Item[] = [];
    let bytes = 0;
    for (let item = this.#waiting[this.#taken]; item !== undefined; item = this.#waiting[this.#taken]) {
      const last = items.at(-1);
      if (last !== undefined && (items.length >= MESSAGE_ITEMS_MAX || bytes + item.bytes > MESSAGE_ITEM_BYTES_MAX)) break;
      if (last !== undefined && !this.#options.joins(last, item)) break;
      items.push(item);
      bytes += item.bytes;
      this.#taken += 1;
    }
    this.#bytes -= bytes;
    this.#beginningBytes = Math.max(0, this.#beginningBytes - bytes);
    if (this.#taken === this.#waiting.length) this.#waiting.length = this.#taken = 0;
    else if (this.#taken >= MESSAGE_ITEMS_MAX) {
      this.#waiting.splice(0, this.#taken);
      this.#taken = 0;
    }
    return items;
  }
}

export function tooMany(what: string, most: number): Err['error'] {
  return rejected('WM_ARGUMENT', { message: `${most} ${what} are open.`, next: 'Close one of them first.' }).error;
}
