// Of faults of a kind that are on a way at once the worst counts, and what the way is like without faults is one of them. Who changes
// nothing is not felt.
import { expect, it } from 'vitest';
import type { LinkFault } from '../../../sim/network/network.ts';
import { CLOUD, FLEET } from '../../contract/sim-world.ts';
import { bytes, connected, SECOND, setUp } from '../../support/network/raw-port.ts';

const WAY = { a: 'cloud', b: 'fleet' } as const;

/** Under all these faults: which of them were felt during so many calls, and how long the last one took. */
async function under(
  faults: Readonly<Record<string, LinkFault>>,
  calls = 1,
  prepare: (world: ReturnType<typeof setUp>['world']) => void = () => {},
) {
  const { world, client, serve } = setUp();
  prepare(world);
  return world.play(client, async () => {
    await serve();
    const connection = await connected(world, 'client');
    const felt = new Set<string>();
    for (const [id, fault] of Object.entries(faults)) world.network.begin(id, fault, () => felt.add(id));
    let micros = 0;
    for (let i = 0; i < calls; i++) {
      const before = world.kernel.now();
      await connection.call('/a/B', bytes('x'), { deadlineMicros: 60 * SECOND });
      micros = world.kernel.now() - before;
    }
    return { felt: [...felt].sort(), micros };
  });
}

it('latency is as long as the longest makes it, which alone is felt', async () => {
  const twice: LinkFault = { kind: 'latency', ...WAY, factor: [2, 1] };
  const tenfold: LinkFault = { kind: 'latency', ...WAY, factor: [10, 1] };
  // Two ways of 5 ms, ten times as long, and the server's 60 µs.
  expect(await under({ twice, tenfold })).toEqual({ felt: ['tenfold'], micros: 100_060 });
  expect(await under({ tenfold, twice })).toEqual({ felt: ['tenfold'], micros: 100_060 });
});

it.each<[string, LinkFault, LinkFault]>([
  ['loss', { kind: 'loss', ...WAY, loss: [1, 10] }, { kind: 'loss', ...WAY, loss: [1, 2] }],
  [
    'bandwidth',
    { kind: 'bandwidth', ...WAY, bytesPerS: 9_000, queueBytes: 9_000 },
    { kind: 'bandwidth', ...WAY, bytesPerS: 1_000, queueBytes: 9_000 },
  ],
  ['duplication', { kind: 'duplication', ...WAY, ratio: [1, 10] }, { kind: 'duplication', ...WAY, ratio: [1, 2] }],
  ['corruption', { kind: 'corruption', ...WAY, ratio: [1, 10] }, { kind: 'corruption', ...WAY, ratio: [1, 2] }],
])('of two faults of %s the weaker is not felt, whichever began first', async (_, weak, strong) => {
  expect((await under({ weak, strong }, 40)).felt).toEqual(['strong']);
  expect((await under({ strong, weak }, 40)).felt).toEqual(['strong']);
});

it('a fault that is milder than the way itself is not felt', async () => {
  const lossy = (world: ReturnType<typeof setUp>['world']): void =>
    world.network.setLaw(CLOUD, FLEET, { law: 'constant', micros: 5_000 }, [1, 2], [{ kind: 'duplication', ratio: [1, 2] }]);
  const loss: LinkFault = { kind: 'loss', ...WAY, loss: [1, 10] };
  const duplication: LinkFault = { kind: 'duplication', ...WAY, ratio: [1, 10] };
  expect((await under({ loss, duplication }, 40, lossy)).felt).toEqual([]);
  expect((await under({ loss: { ...loss, loss: [3, 4] }, duplication: { ...duplication, ratio: [3, 4] } }, 40, lossy)).felt).toEqual([
    'duplication',
    'loss',
  ]);
});
