// All that comes in on a stream, handed on (`system/ports/hear.ts`).
import { expect, test } from 'vitest';
import { ok } from '../../../system/domain/outcome.ts';
import type { Outcome } from '../../../system/domain/outcome.ts';
import { hearAll } from '../../../system/ports/hear.ts';
import { connectionLost } from '../../../sim/network/stream.ts';

type Received = Outcome<Uint8Array | null>;

/** Gives these one after the other, and then nothing for ever; counts how often it was asked. */
class Script {
  asked = 0;
  readonly #items: Received[];

  constructor(...items: Received[]) {
    this.#items = items;
  }

  receive(): Promise<Received> {
    this.asked += 1;
    const item = this.#items.shift();
    return item === undefined ? new Promise(() => {}) : Promise.resolve(item);
  }
}

const MESSAGES = [1, 2, 3].map((byte) => ok<Uint8Array | null>(new Uint8Array([byte])));

test('messages come in their order, and after the last that is wanted nothing is asked for', async () => {
  const script = new Script(...MESSAGES);
  const heard: Received[] = [];
  await hearAll(script, (received) => heard.push(received) < 2);
  expect(heard).toEqual(MESSAGES.slice(0, 2));
  expect(script.asked).toBe(2);
});

test('an end and an error are handed on like messages', async () => {
  for (const last of [ok<Uint8Array | null>(null), connectionLost({ name: 'controller' }, 'it was cut')]) {
    const heard: Received[] = [];
    await hearAll(new Script(...MESSAGES, last), (received) => {
      heard.push(received);
      return received.ok && received.value !== null;
    });
    expect(heard.at(-1)).toEqual(last);
    expect(heard).toHaveLength(4);
  }
});

test('a receive that is rejected, the first or a later one, rejects the whole', async () => {
  for (const before of [0, 1]) {
    const script = new Script(...MESSAGES.slice(0, before));
    const stream = { receive: () => (script.asked === before ? Promise.reject(new Error('no stream any more')) : script.receive()) };
    await expect(hearAll(stream, () => true)).rejects.toThrow('no stream any more');
  }
});

test('what is thrown about a message, the first or a later one, is thrown by the whole, and nothing more is asked for', async () => {
  for (const at of [1, 2]) {
    const script = new Script(...MESSAGES);
    let count = 0;
    const all = hearAll(script, () => {
      count += 1;
      if (count === at) throw new Error('cannot take it');
      return true;
    });
    await expect(all).rejects.toThrow('cannot take it');
    expect(script.asked).toBe(at);
  }
});
