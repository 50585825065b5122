// What one reader of a stream is told, and what happens to one that does not read.
import { describe, expect, test } from 'vitest';
import { Feed, FEED_BYTES_MAX } from '../../../system/controller/feed.ts';
import { ok, type Outcome } from '../../../system/domain/outcome.ts';
import type { EndedMessage } from '../../../system/domain/watch.ts';
import { MemoryTime } from '../../support/ports/memory-clock.ts';

type Item = { readonly bytes: number; readonly number: number };
type Told = { readonly kind: 'told'; readonly numbers: readonly number[]; readonly next: number | null };

/** Admits a message when `read` is called, as a window does. */
class SlowReader {
  readonly read: (Told | EndedMessage)[] = [];
  closed = false;
  readonly #admit: (() => void)[] = [];

  send(message: Told | EndedMessage): Promise<Outcome<void>> {
    this.read.push(message);
    return new Promise((resolve) => this.#admit.push(() => resolve(ok())));
  }

  close(): void {
    this.closed = true;
  }

  async next(): Promise<void> {
    this.#admit.shift()?.();
    for (let turn = 0; turn < 10; turn++) await Promise.resolve();
  }
}

function open(): { feed: Feed<Item, Told>; reader: SlowReader; time: MemoryTime } {
  const reader = new SlowReader();
  const time = new MemoryTime();
  const feed = new Feed<Item, Told>({
    clock: time.process(),
    stream: reader,
    joins: (last, next) => Math.floor(last.number / 10) === Math.floor(next.number / 10),
    compose: (items, next) => ({ kind: 'told', numbers: items.map(({ number }) => number), next: next?.number ?? null }),
  });
  return { feed, reader, time };
}

describe('a feed', () => {
  test('tells in order, in one message what belongs together', async () => {
    const { feed, reader } = open();
    for (const number of [1, 2, 11, 12, 21]) feed.push({ bytes: 1, number });
    for (let turn = 0; turn < 4; turn++) await reader.next();
    expect(reader.read).toEqual([
      { kind: 'told', numbers: [1, 2], next: 11 },
      { kind: 'told', numbers: [11, 12], next: 21 },
      { kind: 'told', numbers: [21], next: null },
    ]);
  });

  test('ends a reader that falls behind with a sentence, and leaves out nothing before it', async () => {
    const { feed, reader } = open();
    const bytes = FEED_BYTES_MAX / 4;
    for (let number = 0; number < 3; number++) feed.push({ bytes, number: number * 10 });
    await reader.next();
    for (let number = 3; number < 9; number++) feed.push({ bytes, number: number * 10 });
    for (let turn = 0; turn < 4; turn++) await reader.next();
    expect(reader.read.slice(0, -1)).toEqual([{ kind: 'told', numbers: [0], next: 10 }]);
    expect(reader.read.at(-1)).toMatchObject({ kind: 'ended', code: 'WM_WATCH_BEHIND' });
    expect(reader.closed).toBe(true);
  });

  test('does not count what there was to begin with as falling behind', async () => {
    const { feed, reader } = open();
    feed.begin([0, 10, 20, 30, 40, 50].map((number) => ({ bytes: FEED_BYTES_MAX / 4, number })));
    feed.push({ bytes: FEED_BYTES_MAX / 2, number: 60 });
    for (let turn = 0; turn < 8; turn++) await reader.next();
    expect(reader.read.map((message) => message.kind)).toEqual(Array(7).fill('told'));
  });

  test('waits for a reader that never reads no longer than the bound of the last word', async () => {
    const { feed, reader, time } = open();
    feed.push({ bytes: FEED_BYTES_MAX, number: 1 });
    await Promise.resolve();
    feed.push({ bytes: FEED_BYTES_MAX, number: 2 });
    feed.push({ bytes: 1, number: 3 });
    expect(reader.closed).toBe(false);
    await time.advance(5_000_000);
    expect(reader.closed).toBe(true);
  });
});
