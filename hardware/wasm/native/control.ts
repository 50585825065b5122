// The block of memory that passes between JavaScript and the engine: options, answers and steps go through it, so a leg costs
// one call without arguments. Owns the layout, which `src/control.rs` repeats (the two change together), and the promises of
// jobs that run on threads. Refuses to know what a guest is for.
import type { EngineError, EngineProfile, ErrorCode, GuestOptions, HotCalls, LegInput, NativeAddon, NativeEngine, Step } from './types.ts';

// Slots of the control block (doubles); `mod at` of src/lib.rs.
const FUEL_MAX = 0;
const FUEL_SLICE = 1;
const MEMORY_BYTES_MAX = 2;
const STDOUT_BYTES_MAX = 3;
const STDERR_BYTES_MAX = 4;
const FUEL_PER_MICRO = 5;
const GRANTED = 6;
const MONOTONIC_MICROS = 7;
const CIVIL_MICROS = 8;
const ANSWERED = 9;
const STATUS = 10;
const ARGS_BYTES = 11;
const ENVIRONMENT_BYTES = 12;
const INPUT_BYTES = 13;
export const SUBJECT = 14;
export const DETAIL = 15;
export const KIND = 16;
export const FUEL_USED = 17;
export const MEMORY_BYTES = 18;
export const MEMORY_BYTES_PEAK = 19;
const VALUE = 20;
const TEXT_BYTES = 21;
const STDOUT_BYTES = 22;
const STDERR_BYTES = 23;
export const HANDLE = 24;
export const LARGE = 25;
const SLOTS = 32;
const SEED_AT = 256;
const SEED_BYTES = 32;
const DATA_AT = 512;
const DATA_BYTES = 65_536;

const KIND_RETURNED = 0;
const KIND_TRAPPED = 1;
const KIND_EXHAUSTED = 2;
const KIND_SLICED = 3;
const KIND_REQUEST = 4;
const KIND_LIMIT = 5;
const KIND_CLOSED = -1;
const KIND_BYTES = -2;

const GRANT_CLOCK = 1;
const GRANT_RANDOM = 2;
const GRANT_ENVIRONMENT = 4;
const GRANT_SLEEP = 8;

const LIMITS = ['memory', 'stdout', 'stderr', 'pool'] as const;
export const EMPTY = new Uint8Array(0);
const encoder = new TextEncoder();
const decoder = new TextDecoder();

export function engineError(code: ErrorCode, message: string): EngineError {
  return Object.assign(new Error(message), { code });
}

/** Strings as a C program sees them: each ended by a zero byte. */
function encodeStrings(strings: readonly string[]): Uint8Array {
  if (strings.length === 0) return EMPTY;
  for (const text of strings) {
    if (text.includes('\0')) throw engineError('WM_ENGINE_OPTIONS', 'an argument or environment variable holds a zero byte');
  }
  return encoder.encode(`${strings.join('\0')}\0`);
}

/** The guest whose leg was run away: reads the step that the engine has just written. */
type StepTaker = { takeStep(kind: number): Step };

type Waiting = {
  readonly guest: StepTaker | null;
  readonly resolve: (value: never) => void;
  readonly reject: (error: unknown) => void;
};

/** The block of memory of one engine, and what is read from and written to it. */
export class Control {
  readonly native: NativeEngine;
  readonly hot: HotCalls;
  readonly slots: Float64Array;
  readonly #seed: Uint8Array;
  readonly #data: Uint8Array;
  readonly #waiting = new Map<number, Waiting>();
  #ticket = 0;
  #listening = false;
  readonly slotsMax: number;
  /** Guests that were made and not closed. */
  guestsOpen = 0;
  closed = false;

  constructor(addon: NativeAddon, profile: EngineProfile, threads: number | null) {
    const block = new ArrayBuffer(DATA_AT + DATA_BYTES);
    this.slots = new Float64Array(block, 0, SLOTS);
    this.#seed = new Uint8Array(block, SEED_AT, SEED_BYTES);
    this.#data = new Uint8Array(block, DATA_AT, DATA_BYTES);
    this.native = new addon.NativeEngine(
      { ...profile, cpuFeatures: [...profile.cpuFeatures], canonicalNans: profile.canonicalNans ?? true },
      threads,
      new Uint8Array(block),
    );
    const hot = {} as HotCalls;
    this.native.hot(hot);
    this.hot = hot;
    this.slotsMax = profile.poolSlots;
  }

