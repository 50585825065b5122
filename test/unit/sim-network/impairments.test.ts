// What narrow, bursty and untidy ways do to a raw port: the port keeps what it promises, and time shows what it took.
import { describe, expect, it } from 'vitest';
import type { LinkFault } from '../../../sim/network/network.ts';
import type { Connection } from '../../../system/ports/network.ts';
import { CLOUD, FLEET } from '../../contract/sim-world.ts';
import { bytes, codeOf, connected, echo, echoed, SECOND, setUp } from '../../support/network/raw-port.ts';

const WAY = { a: 'cloud', b: 'fleet' } as const;
const KB = 1_000;

/** Runs the body on a client that is connected, with its calls as the server saw them. */
async function under<T>(fault: LinkFault, body: (connection: Connection, world: ReturnType<typeof setUp>['world']) => Promise<T>) {
  const { world, client, serve } = setUp();
  const calls: string[] = [];
  const result = await world.play(client, async () => {
    await serve(echo(calls));
    const connection = await connected(world, 'client');
    world.network.begin('f', fault);
    return body(connection, world);
  });
  return { result, calls };
}

const texts = (count: number): string[] => Array.from({ length: count }, (_, i) => `message ${i}`);

async function streamed(connection: Connection, world: ReturnType<typeof setUp>['world'], count: number) {
  const stream = await connection.open('/a/S');
  if (!stream.ok) throw new Error(stream.error.message);
  return echoed(world, stream.value, texts(count));
}

it('a narrow way makes messages wait for each other, each way, and for other connections', async () => {
  const { result } = await under({ kind: 'bandwidth', ...WAY, bytesPerS: 100 * KB, queueBytes: 1_000 * KB }, async (first, world) => {
    const second = await connected(world, 'client');
    const before = world.kernel.now();
    const call = async (connection: Connection) => {
      const answer = await connection.call('/a/B', new Uint8Array(50 * KB), { deadlineMicros: 20 * SECOND });
      return [codeOf(answer), Math.round((world.kernel.now() - before) / 10_000) / 100] as const;
    };
    return Promise.all([call(first), call(second)]);
  });
  // 50 kB there take half a second, and half a second back; the second call leaves when the first has left.
  expect(result).toEqual([
    ['ok', 1.01],
    ['ok', 1.51],
  ]);
});

it('a full queue drops what comes, which is sent again', async () => {
  const { result } = await under({ kind: 'bandwidth', ...WAY, bytesPerS: 100 * KB, queueBytes: 20 * KB }, async (connection, world) => {
    const before = world.kernel.now();
    const answers = await Promise.all(
      texts(4).map(() => connection.call('/a/B', new Uint8Array(30 * KB), { deadlineMicros: 30 * SECOND })),
    );
    return { codes: answers.map(codeOf), micros: world.kernel.now() - before };
  });
  expect(result.codes).toEqual(['ok', 'ok', 'ok', 'ok']);
  // Without the queue's bound all four would have passed after 1.5 s.
  expect(result.micros).toBeGreaterThan(1.6 * SECOND);
});

it('a lossy way loses its share of messages, each of which is sent again later', async () => {
  const { result } = await under({ kind: 'loss', ...WAY, loss: [1, 4] }, async (connection, world) => {
    let lateCount = 0;
    for (let i = 0; i < 400; i++) {
      const before = world.kernel.now();
      expect(codeOf(await connection.call('/a/B', bytes('x'), { deadlineMicros: 60 * SECOND }))).toBe('ok');
      if (world.kernel.now() - before >= 200_000) lateCount++;
    }
    return lateCount;
  });
  // A call is two messages: 7 of 16 lose one at least.
  expect(result).toBeGreaterThan(140);
  expect(result).toBeLessThan(210);
});

it('bursts lose messages in a row, and none between them', async () => {
  const fault = { kind: 'burst-loss', ...WAY, ratio: [1, 1], burstMicros: SECOND, apartMicros: 4 * SECOND } as const;
  const { result } = await under(fault, async (connection, world) => {
    const late: boolean[] = [];
    for (let i = 0; i < 400; i++) {
      const before = world.kernel.now();
      await connection.call('/a/B', bytes('x'), { deadlineMicros: 60 * SECOND });
      late.push(world.kernel.now() - before > 100_000);
      await new Promise<void>((resolve) => world.kernel.after(50_000, null, 'pause', resolve));
    }
    return late;
  });
  const lateCount = result.filter(Boolean).length;
  // Both directions have bursts of their own. Who waits for a burst to pass makes no other call in it.
  expect(lateCount).toBeGreaterThan(4);
  expect(lateCount).toBeLessThan(40);
});

it('a message that comes twice is handed over once, on calls, streams and handshakes', async () => {
  const { result, calls } = await under({ kind: 'duplication', ...WAY, ratio: [1, 1] }, async (connection, world) => {
    for (const text of texts(20)) await connection.call('/a/B', bytes(text), { deadlineMicros: SECOND });
    const again = await connected(world, 'client');
    await again.call('/a/B', bytes('again'), { deadlineMicros: SECOND });
    // More than the window, so that credit is given back, twice each time.
    const stream = await again.open('/a/S');
    if (!stream.ok) throw new Error(stream.error.message);
    const taken: number[] = [];
    for (let i = 0; i < 12; i++) {
      await stream.value.send(new Uint8Array(100 * 1024).fill(i));
      const back = await stream.value.receive();
      if (back.ok && back.value !== null) taken.push(back.value[0] ?? -1);
    }
    return taken;
  });
  expect(calls).toEqual([...texts(20), 'again']);
  expect(result).toEqual(Array.from({ length: 12 }, (_, i) => i));
});

