// What arrives at one instant from several machines has no order in the world: a run that permutes draws it.
import { describe, expect, it } from 'vitest';
import { CLOUD, FLEET, SimWorld } from '../../contract/sim-world.ts';
import { bytes, connected, echo, SECOND, SERVER } from '../../support/network/raw-port.ts';

/** What a server heard of two clients whose calls, made at different times, arrive at one instant. */
async function heard(seed: string, permute: boolean): Promise<{ readonly calls: readonly string[]; readonly digest: string }> {
  const world = new SimWorld({ seed, permute });
  // Far away and near: who has the longer way leaves first.
  world.network.setLaw(CLOUD, CLOUD, { law: 'constant', micros: 3_000 }, [0, 1]);
  world.add('server', CLOUD);
  const far = world.add('far', FLEET);
  const near = world.add('near', CLOUD);
  const calls: string[] = [];
  await world.play(far, async () => {
    await world.network.portOf('server').listen(SERVER, echo(calls));
    const ways = [await connected(world, 'far'), await connected(world, 'near')] as const;
    const start = SECOND - world.kernel.now();
    const ended = [...ways.entries()].map(async ([i, way]) => {
      await new Promise<void>((resolve) => world.kernel.after(start + i * 2_000, i === 0 ? far : near, 'send', resolve));
      const both = ['1', '2'].map((n) => way.call('/a/B', bytes(`${i === 0 ? 'far' : 'near'} ${n}`), { deadlineMicros: SECOND }));
      await Promise.all(both);
    });
    await Promise.all(ended);
  });
  return { calls, digest: world.kernel.digest() };
}

const SEEDS = Array.from({ length: 50 }, (_, i) => String(i + 1));

describe('two messages that arrive at one instant', () => {
  it('are handled in the order in which they were sent, unless a run permutes', async () => {
    for (const seed of SEEDS) expect((await heard(seed, false)).calls).toEqual(['far 1', 'far 2', 'near 1', 'near 2']);
  });

  it('are handled in both orders where a run permutes, and those of one connection in their own', async () => {
    const orders = new Set<string>();
    for (const seed of SEEDS) orders.add((await heard(seed, true)).calls.join(', '));
    expect([...orders].sort()).toEqual(['far 1, far 2, near 1, near 2', 'near 1, near 2, far 1, far 2']);
  });
});
