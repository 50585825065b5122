// Deliveries of the kernel per second, digest on, against a bare binary heap that also lets every microtask run between two
// events: `node test/bench/kernel.bench.ts [--json]`. Ratios are taken within a round, then the median. Goal: at least half.
import { createNodeHost } from '../../sim/campaign/host.main.ts';
import { createClock } from '../../sim/clock/clock.ts';
import { compareWith, createKernel, createRecording } from '../../sim/kernel/kernel.ts';
import type { Kernel, Observer, Recording } from '../../sim/kernel/kernel.ts';

const EVENTS = 400_000;
const REPETITIONS = 7;
const PENDING = [1_000, 100_000];
const DELAY_MICROS_MAX = 1_000;
const GOAL = 0.5;

type Row = { readonly name: string; readonly millionPerSecond: number; readonly ratio: number; readonly held: boolean | null };

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
}

type Entry = { readonly micros: number; readonly sequence: number; readonly run: () => void };

/** What anybody would write first: objects in a binary heap. */
class BareHeap {
  readonly #entries: Entry[] = [];

  push(entry: Entry): void {
    let index = this.#entries.push(entry) - 1;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (this.#before(this.#entries[parent] as Entry, entry)) break;
      this.#entries[index] = this.#entries[parent] as Entry;
      index = parent;
    }
    this.#entries[index] = entry;
  }

  pop(): Entry {
    const first = this.#entries[0] as Entry;
    const last = this.#entries.pop() as Entry;
    const size = this.#entries.length;
    if (size === 0) return first;
    let index = 0;
    for (let child = 1; child < size; child = 2 * index + 1) {
      if (child + 1 < size && this.#before(this.#entries[child + 1] as Entry, this.#entries[child] as Entry)) child++;
      if (this.#before(last, this.#entries[child] as Entry)) break;
      this.#entries[index] = this.#entries[child] as Entry;
      index = child;
    }
    this.#entries[index] = last;
    return first;
  }

  #before(a: Entry, b: Entry): boolean {
    return a.micros < b.micros || (a.micros === b.micros && a.sequence < b.sequence);
  }
}

const quiet = (): Kernel => createKernel({ seed: '0x1', host: createNodeHost() });

/** Events per second of the floor: heap and microtasks, nothing else. */
async function playBare(pending: number): Promise<number> {
  const stream = quiet().stream('delays');
  const heap = new BareHeap();
  let now = 0;
  let sequence = 0;
  let steps = 0;
  const again = (): void => heap.push({ micros: now + 1 + stream.below(DELAY_MICROS_MAX), sequence: sequence++, run: again });
  for (let count = 0; count < pending; count++) again();
  const host = createNodeHost();
  const began = performance.now();
  await new Promise<void>((resolve) =>
    host.giveBack(() => {
      while (steps++ < EVENTS) {
        const entry = heap.pop();
        now = entry.micros;
        entry.run();
        host.drain();
      }
      resolve();
    }),
  );
  return (EVENTS / (performance.now() - began)) * 1_000;
}

async function playKernel(pending: number, observer: Observer | null): Promise<number> {
  const kernel = createKernel({ seed: '0x1', host: createNodeHost(), observer });
  const stream = kernel.stream('delays');
  const machine = kernel.machine('machine');
  machine.boot();
  const again = (): void => void kernel.after(1 + stream.below(DELAY_MICROS_MAX), machine, 'event', again);
  for (let count = 0; count < pending; count++) again();
  return timed(kernel);
}

/** Handlers as the product has them: asynchronous, each waiting on the clock port. */
async function playSleepers(pending: number): Promise<number> {
  const kernel = quiet();
  const stream = kernel.stream('delays');
  const machine = kernel.machine('machine');
  machine.boot();
  const clock = createClock(kernel, machine);
  const live = async (): Promise<void> => {
    for (;;) await clock.sleep(1 + stream.below(DELAY_MICROS_MAX));
  };
  for (let count = 0; count < pending; count++) kernel.own('sleeper', live());
  return timed(kernel);
}

async function timed(kernel: Kernel): Promise<number> {
  const began = performance.now();
  const end = await kernel.play({ done: () => kernel.steps >= EVENTS, microsMax: Number.MAX_SAFE_INTEGER });
  const wallMs = performance.now() - began;
  if (end.error !== null) throw end.error;
  return (end.steps / wallMs) * 1_000;
}

async function recorded(pending: number): Promise<Recording> {
  const recording = createRecording();
  await playKernel(pending, recording);
  return recording;
}

const rows: Row[] = [];
for (const pending of PENDING) {
  const recording = await recorded(pending);
  const cases: readonly { readonly name: string; readonly goal: boolean; readonly play: () => Promise<number> }[] = [
    { name: 'kernel, digest on', goal: true, play: () => playKernel(pending, null) },
    { name: 'kernel, recording (first play of --verify)', goal: false, play: () => playKernel(pending, createRecording()) },
    { name: 'kernel, comparing (second play of --verify)', goal: false, play: () => playKernel(pending, compareWith(recording)) },
    { name: 'kernel, handlers that await the clock', goal: false, play: () => playSleepers(pending) },
  ];
  const floors: number[] = [];
  const rates = cases.map((): number[] => []);
  const ratios = cases.map((): number[] => []);
  // The first round warms the engine up.
  for (let round = 0; round <= REPETITIONS; round++) {
    const floor = await playBare(pending);
    if (round > 0) floors.push(floor);
    for (const [index, each] of cases.entries()) {
      const rate = await each.play();
      if (round === 0) continue;
      rates[index]?.push(rate);
      ratios[index]?.push(rate / floor);
    }
  }
  rows.push({ name: `bare heap, ${pending} pending (floor)`, millionPerSecond: median(floors) / 1e6, ratio: 1, held: null });
  for (const [index, { name, goal }] of cases.entries()) {
    const ratio = median(ratios[index] ?? []);
    rows.push({
      name: `${name}, ${pending} pending`,
      millionPerSecond: median(rates[index] ?? []) / 1e6,
      ratio,
      held: goal ? ratio >= GOAL : null,
    });
  }
}

if (process.argv.includes('--json')) {
  const results = rows.map(({ name, millionPerSecond, ratio, held }) => ({
    name,
    value: Number(millionPerSecond.toPrecision(4)),
    unit: 'million/s',
    ratio: Number(ratio.toPrecision(3)),
    held,
  }));
  process.stdout.write(
    `${JSON.stringify({ bench: 'kernel', node: process.version, arch: process.arch, events: EVENTS, repetitions: REPETITIONS, results })}\n`,
  );
} else {
  for (const { name, millionPerSecond, ratio, held } of rows) {
    const verdict = held === null ? '' : `  ${held ? 'held' : 'NOT HELD'} (at least ${GOAL} of the floor)`;
    process.stdout.write(
      `${name.padEnd(62)} ${millionPerSecond.toFixed(2).padStart(6)} million/s ${ratio.toFixed(2).padStart(5)}x${verdict}\n`,
    );
  }
}
process.exitCode = rows.some(({ held }) => held === false) ? 1 : 0;