  #put(parts: readonly Uint8Array[], bytes: number): void {
    if (bytes > DATA_BYTES) {
      const large = new Uint8Array(bytes);
      let offset = 0;
      for (const part of parts) {
        large.set(part, offset);
        offset += part.length;
      }
      this.native.giveLarge(large);
      return;
    }
    let offset = 0;
    for (const part of parts) {
      if (part.length > 0) this.#data.set(part, offset);
      offset += part.length;
    }
  }

  putOptions(options: GuestOptions): void {
    const slots = this.slots;
    const seed = options.randomSeed;
    if (seed.length !== SEED_BYTES) {
      throw engineError('WM_ENGINE_OPTIONS', `randomSeed has ${seed.length} bytes; 32 are expected`);
    }
    this.#seed.set(seed);
    const granted = options.granted;
    slots[FUEL_MAX] = options.fuelMax;
    slots[FUEL_SLICE] = options.fuelSlice ?? 0;
    slots[MEMORY_BYTES_MAX] = options.memoryBytesMax;
    slots[STDOUT_BYTES_MAX] = options.stdoutBytesMax;
    slots[STDERR_BYTES_MAX] = options.stderrBytesMax;
    slots[FUEL_PER_MICRO] = options.fuelPerMicro;
    slots[GRANTED] =
      (granted.clock ? GRANT_CLOCK : 0) |
      (granted.random ? GRANT_RANDOM : 0) |
      (granted.environment ? GRANT_ENVIRONMENT : 0) |
      (granted.sleep ? GRANT_SLEEP : 0);
    const { args, env, stdin } = options;
    if (args.length === 0 && env.length === 0 && stdin.length === 0) {
      slots[ARGS_BYTES] = 0;
      slots[ENVIRONMENT_BYTES] = 0;
      slots[INPUT_BYTES] = 0;
      return;
    }
    const argsText = encodeStrings(args);
    const envText = encodeStrings(env.map(([name, value]) => `${name}=${value}`));
    slots[ARGS_BYTES] = argsText.length;
    slots[ENVIRONMENT_BYTES] = envText.length;
    slots[INPUT_BYTES] = stdin.length;
    this.#put([argsText, envText, stdin], argsText.length + envText.length + stdin.length);
  }

  putClocks(monotonicMicros: number, civilMicros: number): void {
    this.slots[MONOTONIC_MICROS] = monotonicMicros;
    this.slots[CIVIL_MICROS] = civilMicros;
  }

  putInput(input: LegInput): void {
    const slots = this.slots;
    slots[MONOTONIC_MICROS] = input.monotonicMicros;
    slots[CIVIL_MICROS] = input.civilMicros;
    const answer = input.answer;
    if (answer === null) {
      slots[ANSWERED] = 0;
      slots[INPUT_BYTES] = 0;
      return;
    }
    slots[ANSWERED] = 1;
    slots[STATUS] = answer.status;
    const bytes = answer.bytes;
    if (bytes === null || bytes.length === 0) {
      slots[INPUT_BYTES] = 0;
    } else {
      slots[INPUT_BYTES] = bytes.length;
      if (bytes.length <= DATA_BYTES) this.#data.set(bytes);
      else this.native.giveLarge(bytes);
    }
  }

  #bytes(offset: number, length: number, large: Uint8Array | null): Uint8Array {
    if (length === 0) return EMPTY;
    return (large ?? this.#data).slice(offset, offset + length);
  }

  /** Data of the last call when they did not fit into the block. */
  large(): Uint8Array | null {
    return this.slots[LARGE] === 0 ? null : this.native.takeLarge();
  }

  stdout(large: Uint8Array | null): Uint8Array {
    return this.#bytes(this.slots[TEXT_BYTES]!, this.slots[STDOUT_BYTES]!, large);
  }

  stderr(large: Uint8Array | null): Uint8Array {
    return this.#bytes(this.slots[TEXT_BYTES]! + this.slots[STDOUT_BYTES]!, this.slots[STDERR_BYTES]!, large);
  }

  step(kind: number, operations: readonly string[], large: Uint8Array | null): Step {
    const slots = this.slots;
    const fuelUsed = slots[FUEL_USED]!;
    switch (kind) {
      case KIND_RETURNED:
        return { kind: 'returned', exitCode: slots[VALUE]!, fuelUsed };
      case KIND_REQUEST: {
        const operation = operations[slots[VALUE]!]!;
        return { kind: 'request', operation, payload: this.#bytes(0, slots[TEXT_BYTES]!, large), fuelUsed };
      }
      case KIND_SLICED:
        return { kind: 'sliced', fuelUsed };
      case KIND_EXHAUSTED:
        return { kind: 'exhausted', fuelUsed };
      case KIND_LIMIT:
        return { kind: 'limit', limit: LIMITS[slots[VALUE]!]!, fuelUsed };
      case KIND_TRAPPED: {
        const text = decoder.decode(this.#bytes(0, slots[TEXT_BYTES]!, large));
        const end = text.indexOf('\n');
        return { kind: 'trapped', trap: text.slice(0, end), message: text.slice(end + 1), fuelUsed };
      }
      default:
        throw engineError('WM_ENGINE_BUG', `a leg ended in an unknown way (${kind})`);
    }
  }

  closeGuest(handle: number): void {
    this.guestsOpen--;
    if (this.closed) return;
    this.slots[SUBJECT] = handle;
    this.hot.closeGuest();
  }

  /** Runs `submit` with a new ticket; the promise settles when the job is done. */
  away<T>(guest: StepTaker | null, submit: (ticket: number) => void): Promise<T> {
    if (!this.#listening) {
      this.native.listen((ticket, kind, value) => this.#settle(ticket, kind, value));
      this.#listening = true;
    }
    this.#ticket = (this.#ticket + 1) >>> 0;
    const ticket = this.#ticket;
    return new Promise<T>((resolve, reject) => {
      submit(ticket);
      this.#waiting.set(ticket, { guest, resolve, reject });
    });
  }

  #settle(ticket: number, kind: number, value: unknown): void {
    const waiting = this.#waiting.get(ticket);
    if (waiting === undefined) return;
    this.#waiting.delete(ticket);
    if (waiting.guest === null) {
      if (kind === KIND_BYTES) waiting.resolve(value as never);
      else waiting.reject(value);
      return;
    }
    if (kind === KIND_CLOSED) {
      waiting.reject(engineError('WM_ENGINE_CLOSED', 'the guest was closed while its leg ran'));
      return;
    }
    try {
      waiting.resolve(waiting.guest.takeStep(kind) as never);
    } catch (error) {
      waiting.reject(error);
    }
  }

  /** Legs and compilations that were still waiting when the engine was closed. */
  abandon(): void {
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const one of waiting) one.reject(engineError('WM_ENGINE_CLOSED', 'the engine was closed'));
  }
}
