import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { EventQueue } from '../../../sim/kernel/queue.ts';
import type { Machine, ScheduledEvent } from '../../../sim/kernel/kernel.ts';
import { playKernel } from '../../unit/sim-kernel/play.ts';

describe('the queue', () => {
  test('gives what a sorted list gives, whatever is pushed, popped and swept in between', () => {
    const step = fc.oneof(
      { weight: 5, arbitrary: fc.record({ kind: fc.constant('push' as const), micros: fc.integer({ min: 0, max: 40 }) }) },
      { weight: 3, arbitrary: fc.record({ kind: fc.constant('pop' as const) }) },
      { weight: 1, arbitrary: fc.record({ kind: fc.constant('sweep' as const), modulus: fc.integer({ min: 2, max: 5 }) }) },
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
        const queue = new EventQueue<number>();
        let model: { micros: number; sequence: number }[] = [];
        let sequence = 0;
        const popped: unknown[] = [];
        const wanted: unknown[] = [];
        for (const each of steps) {
          if (each.kind === 'push') {
            queue.push(each.micros, sequence, sequence);
            model.push({ micros: each.micros, sequence: sequence++ });
            model.sort((a, b) => a.micros - b.micros || a.sequence - b.sequence);
          } else if (each.kind === 'pop') {
            popped.push([queue.firstMicros, queue.pop()]);
            const first = model.shift();
            wanted.push([first?.micros ?? Infinity, first?.sequence]);
          } else {
            queue.retain((item) => item % each.modulus !== 0);
            model = model.filter((entry) => entry.sequence % each.modulus !== 0);
          }
          expect(queue.size).toBe(model.length);
        }
        expect(popped).toEqual(wanted);
      }),
    );
  });
});

/** A plan of what a tree of events does when each is delivered: which events it sets, and which earlier ones it cancels. */
type Plan = { readonly delay: number; readonly machine: number; readonly cancels: readonly number[]; readonly sets: readonly Plan[] };

const planOf = (depth: number): fc.Arbitrary<Plan> =>
  fc.record({
    delay: fc.integer({ min: 0, max: 5 }),
    machine: fc.integer({ min: -1, max: 2 }),
    cancels: fc.array(fc.nat(30), { maxLength: 2 }),
    sets: depth === 0 ? fc.constant([]) : fc.array(planOf(depth - 1), { maxLength: 3 }),
  });
const plans = planOf(3);

describe('the kernel', () => {
  test('delivers each event once, in the order (time, order of setting), unless it was cancelled before', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(plans, { minLength: 1, maxLength: 10 }), async (roots) => {
        const all: { due: number; handle: ScheduledEvent; deliveredAs: number | null; cancelled: boolean }[] = [];
        let deliveries = 0;
        await playKernel((kernel) => {
          const machines = [0, 1, 2].map((index) => {
            const machine = kernel.machine(`m${index}`);
            machine.boot();
            return machine;
          });
          const set = (plan: Plan): void => {
            const machine = plan.machine < 0 ? null : (machines[plan.machine] as Machine);
            const entry = {
              due: kernel.now() + plan.delay,
              deliveredAs: null as number | null,
              cancelled: false,
              handle: kernel.after(plan.delay, machine, 'e', () => {
                expect(kernel.now()).toBe(entry.due);
                expect(entry.deliveredAs).toBeNull();
                entry.deliveredAs = deliveries++;
                for (const index of plan.cancels) {
                  const other = all[index];
                  if (other === undefined) continue;
                  if (other.handle.pending) other.cancelled = true;
                  other.handle.cancel();
                }
                for (const next of plan.sets) set(next);
              }),
            };
            all.push(entry);
          };
          roots.forEach(set);
        });
        for (const entry of all) expect(entry.deliveredAs === null).toBe(entry.cancelled);
        // `all` is in the order of setting, so a stable sort by time is the total order.
        const delivered = all.filter((entry) => entry.deliveredAs !== null).toSorted((a, b) => a.due - b.due);
        expect(delivered.map((entry) => entry.deliveredAs)).toEqual(delivered.map((_, index) => index));
      }),
    );
  });

  test('keeps the order of a machine over any pauses, and loses exactly what was outstanding at a crash', async () => {
    const change = fc.record({ at: fc.integer({ min: 1, max: 60 }), what: fc.constantFrom('pause', 'resume', 'crash', 'boot') });
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 0, max: 50 }), { maxLength: 30 }),
        fc.array(change, { maxLength: 12 }),
        async (delays, changes) => {
          const seen: { due: number; index: number }[] = [];
          let crashed = false;
          await playKernel((kernel) => {
            const machine = kernel.machine('m');
            machine.boot();
            for (const { at, what } of changes) {
              kernel.after(at, null, what, () => {
                if (what === 'crash') crashed = true;
                if (what === 'boot' && machine.alive) return;
                // Time passes between a crash and the next boot; here both may be planned for one event's successor.
                machine[what]();
              });
            }
            delays.forEach((due, index) => kernel.after(due, machine, 'e', () => seen.push({ due, index })));
            kernel.after(100, null, 'resume', () => machine.resume());
          });
          const order = delays.map((due, index) => ({ due, index })).toSorted((a, b) => a.due - b.due);
          // What was delivered is a beginning of the order of setting and time; all of it when nothing crashed.
          expect(seen).toEqual(order.slice(0, seen.length));
          expect(crashed || seen.length === delays.length).toBe(true);
        },
      ),
    );
  });

  test('does work on any number of cores as a simple model says', async () => {
    const work = fc.record({ at: fc.integer({ min: 0, max: 30 }), cost: fc.integer({ min: 0, max: 20 }) });
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 4 }), fc.array(work, { maxLength: 30 }), async (cores, works) => {
        const inOrder = works.toSorted((a, b) => a.at - b.at);
        const ends: number[] = [];
        await playKernel((kernel) => {
          const machine = kernel.machine('m', { cores });
          machine.boot();
          inOrder.forEach(({ at, cost }, index) =>
            kernel.after(at, machine, 'arrive', () => machine.execute(cost, 'work', () => (ends[index] = kernel.now()))),
          );
        });
        const free = Array.from({ length: cores }, () => 0);
        const model = inOrder.map(({ at, cost }) => {
          const core = free.indexOf(Math.min(...free));
          free[core] = Math.max(at, free[core] as number) + cost;
          return free[core];
        });
        expect([...ends]).toEqual(model);
      }),
    );
  });
});

