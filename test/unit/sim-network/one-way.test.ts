// A partition that is one way: what arrives, what does not, and what the ends make of it.
import { expect, it } from 'vitest';
import { bytes, codeOf, connected, echo, SECOND, setUp } from '../../support/network/raw-port.ts';

it('lets requests through once and no answer back, and breaks the connection on both sides', async () => {
  const { world, client, serve } = setUp();
  const calls: string[] = [];
  const outcomes = await world.play(client, async () => {
    await serve(echo(calls));
    const connection = await connected(world, 'client');
    world.network.begin('f', { kind: 'partition-one-way', from: ['server'], to: ['client'] });
    const before = world.kernel.now();
    const overdue = await connection.call('/a/B', bytes('one'), { deadlineMicros: SECOND });
    const broken = await connection.call('/a/B', bytes('two'), { deadlineMicros: 60 * SECOND });
    return [codeOf(overdue), codeOf(broken), world.kernel.now() - before];
  });
  // The first request was never acknowledged: its sender gave the connection up ten seconds after it.
  expect(outcomes).toEqual(['unknown WM_DEADLINE', 'unknown WM_CONNECTION_LOST', 10 * SECOND]);
  expect(calls).toEqual(['one', 'two']);
});

it('keeps requests away where they are the ones that are lost', async () => {
  const { world, client, serve } = setUp();
  const calls: string[] = [];
  const outcome = await world.play(client, async () => {
    await serve(echo(calls));
    const connection = await connected(world, 'client');
    world.network.begin('f', { kind: 'partition-one-way', from: ['client'], to: ['cloud'] });
    return connection.call('/a/B', bytes('one'), { deadlineMicros: 3 * SECOND });
  });
  expect(codeOf(outcome)).toBe('unknown WM_DEADLINE');
  expect(calls).toEqual([]);
});

it('loses nothing and repeats nothing when it heals before the connection is given up', async () => {
  const { world, client, serve } = setUp();
  const calls: string[] = [];
  const outcome = await world.play(client, async () => {
    await serve(echo(calls));
    const connection = await connected(world, 'client');
    world.network.begin('f', { kind: 'partition-one-way', from: ['server'], to: ['client'] });
    world.kernel.after(3 * SECOND, null, 'heal', () => world.network.end('f'));
    return connection.call('/a/B', bytes('one'), { deadlineMicros: 20 * SECOND });
  });
  expect(codeOf(outcome)).toBe('ok');
  expect(calls).toEqual(['one']);
});
