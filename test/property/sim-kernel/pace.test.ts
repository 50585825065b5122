// Laws of a paced kernel, whatever it has to do and however the wall moves: by leaps, by halves, with things coming in from outside.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createNodeHost } from '../../../sim/campaign/host.main.ts';
import { createKernel, Pace } from '../../../sim/kernel/kernel.ts';
import { HandWall } from '../../support/ports/wall.ts';

const END_MICROS = 1_000_000;

const step = fc.record({
  /** By so much the wall moves on. */
  leap: fc.integer({ min: 0, max: 400 }),
  /** Then so many things come in, each of which sets an event so much later. */
  comes: fc.array(fc.integer({ min: 0, max: 300 }), { maxLength: 3 }),
});

test('virtual time is never ahead of the wall, never goes back, and everything that is due was delivered, in order, once', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 0, max: 2_000 }), { maxLength: 20 }),
      fc.array(step, { maxLength: 20 }),
      async (first, steps) => {
        const wall = new HandWall(777);
        const pace = new Pace(wall, 100);
        const kernel = createKernel({ seed: '0x1', host: createNodeHost(), pace });
        const delivered: number[] = [];
        const wanted: number[] = [];
        let latest = 0;
        let events = 0;
        const set = (delayMicros: number): void => {
          wanted.push(kernel.now() + delayMicros);
          kernel.after(delayMicros, null, 'event', () => {
            note();
            delivered.push(kernel.now());
          });
        };
        const note = (): void => {
          events += 1;
          expect(kernel.now()).toBeLessThanOrEqual(wall.micros() - 777);
          latest = Math.max(latest, wall.micros() - 777 - kernel.now());
        };
        for (const delay of first) set(delay);
        let isOver = false;
        let rested = wall.rested();
        const end = kernel.play({ done: () => isOver, microsMax: END_MICROS });
        await rested;
        for (const { leap, comes } of steps) {
          await wall.advanceTo(wall.micros() + leap);
          if (comes.length === 0) continue;
          rested = wall.rested();
          for (const delay of comes) {
            kernel.outside(null, 'outside', () => {
              note();
              set(delay);
            });
          }
          await rested;
        }
        const due = wanted.filter((micros) => micros <= wall.micros() - 777).toSorted((a, b) => a - b);
        expect(delivered).toEqual(due);
        expect(pace.lateness()).toMatchObject({ events, microsMax: latest });
        kernel.outside(null, 'stop', () => (isOver = true));
        expect((await end).reason).toBe('done');
      },
    ),
    { numRuns: 100 },
  );
});