describe('streams of chance', () => {
  const seeds = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map((seed) => `0x${seed.toString(16)}`);
  const draw = async (seed: string, names: readonly string[]): Promise<Map<string, number[]>> => {
    const drawn = new Map<string, number[]>();
    await playKernel(
      (kernel) => {
        for (const name of names) {
          const numbers = drawn.get(name) ?? [];
          numbers.push(kernel.stream(name).uint32());
          drawn.set(name, numbers);
        }
      },
      { seed },
    );
    return drawn;
  };

  test('adding a stream, or draws in another, changes no other stream', async () => {
    await fc.assert(
      fc.asyncProperty(
        seeds,
        fc.array(fc.constantFrom('a', 'b', 'c/d', ''), { minLength: 1, maxLength: 40 }),
        fc.array(fc.nat(40), { maxLength: 20 }),
        async (seed, names, places) => {
          const alone = await draw(seed, names);
          const more: string[] = [...names];
          for (const place of places) more.splice(place % (more.length + 1), 0, 'added');
          const together = await draw(seed, more);
          for (const [name, numbers] of alone) expect(together.get(name)).toEqual(numbers);
        },
      ),
    );
  });

  test('two names, and two seeds, give different streams', async () => {
    await fc.assert(
      fc.asyncProperty(seeds, seeds, fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), async (seed, otherSeed, name, other) => {
        fc.pre(name !== other && seed !== otherSeed);
        const four = async (s: string, n: string): Promise<string> => String((await draw(s, [n, n, n, n])).get(n));
        const mine = await four(seed, name);
        expect(await four(seed, other)).not.toBe(mine);
        expect(await four(otherSeed, name)).not.toBe(mine);
      }),
    );
  });

  test('a large bound favours no value: numbers past its last whole multiple are drawn again', async () => {
    await playKernel((kernel) => {
      // Without drawing again, the lowest third of three quarters of 2^32 would come in one half of the cases.
      const stream = kernel.stream('x');
      let low = 0;
      for (let count = 0; count < 30_000; count++) if (stream.below(3 * 2 ** 30) < 2 ** 30) low++;
      expect(low / 30_000).toBeCloseTo(1 / 3, 1);
    });
  });

  test('a draw below a bound is below it, and every value is as likely as another', async () => {
    await fc.assert(
      fc.asyncProperty(seeds, fc.integer({ min: 2, max: 12 }), async (seed, bound) => {
        await playKernel(
          (kernel) => {
            const counts = Array.from({ length: bound }, () => 0);
            const stream = kernel.stream('x');
            const draws = 2_000 * bound;
            for (let count = 0; count < draws; count++) {
              const value = stream.below(bound);
              counts[value] = (counts[value] as number) + 1;
            }
            // Chi-squared over up to 11 degrees of freedom: 60 is passed by chance less than once in ten million times.
            const chi = counts.reduce((sum, count) => sum + ((count - 2_000) * (count - 2_000)) / 2_000, 0);
            expect(chi).toBeLessThan(60);
          },
          { seed },
        );
      }),
      { numRuns: 30 },
    );
  });
});
