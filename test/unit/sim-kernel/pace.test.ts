// A paced kernel, with a wall that the test holds: when events come, what comes from outside, what counts as late.
import { describe, expect, test } from 'vitest';
import { createNodeHost } from '../../../sim/campaign/host.main.ts';
import { createKernel, Pace } from '../../../sim/kernel/kernel.ts';
import type { Kernel, KernelEnd } from '../../../sim/kernel/kernel.ts';
import { createClock } from '../../../sim/clock/clock.ts';
import { HandWall } from '../../support/ports/wall.ts';

const LATENESS_MICROS_MAX = 1_000;
const END_MICROS = 1_000_000;

type Played = { readonly kernel: Kernel; readonly wall: HandWall; readonly pace: Pace; readonly end: Promise<KernelEnd> };

/** Begins to play and resolves when the kernel waits for the wall. */
async function begin(prepare: (kernel: Kernel) => void = () => {}, done: () => boolean = () => false): Promise<Played> {
  const wall = new HandWall(5_000_000);
  const pace = new Pace(wall, LATENESS_MICROS_MAX);
  const kernel = createKernel({ seed: '0x1', host: createNodeHost(), pace, civilStartMs: 1_000 });
  prepare(kernel);
  const rested = wall.rested();
  const end = kernel.play({ done, microsMax: END_MICROS });
  await rested;
  return { kernel, wall, pace, end };
}

const at = (micros: number): number => 5_000_000 + micros;

describe('a paced kernel', () => {
  test('delivers nothing before the wall has reached its time, and everything that it has', async () => {
    const seen: string[] = [];
    const { kernel, wall } = await begin((one) => {
      for (const micros of [100, 200, 300]) one.after(micros, null, 'due', () => seen.push(`${micros}@${one.now()}`));
    });
    await wall.advanceTo(at(99));
    expect([seen, wall.nextMicros]).toEqual([[], at(100)]);
    await wall.advanceTo(at(100));
    expect(seen).toEqual(['100@100']);
    await wall.advanceTo(at(900));
    expect(seen).toEqual(['100@100', '200@200', '300@300']);
    expect(kernel.now()).toBe(300);
  });

  test('catches up: what follows from something late, and is overdue itself, comes at once and at its own time', async () => {
    const seen: number[] = [];
    const { wall, pace } = await begin((one) => {
      one.after(100, null, 'first', () => one.after(50, null, 'second', () => one.after(500, null, 'third', () => seen.push(one.now()))));
      one.after(150, null, 'other', () => seen.push(one.now()));
    });
    await wall.advanceTo(at(400));
    expect(seen).toEqual([150]);
    expect(pace.lateness()).toEqual({ events: 3, microsMax: 300, overdue: 0 });
    await wall.advanceTo(at(650));
    expect(seen).toEqual([150, 650]);
  });

  test('takes what comes from outside at the time of the wall, behind what was due before', async () => {
    const seen: string[] = [];
    const { kernel, wall } = await begin((one) => {
      one.after(100, null, 'due', () => seen.push(`due@${one.now()}`));
      one.after(700, null, 'later', () => seen.push(`later@${one.now()}`));
    });
    wall.skipTo(at(250));
    const rested = wall.rested();
    kernel.outside(null, 'came in', () => seen.push(`outside@${kernel.now()}`));
    await rested;
    expect(seen).toEqual(['due@100', 'outside@250']);
    await wall.advanceTo(at(700));
    expect(seen.at(-1)).toBe('later@700');
  });

  test('is not over when nothing is left to happen, but at its end, or when something from outside ends it', async () => {
    let isOver = false;
    const { kernel, wall, end } = await begin(undefined, () => isOver);
    await wall.advanceTo(at(10));
    kernel.outside(null, 'stop', () => (isOver = true));
    expect((await end).reason).toBe('done');
    const other = await begin();
    void other.wall.advanceTo(at(END_MICROS));
    expect(await other.end).toMatchObject({ reason: 'time', micros: END_MICROS });
  });

  test('ends at once when something outside of any event fails it', async () => {
    const { kernel, end } = await begin();
    kernel.own('a promise of the real world', Promise.reject(new Error('lost')));
    expect(await end).toMatchObject({ reason: 'failed', error: new Error('lost') });
  });

  test('counts what was late beyond the bound, from the moment at which it is told to', async () => {
    const { wall, pace } = await begin((one) => {
      for (const micros of [100, 200, 5_000, 6_000]) one.after(micros, null, 'due', () => {});
    });
    await wall.advanceTo(at(1_150));
    expect(pace.lateness()).toEqual({ events: 2, microsMax: 1_050, overdue: 1 });
    pace.measure();
    expect(pace.lateness()).toEqual({ events: 0, microsMax: 0, overdue: 0 });
    await wall.advanceTo(at(5_000 + LATENESS_MICROS_MAX));
    expect(pace.lateness()).toEqual({ events: 2, microsMax: LATENESS_MICROS_MAX, overdue: 0 });
  });

  test('has the civil time that it was given', async () => {
    let civilMs = 0;
    const { wall } = await begin((one) => one.after(7_000, null, 'due', () => (civilMs = createClock(one, null).civilMs())));
    await wall.advanceTo(at(7_000));
    expect(civilMs).toBe(1_007);
  });
});

test('without a pace there is no outside', () => {
  const kernel = createKernel({ seed: '0x1', host: createNodeHost() });
  expect(() => kernel.outside(null, 'a letter', () => {})).toThrow('"a letter" comes from outside, which only a paced run has');
});
