import { describe, expect, test } from 'vitest';
import { compareWith, createKernel, createRecording, QUIET } from '../../../sim/kernel/kernel.ts';
import type { Kernel } from '../../../sim/kernel/kernel.ts';
import { createNodeHost } from '../../../sim/campaign/host.main.ts';
import { createClock } from '../../../sim/clock/clock.ts';
import { INSTANT_STEPS_MAX } from '../../../sim/kernel/loop.ts';
import { playKernel } from './play.ts';

describe('the kernel delivers events in a total order', () => {
  test('by time, and at one instant in the order in which they were set', async () => {
    const seen: string[] = [];
    await playKernel((kernel) => {
      for (const [delay, name] of [
        [20, 'c'],
        [10, 'a'],
        [20, 'd'],
        [10, 'b'],
        [0, 'now'],
      ] as const)
        kernel.after(delay, null, name, () => seen.push(`${name}@${kernel.now()}`));
    });
    expect(seen).toEqual(['now@0', 'a@10', 'b@10', 'c@20', 'd@20']);
  });

  test('and, when asked, with machines taking turns in an order that the seed draws for each instant', async () => {
    const orders = async (seed: string, permute: boolean): Promise<{ readonly seen: readonly string[]; readonly digest: string }> => {
      const seen: string[] = [];
      const { end } = await playKernel(
        (kernel) => {
          const machines = ['a', 'b', 'c'].map((name) => kernel.machine(name));
          for (const machine of machines) machine.boot();
          for (let instant = 1; instant <= 20; instant++)
            for (const n of [1, 2])
              for (const machine of machines) kernel.after(instant, machine, 'turn', () => seen.push(`${machine.name}${n}`));
        },
        { seed, permute },
      );
      return { seen, digest: end.digest };
    };
    const instants = (seen: readonly string[]): readonly string[] =>
      Array.from({ length: 20 }, (_, i) => seen.slice(i * 6, i * 6 + 6).join(' '));
    const plain = await orders('0x1', false);
    expect(new Set(instants(plain.seen))).toEqual(new Set(['a1 b1 c1 a2 b2 c2']));
    expect(await orders('0x2', false)).toEqual(plain);
    const permuted = await orders('0x1', true);
    expect(await orders('0x1', true)).toEqual(permuted);
    expect((await orders('0x2', true)).digest).not.toBe(permuted.digest);
    // All six orders of three machines come up, and each machine's two events stay in theirs.
    expect(new Set(instants(permuted.seen)).size).toBe(6);
    for (const instant of instants(permuted.seen)) expect(instant).toMatch(/^(?<x>.)1 \k<x>2 (?<y>.)1 \k<y>2 (?<z>.)1 \k<z>2$/);
  });

  test('never from within the call that sets them, a delay of 0 included', async () => {
    const seen: string[] = [];
    await playKernel((kernel) => {
      kernel.after(5, null, 'outer', () => {
        kernel.after(0, null, 'inner', () => seen.push('inner'));
        seen.push('outer ends');
      });
      kernel.after(5, null, 'other', () => seen.push('other'));
    });
    expect(seen).toEqual(['outer ends', 'other', 'inner']);
  });

  test('not once they are cancelled, also by an event of the same instant', async () => {
    const seen: string[] = [];
    await playKernel((kernel) => {
      kernel.after(1, null, 'first', () => {
        later.cancel();
        later.cancel();
        expect(later.pending).toBe(false);
      });
      const later = kernel.after(1, null, 'later', () => seen.push('later'));
      expect(later.pending).toBe(true);
    });
    expect(seen).toEqual([]);
  });

  test.each([-1, 0.5, Number.NaN, Infinity])('a delay of %s is a bug', (delay) => {
    const kernel = createKernel({ seed: '0x1', host: createNodeHost() });
    expect(() => kernel.after(delay, null, 'odd', () => {})).toThrow('whole microseconds');
  });

  test('many cancelled events are swept out and disturb no other', async () => {
    let delivered = 0;
    const { end } = await playKernel((kernel) => {
      for (let round = 0; round < 20_000; round++) {
        const given = kernel.after(10 + round, null, 'deadline', () => delivered++);
        if (round % 10 !== 0) given.cancel();
      }
    });
    expect([delivered, end.steps]).toEqual([2_000, 2_000]);
  });
});

