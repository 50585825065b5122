// Guests by their declared cost (H1.9): where a scenario gives a module a model, no engine runs it, and everything around it is
// what it always is. A guest is played leg by leg as a real one: it spends its fuel in equal parts between what it asks of the
// host, meets the limits of its module, and gives up with exit code 1 when the host refuses it.
// Determinism: what a law draws follows from the run's seed and the event, so that an event costs the same wherever it runs.
import ln from '@stdlib/math-base-special-ln';
import type { FuelLaw, GuestCallSpec, GuestModelSpec } from '../../scenarios/scenario.ts';
import type { Digest } from '../../system/domain/identifiers.ts';
import { ok } from '../../system/domain/outcome.ts';
import type { Outcome } from '../../system/domain/outcome.ts';
import type { GuestOptions, GuestStep, HostAnswer, ModuleImport } from '../../system/ports/wasm.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { EngineGuest, EngineModule, GuestEngine } from './engine.ts';

const GIVES_UP = 1;
/** A key that is not there is an answer like any other. */
const NOT_FOUND = -2;
const FILLER = 0x78;
const TWO_32 = 4_294_967_296;
const NANOS_PER_MICRO = 1_000n;

const encoder = new TextEncoder();

export type ModelledOptions = {
  readonly engine: GuestEngine;
  readonly kernel: Kernel;
  readonly digest: (bytes: Uint8Array) => Digest;
};

/** The engine of a run: it runs what has no model. */
export class ModelledEngine implements GuestEngine {
  readonly #options: ModelledOptions;
  /** Bound: the pushes of a scenario. */
  readonly #models = new Map<Digest, GuestModelSpec>();
  /** The run's part in every draw; drawn when it is first needed. */
  #salt: number | null = null;

  constructor(options: ModelledOptions) {
    this.#options = options;
  }

  /** Guests of these bytes are played by `model` from here on. */
  declare(module: Uint8Array, model: GuestModelSpec): Digest {
    const digest = this.#options.digest(module);
    this.#models.set(digest, model);
    return digest;
  }

  inspect(bytes: Uint8Array): Outcome<readonly ModuleImport[]> {
    return this.#options.engine.inspect(bytes);
  }

  load(bytes: Uint8Array): Outcome<EngineModule> {
    const model = this.#models.size === 0 ? undefined : this.#models.get(this.#options.digest(bytes));
    if (model === undefined) return this.#options.engine.load(bytes);
    const imports = this.#options.engine.inspect(bytes);
    if (!imports.ok) return imports;
    return ok({ imports: imports.value, start: (options) => ok(new ModelledGuest(model, options, this.#drawOf(model, options))) });
  }

  /** A number of 32 bits for this event; 0 where the law draws nothing. */
  #drawOf({ fuel }: GuestModelSpec, { environment }: GuestOptions): number {
    if (fuel.law === 'constant') return 0;
    this.#salt ??= this.#options.kernel.stream('guest models').uint32();
    let word = this.#salt;
    for (const [name, value] of environment) if (name === 'WM_EVENT_ID') word = mix(word, value);
    return word;
  }
}

/** Murmur3's steps for 32 bits. */
function mix(seed: number, text: string): number {
  let word = seed | 0;
  for (let i = 0; i < text.length; i++) {
    word = Math.imul(word ^ text.charCodeAt(i), 0xcc9e2d51);
    word = (word << 15) | (word >>> 17);
    word = (Math.imul(word, 5) + 0xe6546b64) | 0;
  }
  word = Math.imul(word ^ (word >>> 16), 0x85ebca6b);
  word = Math.imul(word ^ (word >>> 13), 0xc2b2ae35);
  return (word ^ (word >>> 16)) >>> 0;
}

function fuelOf(law: FuelLaw, draw: number): number {
  switch (law.law) {
    case 'constant':
      return law.fuel;
    case 'uniform':
      return law.fuelMin + Math.floor((draw / TWO_32) * (law.fuelMax - law.fuelMin + 1));
    case 'exponential':
      return law.fuelMin + Math.round(-(law.fuelMean - law.fuelMin) * ln((draw + 1) / TWO_32));
  }
}

class ModelledGuest implements EngineGuest {
  fuelUsed = 0;
  memoryBytesPeak: number;
  readonly #model: GuestModelSpec;
  readonly #options: GuestOptions;
  readonly #fuel: number;
  #calls = 0;
  #output = new Uint8Array(0);

  constructor(model: GuestModelSpec, options: GuestOptions, draw: number) {
    this.#model = model;
    this.#options = options;
    this.#fuel = fuelOf(model.fuel, draw) + model.fuelPerByte * options.stdin.length;
    this.memoryBytesPeak = Math.min(model.memoryBytes, options.memoryBytesMax);
  }

  resume(answer: HostAnswer | null): GuestStep {
    const { calls, memoryBytes } = this.#model;
    const { fuelMax, memoryBytesMax } = this.#options;
    if (memoryBytes > memoryBytesMax) return { kind: 'exhausted', limit: 'memory' };
    if (answer !== null && answer.status < 0 && !(answer.status === NOT_FOUND && calls[this.#calls - 1]?.call === 'read'))
      return { kind: 'returned', exitCode: GIVES_UP };
    const due = Math.floor((this.#fuel * (this.#calls + 1)) / (calls.length + 1));
    if (due > fuelMax) {
      this.fuelUsed = fuelMax;
      return { kind: 'exhausted', limit: 'fuel' };
    }
    this.fuelUsed = due;
    const call = calls[this.#calls++];
    return call === undefined ? this.#return() : requestOf(call);
  }

  #return(): GuestStep {
    const { result } = this.#model;
    const { stdin, outputBytesMax } = this.#options;
    const output = result === 'echo' ? stdin.slice() : new Uint8Array(result.bytes).fill(FILLER);
    if (output.length > outputBytesMax) return { kind: 'exhausted', limit: 'output' };
    this.#output = output;
    return { kind: 'returned', exitCode: 0 };
  }

  stdout(): Uint8Array {
    return this.#output;
  }

  stderr(): Uint8Array {
    return new Uint8Array(0);
  }

  close(): void {}
}

/** As docs/reference/guest-abi.md has them. */
function requestOf(call: GuestCallSpec): GuestStep {
  switch (call.call) {
    case 'read':
      return { kind: 'request', operation: 'state_get', payload: encoder.encode(call.key) };
    case 'write':
      return { kind: 'request', operation: 'state_set', payload: filled(`${call.key}\n*\n`, call.bytes) };
    case 'publish':
      return { kind: 'request', operation: 'publish', payload: filled(`${call.subject}\n`, call.bytes) };
    case 'sleep': {
      const payload = new Uint8Array(8);
      new DataView(payload.buffer).setBigUint64(0, BigInt(call.micros) * NANOS_PER_MICRO, true);
      return { kind: 'request', operation: 'wasi.sleep', payload };
    }
  }
}

function filled(head: string, bytes: number): Uint8Array {
  const start = encoder.encode(head);
  const payload = new Uint8Array(start.length + bytes).fill(FILLER);
  payload.set(start);
  return payload;
}
