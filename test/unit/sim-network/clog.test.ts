// Machines that are clogged, and connections that are half open, on a raw port.
import { describe, expect, it } from 'vitest';
import { Swizzles } from '../../../sim/faults/swizzle.ts';
import { CLOUD } from '../../contract/sim-world.ts';
import { bytes, codeOf, connected, echo, SECOND, setUp } from '../../support/network/raw-port.ts';

const DEADLINE = { deadlineMicros: 60 * SECOND };

describe('a clog', () => {
  it('holds what is sent and what is under way, and lets it go all at once', async () => {
    const { world, client, serve } = setUp();
    const calls: string[] = [];
    const micros = await world.play(client, async () => {
      await serve(echo(calls));
      const connection = await connected(world, 'client');
      const before = world.kernel.now();
      const ended: number[] = [];
      const call = async (text: string) => {
        const answer = await connection.call('/a/B', bytes(text), DEADLINE);
        expect(codeOf(answer)).toBe('ok');
        ended.push(world.kernel.now() - before);
      };
      const first = call('under way');
      world.network.begin('f', { kind: 'clog', places: ['client'] });
      world.kernel.after(3 * SECOND, null, 'unclog', () => world.network.end('f'));
      await Promise.all([first, call('sent'), call('sent too')]);
      return ended;
    });
    expect(calls).toEqual(['under way', 'sent', 'sent too']);
    // A cut would have cost a repetition each, at 3.2 s and later: a clog costs its own time and the way.
    for (const end of micros) expect(end).toBeGreaterThanOrEqual(3 * SECOND);
    for (const end of micros) expect(end).toBeLessThan(3 * SECOND + 20_000);
  });

  it('that lasts too long breaks the connection, and what it held never arrives', async () => {
    const { world, client, serve } = setUp();
    const calls: string[] = [];
    const outcome = await world.play(client, async () => {
      await serve(echo(calls));
      const connection = await connected(world, 'client');
      world.network.begin('f', { kind: 'clog', places: ['cloud'] });
      const answer = await connection.call('/a/B', bytes('held'), DEADLINE);
      const micros = world.kernel.now();
      world.network.end('f');
      await new Promise<void>((resolve) => world.kernel.after(SECOND, null, 'later', resolve));
      return [codeOf(answer), Math.round(micros / SECOND)];
    });
    expect(outcome).toEqual(['unknown WM_CONNECTION_LOST', 10]);
    expect(calls).toEqual([]);
  });
});

it('a swizzle clogs some machines one by one, and unclogs all of them', async () => {
  const { world, client } = setUp();
  for (let i = 1; i <= 6; i++) world.add(`m${i}`, CLOUD);
  const said: string[] = [];
  const { network } = world;
  const swizzles = new Swizzles(world.kernel, {
    machinesIn: (places) => network.machinesIn(places),
    begin(id, fault) {
      said.push(`+${id}`);
      network.begin(id, fault);
    },
    end(id) {
      said.push(`-${id}`);
      network.end(id);
    },
  });
  await world.play(client, async () => {
    swizzles.begin('s', { kind: 'swizzle', places: ['cloud'], forMicros: 9 * SECOND });
    await new Promise<void>((resolve) => world.kernel.after(9 * SECOND, null, 'over', resolve));
  });
  const began = said.filter((line) => line.startsWith('+')).map((line) => line.slice(1));
  const ended = said.filter((line) => line.startsWith('-')).map((line) => line.slice(1));
  expect(said.slice(0, began.length).every((line) => line.startsWith('+'))).toBe(true);
  expect(began.length).toBeGreaterThan(1);
  expect(ended).not.toEqual(began);
  expect([...ended].sort()).toEqual([...began].sort());
});

describe('a half-open connection', () => {
  it('carries nothing and says nothing, while a new one works', async () => {
    const { world, client, serve } = setUp();
    const calls: string[] = [];
    const outcomes = await world.play(client, async () => {
      await serve(echo(calls));
      const connection = await connected(world, 'client');
      world.network.begin('f', { kind: 'half-open', a: ['client'], b: ['cloud'] });
      const overdue = await connection.call('/a/B', bytes('old'), { deadlineMicros: 2 * SECOND });
      const fresh = await connected(world, 'client');
      const answered = await fresh.call('/a/B', bytes('new'), { deadlineMicros: SECOND });
      return [codeOf(overdue), codeOf(answered)];
    });
    expect(outcomes).toEqual(['unknown WM_DEADLINE', 'ok']);
    expect(calls).toEqual(['new']);
  });

  it('that is idle is found by probes on both sides', async () => {
    const { world, client, serve } = setUp();
    const outcome = await world.play(client, async () => {
      await serve();
      const connection = await connected(world, 'client');
      const stream = await connection.open('/a/S');
      if (!stream.ok) throw new Error(stream.error.message);
      await new Promise<void>((resolve) => world.kernel.after(SECOND, null, 'opened', resolve));
      world.network.begin('f', { kind: 'half-open', a: ['server'], b: ['client'] });
      const before = world.kernel.now();
      const end = await stream.value.receive();
      return [codeOf(end), world.kernel.now() - before];
    });
    expect(outcome).toEqual(['unknown WM_CONNECTION_LOST', 15 * SECOND]);
  });

  it('goes on when the fault ends before anybody gave up', async () => {
    const { world, client, serve } = setUp();
    const code = await world.play(client, async () => {
      await serve();
      const connection = await connected(world, 'client');
      world.network.begin('f', { kind: 'half-open', a: ['server'], b: ['client'] });
      world.kernel.after(3 * SECOND, null, 'heal', () => world.network.end('f'));
      return codeOf(await connection.call('/a/B', bytes('x'), DEADLINE));
    });
    expect(code).toBe('ok');
  });
});