describe.each([
  ['at once', {}],
  ['in a turn of their own', { inTurns: true }],
] as const)('between two events every microtask runs, %s', (_, how) => {
  test('chains of promises of depth 1000 end before the next event of the same instant', async () => {
    const seen: string[] = [];
    await playKernel((kernel) => {
      const chain = async (name: string): Promise<void> => {
        for (let depth = 0; depth < 1_000; depth++) await Promise.resolve();
        // A rejection that travels and a promise that resolves to a promise take further turns of the microtask queue.
        await Promise.reject(new Error('expected')).catch(() => {});
        await new Promise((resolve) => resolve(new Promise((inner) => inner(null))));
        seen.push(name);
      };
      kernel.after(1, null, 'first', () => kernel.own('chain', chain('chain of the first')));
      kernel.after(1, null, 'second', () => {
        seen.push('second');
        kernel.own('chain', chain('chain of the second'));
      });
      kernel.after(2, null, 'third', () => seen.push('third'));
    }, how);
    expect(seen).toEqual(['chain of the first', 'second', 'chain of the second', 'third']);
  });

  test('without a turn of the event loop', async () => {
    let turns = 0;
    let turnsSeen = -1;
    const prepare = (kernel: Kernel): void => {
      kernel.after(0, null, 'begin', () => {
        turns = 0;
        setImmediate(() => turns++);
      });
      for (let event = 1; event <= 500; event++) kernel.after(event, null, 'tick', () => (turnsSeen = turns));
    };
    await playKernel(prepare, { still: true, ...how });
    expect(turnsSeen).toBe(0);
  });

  test('to the same digest', async () => {
    const live = (kernel: Kernel): void => {
      const stream = kernel.stream('delays');
      const clock = createClock(kernel, null);
      const run = async (name: string): Promise<void> => {
        for (let count = 0; count < 50; count++) {
          await clock.sleep(stream.below(3));
          kernel.note('world', `${name} ${count}`);
        }
      };
      for (const name of ['a', 'b', 'c']) kernel.own(name, run(name));
    };
    const { end } = await playKernel(live, how);
    expect(end).toEqual((await playKernel(live)).end);
    expect(end.steps).toBe(150);
  });
});

describe('a play ends', () => {
  test('when done says so, asked after each event and its microtasks', async () => {
    let count = 0;
    const { end } = await playKernel(
      (kernel) => {
        const tick = (): void => {
          void Promise.resolve().then(() => count++);
          kernel.after(1, null, 'tick', tick);
        };
        tick();
      },
      { done: () => count === 50 },
    );
    expect(end).toMatchObject({ reason: 'done', error: null, steps: 49, micros: 49 });
  });

  test('quiet when nothing is left', async () => {
    const { end } = await playKernel((kernel) => kernel.after(7, null, 'only', () => {}));
    expect(end).toMatchObject({ reason: 'quiet', micros: 7, steps: 1 });
  });

  test('at the time it was given, with the clock there and later events not delivered', async () => {
    let late = false;
    const { end } = await playKernel((kernel) => void kernel.after(11, null, 'late', () => (late = true)), { microsMax: 10 });
    expect([end.reason, end.micros, late]).toEqual(['time', 10, false]);
  });

  test('failed by the first error of an event, of an owned promise, or of fail', async () => {
    const error = new Error('broken');
    const thrown = await playKernel((kernel) => {
      kernel.after(1, null, 'throws', () => {
        throw error;
      });
      kernel.after(2, null, 'late', () => kernel.fail(new Error('second')));
    });
    expect(thrown.end).toMatchObject({ reason: 'failed', error, steps: 1 });
    const owned = await playKernel((kernel) => {
      kernel.after(1, null, 'handles', () =>
        kernel.own(
          'the handler',
          Promise.resolve().then(() => Promise.reject(error)),
        ),
      );
      kernel.after(1, null, 'late', () => {});
    });
    expect(owned.end).toMatchObject({ reason: 'failed', error, steps: 1 });
    const odd = await playKernel(
      (kernel) => void kernel.after(1, null, 'handles', () => kernel.own('the handler', Promise.reject('text'))),
    );
    expect(String(odd.end.error)).toContain('the handler was rejected with text');
  });

  test('cancelled when the user gives up', async () => {
    const { end } = await playKernel(
      (kernel) => {
        const tick = (): void => void kernel.after(1, null, 'tick', tick);
        tick();
      },
      { cancelled: () => true },
    );
    expect(end).toMatchObject({ reason: 'cancelled', steps: 0 });
  });

  test('with a bug when an instant never ends (INSTANT_STEPS_MAX)', async () => {
    const { end } = await playKernel((kernel) => {
      const spin = (): void => void kernel.after(0, null, 'spin', spin);
      kernel.after(3, null, 'spin', spin);
    });
    expect(String(end.error)).toContain(`more than ${INSTANT_STEPS_MAX} events at 3 µs`);
  });

  test('and can go on where it ended', async () => {
    const seen: number[] = [];
    const { kernel } = await playKernel((k) => [5, 15].forEach((delay) => k.after(delay, null, 'e', () => seen.push(k.now()))), {
      microsMax: 10,
    });
    expect(seen).toEqual([5]);
    const end = await kernel.play({ done: () => false, microsMax: 20 });
    expect([seen, end.reason]).toEqual([[5, 15], 'quiet']);
  });
});

