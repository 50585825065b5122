// Speed of the engine addon against its own floor, measured in the same run: `node test/bench/engine.bench.ts [--json]`.
// A table for people, and with --json one line of JSON for `reports/baseline`. Medians over repetitions.
import { loadEngine } from '../../hardware/wasm/native/native.ts';
import type { EngineModule, Guest, GuestOptions, LegInput } from '../../hardware/wasm/native/native.ts';
import { createProgressPrinter } from '../../hardware/wasm/build/progress.ts';

const REPETITIONS = 11;
const COLD_STARTS = 30_000;
const REQUESTS = 300_000;
const SUSPENDED = 900;
const MIB = 1 << 20;

const OPTIONS: GuestOptions = {
  args: [],
  env: [],
  stdin: new Uint8Array(0),
  fuelMax: 1e12,
  fuelSlice: 100_000,
  memoryBytesMax: MIB,
  stdoutBytesMax: 4_096,
  stderrBytesMax: 4_096,
  randomSeed: new Uint8Array(32),
  fuelPerMicro: 1_000,
  granted: { clock: true, random: true, environment: true, sleep: true },
};
const CLOCKS = { monotonicMicros: 0, civilMicros: 0 };
const FIRST: LegInput = { answer: null, ...CLOCKS };
const ANSWER: LegInput = { answer: { status: 0, bytes: null }, ...CLOCKS };

type Row = { readonly name: string; readonly value: number; readonly unit: string; readonly goal: string; readonly held: boolean | null };

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? Number.NaN;
}

/** Nanoseconds of `action`. */
function time(action: () => void): number {
  const start = process.hrtime.bigint();
  action();
  return Number(process.hrtime.bigint() - start);
}

const addon = await loadEngine({ onProgress: createProgressPrinter(process.stderr) });
const engine = addon.createEngine({
  memoryReservationBytes: MIB,
  memoryGuardBytes: 65_536,
  memoryBytesMax: MIB,
  tableElementsMax: 1_000,
  poolSlots: 1_000,
  target: null,
  cpuFeatures: [],
  optimise: 'speed',
});
const load = (text: string): EngineModule => engine.load(engine.compile(addon.parseText(text)));

const nothing = load(`(module (memory (export "memory") 1) (data (i32.const 0) "hello")
  (func (export "_start") (i32.store (i32.const 8) (i32.const 1))))`);
const command = load(`(module
  (func $read (import "wasi_snapshot_preview1" "fd_read") (param i32 i32 i32 i32) (result i32))
  (func $write (import "wasi_snapshot_preview1" "fd_write") (param i32 i32 i32 i32) (result i32))
  (memory (export "memory") 1)
  (func (export "_start")
    (i32.store (i32.const 0) (i32.const 1024)) (i32.store (i32.const 4) (i32.const 1000))
    (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 16)))
    (i32.store (i32.const 4) (i32.load (i32.const 16)))
    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 16)))))`);
const asking = load(`(module (func $ask (import "wasmmatrix" "ask") (param i32 i32) (result i32))
  (memory (export "memory") 1)
  (func (export "empty") (loop (drop (call $ask (i32.const 0) (i32.const 0))) br 0))
  (func (export "loaded") (loop (drop (call $ask (i32.const 0) (i32.const 200))) br 0)))`);
const burning = load(`(module (func (export "_start") (local i32) (local.set 0 (i32.const 5000000))
  (loop (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))))`);

function coldStarts(): void {
  for (let index = 0; index < COLD_STARTS; index++) nothing.run(OPTIONS, CLOCKS);
}

function coldStartsInSteps(): void {
  for (let index = 0; index < COLD_STARTS; index++) {
    const guest = nothing.start(OPTIONS);
    guest.resumeInline(FIRST);
    guest.close();
  }
}

const withInput = { ...OPTIONS, stdin: Buffer.from('{"speed":42,"unit":"km/h"}') };

function commands(): void {
  for (let index = 0; index < COLD_STARTS; index++) command.run(withInput, CLOCKS);
}

function requests(guest: Guest, input: LegInput): void {
  for (let index = 0; index < REQUESTS; index++) guest.resumeInline(input);
}

function burn(fuelSlice: number | null): void {
  using guest = burning.start({ ...OPTIONS, fuelSlice });
  while (guest.resumeInline(FIRST).kind === 'sliced');
}

async function workerLegs(count: number): Promise<number> {
  const guest = asking.start({ ...OPTIONS, fuelSlice: null, entry: 'empty' });
  await guest.resume(FIRST);
  const start = process.hrtime.bigint();
  for (let index = 0; index < count; index++) await guest.resume(ANSWER);
  const each = Number(process.hrtime.bigint() - start) / count;
  guest.close();
  return each;
}

type Peer = 'floor' | 'run' | 'steps' | 'command' | 'requestsFloor' | 'empty' | 'loaded' | 'whole' | 'sliced' | 'worker' | 'suspended';
const measured: Record<Peer, number[]> = {
  floor: [],
  run: [],
  steps: [],
  command: [],
  requestsFloor: [],
  empty: [],
  loaded: [],
  whole: [],
  sliced: [],
  worker: [],
  suspended: [],
};

