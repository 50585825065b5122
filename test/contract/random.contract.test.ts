// What any source of chance promises, in both worlds.
import { describe, expect, it } from 'vitest';
import { SystemRandom } from '../../hardware/random/random.ts';
import { createRandom } from '../../sim/random/random.ts';
import type { Random } from '../../system/ports/random.ts';
import { CLOUD, SimWorld } from './sim-world.ts';

const ARMS: readonly { readonly world: string; readonly create: () => Random }[] = [
  {
    world: 'simulated',
    create: () => {
      const world = new SimWorld();
      return createRandom(world.kernel, world.add('machine', CLOUD));
    },
  },
  { world: 'real', create: () => new SystemRandom() },
];

const DRAWS = 20_000;

describe.each(ARMS)('$world chance', ({ create }) => {
  it('gives the same stream for the same name', () => {
    const random = create();
    expect(random.stream('a')).toBe(random.stream('a'));
    expect(random.stream('a')).not.toBe(random.stream('b'));
  });

  it('draws whole numbers of 32 bits over their whole range', () => {
    const stream = create().stream('a');
    const draws = Array.from({ length: DRAWS }, () => stream.uint32());
    expect(draws.every((draw) => Number.isInteger(draw) && draw >= 0 && draw < 2 ** 32)).toBe(true);
    for (let bit = 0; bit < 32; bit++) {
      const ones = draws.filter((draw) => Math.floor(draw / 2 ** bit) % 2 === 1).length;
      expect(Math.abs(ones - DRAWS / 2)).toBeLessThan(DRAWS * 0.03);
    }
  });

  it('draws below a bound without bias, for the smallest and the largest bound too', () => {
    const stream = create().stream('a');
    const counts = [0, 0, 0, 0, 0, 0];
    for (let i = 0; i < DRAWS; i++) counts[stream.below(6)]!++;
    for (const count of counts) expect(Math.abs(count - DRAWS / 6)).toBeLessThan(DRAWS * 0.02);
    expect(stream.below(1)).toBe(0);
    expect(stream.below(2 ** 32)).toBeLessThan(2 ** 32);
    // Without rejection the lower half of this range would come up two times in three.
    const bound = 3 * 2 ** 30;
    const low = Array.from({ length: DRAWS }, () => stream.below(bound)).filter((draw) => draw < 2 ** 30).length;
    expect(Math.abs(low - DRAWS / 3)).toBeLessThan(DRAWS * 0.03);
  });

  it('holds chances, never and always included', () => {
    const stream = create().stream('a');
    const hits = Array.from({ length: DRAWS }, () => stream.chance(1, 4)).filter(Boolean).length;
    expect(Math.abs(hits - DRAWS / 4)).toBeLessThan(DRAWS * 0.03);
    expect(Array.from({ length: 100 }, () => stream.chance(0, 1)).some(Boolean)).toBe(false);
    expect(Array.from({ length: 100 }, () => stream.chance(5, 5)).every(Boolean)).toBe(true);
  });

  it('gives as many bytes as asked for, new ones each time', () => {
    const stream = create().stream('a');
    expect(stream.bytes(0)).toHaveLength(0);
    expect(stream.bytes(33)).toHaveLength(33);
    expect(stream.bytes(32)).not.toEqual(stream.bytes(32));
  });
});