describe('the digest', () => {
  const world = (label: string, delay: number, note: string, machine = 'a') =>
    playKernel(
      (kernel) => {
        const owner = kernel.machine(machine);
        owner.boot();
        kernel.after(delay, owner, label, () => kernel.note(machine, note));
      },
      { microsMax: 2 ** 40 },
    ).then(({ end }) => end.digest);

  test('is the same for the same events and differs with time, machine, label and note', async () => {
    const first = await world('tick', 5, 'x');
    expect(first).toMatch(/^[0-9a-f]{16}$/);
    expect(await world('tick', 5, 'x')).toBe(first);
    const others = await Promise.all([
      world('tock', 5, 'x'),
      world('tick', 6, 'x'),
      world('tick', 5 + 2 ** 32, 'x'),
      world('tick', 5, 'y'),
      world('tick', 5, 'x', 'b'),
    ]);
    expect(new Set([first, ...others]).size).toBe(6);
  });

  test('covers what happened, not the number of the seed', async () => {
    const digests = await Promise.all(
      ['0x1', '0x2'].map((seed) => playKernel((kernel) => void kernel.after(1, null, 'tick', () => kernel.stream('x').uint32()), { seed })),
    );
    expect(digests[0]?.end.digest).toBe(digests[1]?.end.digest);
  });

  // Pinned: another value here means that every digest ever reported changed, on this or on another architecture.
  test('has the value that it had', async () => {
    expect(await world('tick', 5, 'x')).toBe('e785433495ff972c');
  });
});

describe('a quiet event', () => {
  /** Three events, of which the first ones say that they are quiet; `first` runs in the first. */
  const three =
    (gives: typeof QUIET | undefined, first: (kernel: Kernel) => void = () => {}) =>
    (kernel: Kernel): void => {
      kernel.after(1, null, 'first', () => {
        first(kernel);
        return gives;
      });
      kernel.after(1, null, 'second', () => gives);
      kernel.after(2, null, 'third', () => kernel.note('world', 'third'));
    };

  test('is followed by the next at once, and nothing else is different', async () => {
    const turnsOf = async (gives: typeof QUIET | undefined): Promise<{ readonly turns: number; readonly end: unknown }> => {
      const host = createNodeHost();
      let turns = 0;
      const counting = { ...host, drain: () => (turns++, host.drain()) };
      const kernel = createKernel({ seed: '0x1', host: counting });
      three(gives)(kernel);
      const end = await kernel.play({ done: () => false, microsMax: 10 });
      return { turns, end };
    };
    const [loud, quiet] = [await turnsOf(undefined), await turnsOf(QUIET)];
    expect(quiet.end).toEqual(loud.end);
    expect([loud.turns, quiet.turns]).toEqual([3, 1]);
  });

  test('lets a play end where it ends', async () => {
    let delivered = 0;
    const { end } = await playKernel((kernel) => three(QUIET, () => delivered++)(kernel), { done: () => delivered > 0 });
    expect(end).toMatchObject({ reason: 'done', steps: 1 });
  });

  test('that settles a promise all the same is found by the second play', async () => {
    const wrong = three(QUIET, (kernel) => void Promise.resolve().then(() => kernel.note('world', 'late')));
    const recording = createRecording();
    await playKernel(wrong, { observer: recording });
    const { end } = await playKernel(wrong, { observer: compareWith(recording) });
    expect(end).toMatchObject({ reason: 'failed' });
    expect(String(end.error)).toContain('WM_NOT_DETERMINISTIC');
  });
});