const asks = asking.start({ ...OPTIONS, entry: 'empty' });
const carries = asking.start({ ...OPTIONS, entry: 'loaded' });
asks.resumeInline(FIRST);
carries.resumeInline(FIRST);
const answered: LegInput = { answer: { status: 0, bytes: new Uint8Array(200) }, ...CLOCKS };

// The first round warms up and is dropped. Peers are measured in turn, so that a slow moment of the machine meets all.
for (let round = 0; round <= REPETITIONS; round++) {
  const floor = nothing.benchFloor(COLD_STARTS);
  const run = time(coldStarts) / COLD_STARTS;
  const steps = time(coldStartsInSteps) / COLD_STARTS;
  const each = time(commands) / COLD_STARTS;
  const requestsFloor = asking.benchRequestsFloor(REQUESTS);
  const empty = time(() => requests(asks, ANSWER)) / REQUESTS;
  const loaded = time(() => requests(carries, answered)) / REQUESTS;
  const whole = time(() => burn(null));
  const sliced = time(() => burn(100_000));
  const worker = await workerLegs(2_000);
  const guests: Guest[] = [];
  const suspended = time(() => {
    for (let index = 0; index < SUSPENDED; index++) {
      const guest = asking.start({ ...OPTIONS, entry: 'empty' });
      guest.resumeInline(FIRST);
      guests.push(guest);
    }
  });
  for (const guest of guests) guest.close();
  if (round === 0) continue;
  measured.floor.push(floor);
  measured.run.push(run);
  measured.steps.push(steps);
  measured.command.push(each);
  measured.requestsFloor.push(requestsFloor);
  measured.empty.push(empty);
  measured.loaded.push(loaded);
  measured.whole.push(whole);
  measured.sliced.push(sliced);
  measured.worker.push(worker);
  measured.suspended.push(suspended);
}
asks.close();
carries.close();

const floor = median(measured.floor);
/** Ratios are taken within each round and then the median: rounds differ more than what they compare. */
const ratio = (a: readonly number[], b: readonly number[]): number => median(a.map((value, index) => value / (b[index] ?? Number.NaN)));
const runRatio = ratio(measured.run, measured.floor);
const stepsRatio = ratio(measured.steps, measured.floor);
const requestRatio = ratio(measured.empty, measured.requestsFloor);
const perSecond = 1e9 / median(measured.empty);

const rows: readonly Row[] = [
  { name: 'cold start, the same calls in Rust (floor)', value: floor / 1_000, unit: 'µs', goal: '', held: null },
  { name: 'cold start, run()', value: median(measured.run) / 1_000, unit: 'µs', goal: '', held: null },
  { name: 'cold start, run() against the floor', value: runRatio, unit: 'x', goal: 'at most 2', held: runRatio <= 2 },
  { name: 'cold start, start() + resumeInline() + close()', value: median(measured.steps) / 1_000, unit: 'µs', goal: '', held: null },
  { name: 'cold start in three calls against the floor', value: stepsRatio, unit: 'x', goal: 'at most 2', held: stepsRatio <= 2 },
  { name: 'WASI command, stdin to stdout, run()', value: median(measured.command) / 1_000, unit: 'µs', goal: '', held: null },
  { name: 'host requests, in Rust alone (floor)', value: 1e3 / median(measured.requestsFloor), unit: 'million/s', goal: '', held: null },
  // An absolute goal: it says something on a machine that does nothing else.
  { name: 'host requests, empty', value: perSecond / 1e6, unit: 'million/s', goal: 'more than 1.4 when idle', held: null },
  { name: 'time of a request against the floor', value: requestRatio, unit: 'x', goal: 'at most 4', held: requestRatio <= 4 },
  { name: 'host requests, 200 bytes both ways', value: 1e3 / median(measured.loaded), unit: 'million/s', goal: '', held: null },
  { name: 'cost of 100,000-fuel slices', value: (ratio(measured.sliced, measured.whole) - 1) * 100, unit: '%', goal: '', held: null },
  { name: 'leg on a thread, there and back', value: median(measured.worker) / 1_000, unit: 'µs', goal: '', held: null },
  { name: `${SUSPENDED} guests started and suspended`, value: median(measured.suspended) / 1e6, unit: 'ms', goal: '', held: null },
];

if (process.argv.includes('--json')) {
  const { version, wasmtime, host } = addon.build;
  const results = rows.map(({ name, value, unit, held }) => ({ name, value: Number(value.toPrecision(4)), unit, held }));
  process.stdout.write(
    `${JSON.stringify({ bench: 'engine', version, wasmtime, host, node: process.version, repetitions: REPETITIONS, results })}\n`,
  );
} else {
  for (const { name, value, unit, goal, held } of rows) {
    const verdict = held === null ? '' : `  ${held ? 'held' : 'NOT HELD'} (${goal})`;
    process.stdout.write(`${name.padEnd(48)} ${value.toFixed(2).padStart(10)} ${unit}${verdict}\n`);
  }
}
engine.close();
process.exitCode = rows.some(({ held }) => held === false) ? 1 : 0;
