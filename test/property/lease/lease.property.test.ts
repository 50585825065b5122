// Two never lead at once, whatever the network does and although their clocks run apart.
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { createLease } from '../../../hardware/lease/lease.ts';
import type { Lease, Tenure } from '../../../hardware/lease/lease.ts';
import type { Clock } from '../../../system/ports/clock.ts';
import { drawing } from '../../support/agent/random.ts';
import { FAIR, MemoryLease } from '../../support/lease/memory-lease-store.ts';
import type { Weather } from '../../support/lease/memory-lease-store.ts';
import { MemoryTime } from '../../support/ports/memory-clock.ts';

const MS = 1_000;
const LEASE_MS = 1_000;
const STEP_MS = 20;
/** With fair weather somebody leads after a lease, a look and what was lost. */
const SETTLED_MS = 4 * LEASE_MS;

/** A clock that runs `permille` as fast as time. */
function drifting(time: MemoryTime, permille: number): Clock {
  const clock = time.process();
  return {
    monotonicMicros: () => Math.floor((clock.monotonicMicros() * permille) / 1_000),
    civilMs: () => clock.civilMs(),
    after: (delay, callback) => clock.after(Math.ceil((delay * 1_000) / permille), callback),
    sleep: (delay) => clock.sleep(Math.ceil((delay * 1_000) / permille)),
  };
}

const weathers = fc.record<Weather>({
  thereMicros: fc.integer({ min: 0, max: 2_000 * MS }),
  backMicros: fc.integer({ min: 0, max: 300 * MS }),
  lost: fc.constantFrom('nothing', 'nothing', 'nothing', 'request', 'answer'),
});

it('two never lead at once, and one leads when the weather is fair again', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 900, max: 1_100 }), { minLength: 2, maxLength: 3 }),
      fc.array(weathers, { minLength: 10, maxLength: 80 }),
      fc.array(fc.boolean(), { minLength: 40, maxLength: 400 }),
      fc.integer({ min: 0, max: 2 ** 24 - 1 }),
      async (speeds, storms, stormy, draw) => {
        const time = new MemoryTime();
        const record = new MemoryLease(time);
        let asked = 0;
        let storm = false;
        const weather = (): Weather => (storm ? storms[asked++ % storms.length]! : FAIR);
        const tenures: (Tenure | null)[] = speeds.map(() => null);
        const leases: Lease[] = speeds.map((permille, i) => {
          const made = createLease({
            clock: drifting(time, permille),
            // The last byte makes their sessions differ.
            random: { stream: () => drawing(draw * 256 + i) },
            store: record.from(weather),
            holder: String(i),
            address: '',
            leaseMs: LEASE_MS,
          });
          if (!made.ok) throw new Error(made.error.message);
          return made.value;
        });
        const compete = async (i: number): Promise<void> => {
          for (;;) {
            const acquired = await leases[i]!.acquire();
            if (!acquired.ok) return;
            tenures[i] = acquired.value;
            await acquired.value.lost;
          }
        };
        const done = Promise.all(leases.map((_, i) => compete(i)));
        const leading = (): number => tenures.filter((tenure) => tenure?.isHeld() === true).length;
        for (storm of stormy) {
          await time.advance(STEP_MS * MS);
          expect(leading()).toBeLessThanOrEqual(1);
        }
        storm = false;
        await time.advance(SETTLED_MS * MS);
        expect(leading()).toBe(1);
        await time.until(Promise.all(leases.map((lease) => lease.stop())));
        await time.until(done);
      },
    ),
    { numRuns: 60 },
  );
});
