// What each fault does to a raw network port.
import { describe, expect, it } from 'vitest';
import { ok } from '../../../system/domain/outcome.ts';
import type { ByteStream } from '../../../system/ports/network.ts';
import { CLOUD } from '../../contract/sim-world.ts';
import { bytes, codeOf, connected, echoed, SECOND, SERVER, setUp } from '../../support/network/raw-port.ts';

describe('the simulated network', () => {
  it('takes a connection two round trips and a call one, plus the time of the processors', async () => {
    const { world, client, serve } = setUp();
    const [connect, call] = await world.play(client, async () => {
      await serve();
      const before = world.kernel.now();
      const connection = await connected(world, 'client');
      const between = world.kernel.now();
      await connection.call('/a/B', bytes('x'), { deadlineMicros: SECOND });
      return [between - before, world.kernel.now() - between] as const;
    });
    expect(connect).toBeGreaterThanOrEqual(20_000);
    expect(connect).toBeLessThan(23_000);
    expect(call).toBe(10_060);
  });

  it('shows loss as delay and never as a missing or overtaken message', async () => {
    const { world, client, serve } = setUp({ loss: [3, 10], latency: { law: 'uniform', microsMin: 1_000, microsMax: 9_000 } });
    const texts = Array.from({ length: 200 }, (_, i) => `message ${i}`);
    const { received, micros } = await world.play(client, async () => {
      await serve();
      const connection = await connected(world, 'client');
      const stream = await connection.open('/a/S');
      if (!stream.ok) throw new Error(stream.error.message);
      return echoed(world, stream.value, texts);
    });
    expect(received).toEqual(texts);
    expect(micros).toBeGreaterThan(200_000);
  });

  it('refuses a connection into a partition at its deadline and connects when it has healed', async () => {
    const { world, client, serve } = setUp();
    const outcomes = await world.play(client, async () => {
      await serve();
      world.network.begin('f', { kind: 'partition', a: ['cloud'], b: ['fleet'] });
      const before = world.kernel.now();
      const refused = await world.network.portOf('client').connect(SERVER, { deadlineMicros: 2 * SECOND });
      const micros = world.kernel.now() - before;
      world.network.end('f');
      const accepted = await world.network.portOf('client').connect(SERVER, { deadlineMicros: 2 * SECOND });
      return [codeOf(refused), micros, codeOf(accepted)];
    });
    expect(outcomes).toEqual(['failed WM_UNREACHABLE', 2 * SECOND, 'ok']);
  });

  it('leaves a call into a partition unknown at its deadline and breaks the connection after the bound', async () => {
    const { world, client, serve } = setUp();
    const outcomes = await world.play(client, async () => {
      await serve();
      const connection = await connected(world, 'client');
      world.network.begin('f', { kind: 'partition', a: ['server'], b: ['client'] });
      const before = world.kernel.now();
      const overdue = await connection.call('/a/B', bytes('x'), { deadlineMicros: SECOND });
      const first = world.kernel.now() - before;
      const broken = await connection.call('/a/B', bytes('x'), { deadlineMicros: 60 * SECOND });
      const second = world.kernel.now() - before;
      const after = await connection.call('/a/B', bytes('x'), { deadlineMicros: SECOND });
      return [codeOf(overdue), first, codeOf(broken), second, codeOf(after)];
    });
    expect(outcomes).toEqual(['unknown WM_DEADLINE', SECOND, 'unknown WM_CONNECTION_LOST', 10 * SECOND, 'failed WM_UNREACHABLE']);
  });

  it('carries on after a partition that is shorter than the bound', async () => {
    const { world, client, serve } = setUp();
    const answer = await world.play(client, async () => {
      await serve();
      const connection = await connected(world, 'client');
      world.network.begin('f', { kind: 'partition', a: ['server'], b: ['client'] });
      world.kernel.after(3 * SECOND, null, 'heal', () => world.network.end('f'));
      return connection.call('/a/B', bytes('x'), { deadlineMicros: 20 * SECOND });
    });
    expect(codeOf(answer)).toBe('ok');
  });

  it('resets a connection whose peer was rebooted, as soon as something is sent on it', async () => {
    const { world, client, server, serve } = setUp();
    const outcomes = await world.play(client, async () => {
      await serve();
      const connection = await connected(world, 'client');
      world.crash('server');
      world.kernel.after(SECOND, null, 'boot', () => {
        server.boot();
        void serve();
      });
      const before = world.kernel.now();
      const call = await connection.call('/a/B', bytes('x'), { deadlineMicros: 60 * SECOND });
      const micros = world.kernel.now() - before;
      const again = await connected(world, 'client');
      const second = await again.call('/a/B', bytes('y'), { deadlineMicros: SECOND });
      return { codes: [codeOf(call), codeOf(second)], micros };
    });
    expect(outcomes.codes).toEqual(['unknown WM_CONNECTION_LOST', 'ok']);
    expect(outcomes.micros).toBeGreaterThan(SECOND);
    expect(outcomes.micros).toBeLessThan(2 * SECOND);
  });

  it('keeps an idle connection to a dead machine half open until its probes fail', async () => {
    const { world, client, serve } = setUp();
    const outcomes = await world.play(client, async () => {
      await serve();
      const connection = await connected(world, 'client');
      const stream = await connection.open('/a/S');
      if (!stream.ok) throw new Error(stream.error.message);
      world.crash('server');
      const before = world.kernel.now();
      const end = await stream.value.receive();
      return [codeOf(end), world.kernel.now() - before];
    });
    expect(outcomes).toEqual(['unknown WM_CONNECTION_LOST', 10 * SECOND]);
  });

  it('answers late when the server is paused', async () => {
    const { world, client, server, serve } = setUp();
    const outcomes = await world.play(client, async () => {
      await serve();
      const connection = await connected(world, 'client');
      server.pause();
      world.kernel.after(4 * SECOND, null, 'resume', () => server.resume());
      const before = world.kernel.now();
      const answer = await connection.call('/a/B', bytes('x'), { deadlineMicros: 20 * SECOND });
      return { code: codeOf(answer), micros: world.kernel.now() - before };
    });
    expect(outcomes.code).toBe('ok');
    expect(outcomes.micros).toBeGreaterThanOrEqual(4 * SECOND);
    expect(outcomes.micros).toBeLessThan(4.1 * SECOND);
  });

  it('multiplies the delay of a slow link and of no other', async () => {
    const { world, client, serve } = setUp();
    const neighbour = world.add('neighbour', CLOUD);
    expect(neighbour.alive).toBe(true);
    const [slow, near] = await world.play(client, async () => {
      await serve();
      const far = await connected(world, 'client');
      const close = await connected(world, 'neighbour');
      world.network.begin('f', { kind: 'latency', a: 'cloud', b: 'fleet', factor: [10, 1] });
      const t0 = world.kernel.now();
      await far.call('/a/B', bytes('x'), { deadlineMicros: SECOND });
      const t1 = world.kernel.now();
      await close.call('/a/B', bytes('x'), { deadlineMicros: SECOND });
      return [t1 - t0, world.kernel.now() - t1] as const;
    });
    expect(slow).toBe(100_060);
    expect(near).toBe(460);
  });

  it('makes send wait while the window is full, and go on when the receiver takes', async () => {
    const { world, client, serve } = setUp();
    const taken: ByteStream[] = [];
    const admitted = await world.play(client, async () => {
      await serve({
        call: async () => ok(new Uint8Array()),
        stream: async (_method, stream) => {
          taken.push(stream);
          await new Promise<void>((resolve) => world.kernel.after(10 * SECOND, null, 'slow', resolve));
          for (;;) {
            const message = await stream.receive();
            if (!message.ok || message.value === null) return;
          }
        },
      });
      const connection = await connected(world, 'client');
      const stream = await connection.open('/a/S');
      if (!stream.ok) throw new Error(stream.error.message);
      const before = world.kernel.now();
      const at: number[] = [];
      for (let i = 0; i < 8; i++) {
        await stream.value.send(new Uint8Array(100 * 1024));
        at.push(world.kernel.now() - before);
      }
      return at;
    });
    expect(admitted.filter((micros) => micros < SECOND)).toHaveLength(3);
    expect(admitted.filter((micros) => micros > 9 * SECOND)).toHaveLength(5);
  });

  it('draws the same delays again, and others for another seed', async () => {
    const measure = async (seed: string) => {
      const { world, client, serve } = setUp({
        seed,
        latency: { law: 'normal', microsMean: 20_000, microsDeviation: 4_000, microsMin: 1_000 },
      });
      const delays = await world.play(client, async () => {
        await serve();
        const connection = await connected(world, 'client');
        const all: number[] = [];
        for (let i = 0; i < 200; i++) {
          const before = world.kernel.now();
          await connection.call('/a/B', bytes('x'), { deadlineMicros: SECOND });
          all.push(world.kernel.now() - before);
        }
        return all;
      });
      return { delays, digest: world.kernel.digest() };
    };
    const [first, again, other] = [await measure('7'), await measure('7'), await measure('8')];
    expect(again).toEqual(first);
    expect(other.digest).not.toBe(first.digest);
    const mean = first.delays.reduce((sum, delay) => sum + delay, 0) / first.delays.length;
    expect(mean).toBeGreaterThan(39_000);
    expect(mean).toBeLessThan(41_500);
  });
});