it('a second copy takes room of its own', async () => {
  const timed = async (duplicated: boolean) => {
    const { result } = await under(
      { kind: 'bandwidth', ...WAY, bytesPerS: 100 * KB, queueBytes: 1_000 * KB },
      async (connection, world) => {
        if (duplicated) world.network.begin('twice', { kind: 'duplication', ...WAY, ratio: [1, 1] });
        const before = world.kernel.now();
        await Promise.all(texts(4).map(() => connection.call('/a/B', new Uint8Array(10 * KB), { deadlineMicros: 20 * SECOND })));
        return world.kernel.now() - before;
      },
    );
    return result;
  };
  expect((await timed(true)) / (await timed(false))).toBeGreaterThan(1.5);
});

it('overtaking is absorbed by streams, which wait, and seen between calls', async () => {
  const fault = { kind: 'reordering', ...WAY, ratio: [1, 2], microsMax: 200_000 } as const;
  const { result, calls } = await under(fault, async (connection, world) => {
    await Promise.all(texts(30).map((text) => connection.call('/a/B', bytes(text), { deadlineMicros: SECOND })));
    return streamed(connection, world, 30);
  });
  expect(calls).not.toEqual(texts(30));
  expect([...calls].sort()).toEqual(texts(30).sort());
  expect(result.received).toEqual(texts(30));
  expect(result.micros).toBeGreaterThan(100_000);
});

it('a corrupt message is never handed over: most are sent again, some break the connection', async () => {
  const { result, calls } = await under({ kind: 'corruption', ...WAY, ratio: [1, 3] }, async (connection, world) => {
    const codes: string[] = [];
    for (const text of texts(300)) {
      const answer = await connection.call('/a/B', bytes(text), { deadlineMicros: 60 * SECOND });
      codes.push(codeOf(answer));
      if (!answer.ok) return { codes, micros: world.kernel.now() };
    }
    return { codes, micros: world.kernel.now() };
  });
  const answered = result.codes.filter((code) => code === 'ok').length;
  expect(answered).toBeGreaterThan(3);
  expect(result.codes.at(-1)).toBe('unknown WM_CONNECTION_LOST');
  expect(result.micros).toBeGreaterThan(answered * 100_000);
  // Each request arrived whole and once; the last may have arrived and lost its answer.
  expect(texts(300).slice(0, calls.length)).toEqual(calls);
});

it('a link that is narrow for good is so from the start, and of a fault of the kind the worse holds while it lasts', async () => {
  const { world, client, serve } = setUp();
  world.network.setLaw(
    CLOUD,
    FLEET,
    { law: 'constant', micros: 5_000 },
    [0, 1],
    [{ kind: 'bandwidth', bytesPerS: 100 * KB, queueBytes: 1_000 * KB }],
  );
  const took = await world.play(client, async () => {
    await serve(echo());
    const connection = await connected(world, 'client');
    const call = async (): Promise<number> => {
      const before = world.kernel.now();
      const answer = await connection.call('/a/B', new Uint8Array(50 * KB), { deadlineMicros: 20 * SECOND });
      expect(codeOf(answer)).toBe('ok');
      return Math.round((world.kernel.now() - before) / 10_000) / 100;
    };
    const during = async (bytesPerS: number): Promise<number> => {
      world.network.begin('f', { kind: 'bandwidth', ...WAY, bytesPerS, queueBytes: 1_000 * KB });
      const micros = await call();
      world.network.end('f');
      return micros;
    };
    return [await call(), await during(1_000 * KB), await during(50 * KB), await call()];
  });
  expect(took).toEqual([1.01, 1.01, 2.01, 1.01]);
});

describe('when a fault ends', () => {
  /** Seconds until each of these calls was answered, counted from the end of the fault that was there when they were made. */
  async function healed(fault: LinkFault, sizes: readonly number[], afterMicros: number): Promise<readonly number[]> {
    const { world, client, serve } = setUp();
    world.network.setLaw(
      CLOUD,
      FLEET,
      { law: 'constant', micros: 5_000 },
      [0, 1],
      [{ kind: 'bandwidth', bytesPerS: 4_000 * KB, queueBytes: 256 * KB }],
    );
    return world.play(client, async () => {
      await serve(echo());
      const connection = await connected(world, 'client');
      world.network.begin('f', fault);
      const endMicros = world.kernel.now() + afterMicros;
      world.kernel.after(afterMicros, null, 'heal', () => world.network.end('f'));
      const call = async (size: number): Promise<number> => {
        const answer = await connection.call('/a/B', new Uint8Array(size), { deadlineMicros: 3_000 * SECOND });
        expect(codeOf(answer)).toBe('ok');
        return Math.round((world.kernel.now() - endMicros) / 10_000) / 100;
      };
      const under = sizes.map(call);
      await new Promise<void>((resolve) => world.kernel.after(afterMicros + 1, null, 'healed', resolve));
      return Promise.all([...under, call(1)]);
    });
  }

  it('what waits in a queue leaves at the rate that the way has then, and what comes has room', async () => {
    const narrow = { kind: 'bandwidth', ...WAY, bytesPerS: 8 * KB, queueBytes: 64 * KB } as const;
    // 60 kB would take another five and a half seconds there, and nothing would get in meanwhile. The next call waits behind them.
    expect(await healed(narrow, [60 * KB], 2 * SECOND)).toEqual([0.04, 0.04]);
  });

  it('what is under way on a slow link arrives as on a fast one', async () => {
    const slow = { kind: 'latency', ...WAY, factor: [8_000, 1] } as const;
    // Half of the way is behind it, which takes 40 s: the rest takes half of 5 ms, and so it is there when the next call leaves.
    expect(await healed(slow, [1], 20 * SECOND)).toEqual([0.01, 0.01]);
  });
});
