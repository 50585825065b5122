// Builders for tests of the engine addon: one addon per file, small engines, guests written as text.
import { loadEngine } from '../../../hardware/wasm/native/native.ts';
import type {
  Engine,
  EngineAddon,
  EngineModule,
  EngineProfile,
  Guest,
  GuestAnswer,
  GuestOptions,
  LegInput,
  Step,
} from '../../../hardware/wasm/native/native.ts';

/** A first run builds the engine: minutes. */
export const BUILD_TIMEOUT_MS = 20 * 60_000;

export const PROFILE: EngineProfile = {
  memoryReservationBytes: 16 << 20,
  memoryGuardBytes: 64 << 10,
  memoryBytesMax: 16 << 20,
  tableElementsMax: 1_000,
  poolSlots: 20,
  target: null,
  cpuFeatures: [],
  optimise: 'speed',
};

export const GRANT_ALL = { clock: true, random: true, environment: true, sleep: true };
export const GRANT_NONE = { clock: false, random: false, environment: false, sleep: false };

export const OPTIONS: GuestOptions = {
  args: [],
  env: [],
  stdin: new Uint8Array(0),
  fuelMax: 100_000_000,
  fuelSlice: null,
  memoryBytesMax: 4 << 20,
  stdoutBytesMax: 1 << 20,
  stderrBytesMax: 1 << 20,
  randomSeed: new Uint8Array(32),
  fuelPerMicro: 1_000,
  granted: GRANT_ALL,
};

export const CLOCKS = { monotonicMicros: 0, civilMicros: 0 };

export function leg(answer: GuestAnswer | null = null): LegInput {
  return { answer, ...CLOCKS };
}

let addon: Promise<EngineAddon> | null = null;

/** The addon of these sources, built when needed. */
export function engineAddon(): Promise<EngineAddon> {
  addon ??= loadEngine();
  return addon;
}

export function loadText(made: EngineAddon, engine: Engine, text: string): EngineModule {
  return engine.load(engine.compile(made.parseText(text)));
}

/** Runs inline until the guest ends; requests are answered by `answer`. */
export function finish(
  guest: Guest,
  answer: (operation: string, payload: Uint8Array) => GuestAnswer = () => ({ status: 0, bytes: null }),
): Step {
  let step = guest.resumeInline(leg());
  while (step.kind === 'sliced' || step.kind === 'request') {
    step = guest.resumeInline(leg(step.kind === 'sliced' ? null : answer(step.operation, step.payload)));
  }
  return step;
}

/** As `finish`, with every leg on a thread of the engine. */
export async function finishAway(
  guest: Guest,
  answer: (operation: string, payload: Uint8Array) => GuestAnswer = () => ({ status: 0, bytes: null }),
): Promise<Step> {
  let step = await guest.resume(leg());
  while (step.kind === 'sliced' || step.kind === 'request') {
    step = await guest.resume(leg(step.kind === 'sliced' ? null : answer(step.operation, step.payload)));
  }
  return step;
}

/** Code of what `action` throws, or null. */
export function codeOf(action: () => unknown): string | null {
  try {
    action();
    return null;
  } catch (error) {
    return (error as { code?: string }).code ?? String(error);
  }
}

export async function codeOfAsync(action: () => Promise<unknown>): Promise<string | null> {
  try {
    await action();
    return null;
  } catch (error) {
    return (error as { code?: string }).code ?? String(error);
  }
}

/** Counts down from `rounds`, mixes a number, and writes it to stdout: work that takes fuel and shows in the output. */
export function workText(rounds: number): string {
  return `(module
    (func $write (import "wasi_snapshot_preview1" "fd_write") (param i32 i32 i32 i32) (result i32))
    (memory (export "memory") 1)
    (func (export "_start") (local $left i32) (local $mix i64)
      (local.set $left (i32.const ${rounds}))
      (local.set $mix (i64.const 0x9E3779B97F4A7C15))
      (loop $next
        (local.set $mix (i64.xor (i64.mul (local.get $mix) (i64.const 6364136223846793005)) (i64.extend_i32_u (local.get $left))))
        (local.set $left (i32.sub (local.get $left) (i32.const 1)))
        (br_if $next (local.get $left)))
      (i64.store (i32.const 64) (local.get $mix))
      (i32.store (i32.const 0) (i32.const 64))
      (i32.store (i32.const 4) (i32.const 8))
      (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 16)))))`;
}
