// Guests that are played by a declared cost: legs, requests, limits, answers and what the seed decides.
import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { GuestModelSpec } from '../../../scenarios/scenario.ts';
import { createNodeHost } from '../../../sim/campaign/host.main.ts';
import { createKernel } from '../../../sim/kernel/kernel.ts';
import { ModelledEngine } from '../../../sim/wasm/wasm.ts';
import type { EngineModule, GuestEngine } from '../../../sim/wasm/wasm.ts';
import type { Digest } from '../../../system/domain/identifiers.ts';
import { ok, type Outcome } from '../../../system/domain/outcome.ts';
import type { GuestOptions, GuestStep } from '../../../system/ports/wasm.ts';

const BYTES = new Uint8Array([1, 2, 3]);
const CLOCKS = { monotonicMicros: 0, civilMicros: 0 };
const MODEL: GuestModelSpec = {
  fuel: { law: 'constant', fuel: 900 },
  fuelPerByte: 0,
  memoryBytes: 65_536,
  result: 'echo',
  calls: [],
};
const OPTIONS: GuestOptions = {
  args: [],
  environment: [['WM_EVENT_ID', 'event-1']],
  stdin: new Uint8Array([7, 8]),
  fuelMax: 1e6,
  memoryBytesMax: 65_536,
  outputBytesMax: 10,
  randomSeed: new Uint8Array(32),
  granted: { clock: false, random: false, sleep: false },
};

/** Runs everything as one real guest would; the module with no model comes from here. */
class RealEngine implements GuestEngine {
  loads = 0;
  inspect = () => ok([{ module: 'wasmmatrix', name: 'call' }]);
  load(): Outcome<EngineModule> {
    this.loads += 1;
    return ok({ imports: [], start: () => ({ ok: false, error: { code: 'WM_POOL_FULL' } }) as never });
  }
}

function engineOf(seed = '0x1'): { readonly real: RealEngine; readonly engine: ModelledEngine } {
  const real = new RealEngine();
  const kernel = createKernel({ seed, host: createNodeHost() });
  const digest = (bytes: Uint8Array): Digest => createHash('sha256').update(bytes).digest('hex') as Digest;
  return { real, engine: new ModelledEngine({ engine: real, kernel, digest }) };
}

function get<T>(outcome: Outcome<T>): T {
  if (!outcome.ok) throw new Error(outcome.error.message);
  return outcome.value;
}

function startOf(model: Partial<GuestModelSpec>, options: Partial<GuestOptions> = {}, seed = '0x1') {
  const { engine } = engineOf(seed);
  engine.declare(BYTES, { ...MODEL, ...model });
  return get(get(engine.load(BYTES)).start({ ...OPTIONS, ...options }, 100));
}

const textOf = (step: GuestStep): string => (step.kind === 'request' ? new TextDecoder().decode(step.payload) : step.kind);

describe('a module with a model', () => {
  it('is never given to the engine, but its imports are those of its bytes; another module is', () => {
    const { real, engine } = engineOf();
    engine.declare(BYTES, MODEL);
    expect(get(engine.load(BYTES)).imports).toEqual([{ module: 'wasmmatrix', name: 'call' }]);
    expect(real.loads).toBe(0);
    engine.load(new Uint8Array([1]));
    expect(real.loads).toBe(1);
  });
});

describe('a modelled guest', () => {
  it('costs its fuel and so much for each byte, and answers with its event', () => {
    const guest = startOf({ fuelPerByte: 50 });
    expect(guest.resume(null, CLOCKS)).toEqual({ kind: 'returned', exitCode: 0 });
    expect(guest.fuelUsed).toBe(1_000);
    expect(guest.stdout()).toEqual(new Uint8Array([7, 8]));
    expect(guest.memoryBytesPeak).toBe(65_536);
  });

  it('asks the host in order, in the words of the guest ABI, with equal parts of its fuel between', () => {
    const guest = startOf({
      result: { bytes: 3 },
      calls: [
        { call: 'read', key: 'a/b' },
        { call: 'write', key: 'a/c', bytes: 2 },
        { call: 'publish', subject: 'x.y', bytes: 1 },
        { call: 'sleep', micros: 5 },
      ],
    });
    const fuel: number[] = [];
    const ask = (status: number): string => {
      const step = guest.resume(fuel.length === 0 ? null : { status, bytes: null }, CLOCKS);
      fuel.push(guest.fuelUsed);
      return `${step.kind === 'request' ? step.operation : ''} ${textOf(step)}`;
    };
    expect([ask(0), ask(-2), ask(0), ask(0), ask(0)]).toEqual([
      'state_get a/b',
      'state_set a/c\n*\nxx',
      'publish x.y\nx',
      `wasi.sleep ${new TextDecoder().decode(new Uint8Array([0x88, 0x13, 0, 0, 0, 0, 0, 0]))}`,
      ' returned',
    ]);
    expect(fuel).toEqual([180, 360, 540, 720, 900]);
    expect(guest.stdout()).toHaveLength(3);
  });

  it('gives up when it is refused', () => {
    const guest = startOf({ calls: [{ call: 'write', key: 'a', bytes: 1 }] });
    guest.resume(null, CLOCKS);
    expect(guest.resume({ status: -2, bytes: null }, CLOCKS)).toEqual({ kind: 'returned', exitCode: 1 });
  });

  it.each([
    ['fuel', {}, { fuelMax: 899 }],
    ['memory', { memoryBytes: 65_537 }, {}],
    ['output', { result: { bytes: 11 } }, {}],
  ] as const)('meets the limit of its %s', (limit, model, options) => {
    const guest = startOf(model, options);
    expect(guest.resume(null, CLOCKS)).toEqual({ kind: 'exhausted', limit });
    expect(guest.fuelUsed).toBeLessThanOrEqual(OPTIONS.fuelMax);
    expect(guest.stdout()).toHaveLength(0);
  });
});

describe('the fuel of a law', () => {
  const fuelOf = (fuel: GuestModelSpec['fuel'], event: string, seed = '0x1'): number => {
    const guest = startOf({ fuel }, { environment: [['WM_EVENT_ID', event]] }, seed);
    guest.resume(null, CLOCKS);
    return guest.fuelUsed;
  };
  const events = Array.from({ length: 2_000 }, (_, i) => `event-${i}`);
  const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;

  it('is the same for an event however often, and another with another seed', () => {
    const law = { law: 'uniform', fuelMin: 0, fuelMax: 1e6 } as const;
    expect(fuelOf(law, 'event-1')).toBe(fuelOf(law, 'event-1'));
    expect(fuelOf(law, 'event-1')).not.toBe(fuelOf(law, 'event-2'));
    expect(fuelOf(law, 'event-1')).not.toBe(fuelOf(law, 'event-1', '0x2'));
  });

  it('is uniform between its bounds', () => {
    const drawn = events.map((event) => fuelOf({ law: 'uniform', fuelMin: 100, fuelMax: 109 }, event));
    expect([Math.min(...drawn), Math.max(...drawn)]).toEqual([100, 109]);
    expect(mean(drawn)).toBeCloseTo(104.5, 0);
  });

  it('is exponential above its least, with its mean', () => {
    const drawn = events.map((event) => fuelOf({ law: 'exponential', fuelMean: 3_000, fuelMin: 1_000 }, event));
    expect(Math.min(...drawn)).toBeGreaterThanOrEqual(1_000);
    expect(mean(drawn) / 3_000).toBeCloseTo(1, 1);
    expect(drawn.filter((fuel) => fuel > 1_000 + 2_000 * Math.LN2).length / drawn.length).toBeCloseTo(0.5, 1);
  });
});
