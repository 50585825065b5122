// Virtual time, slots and deaths of simulated guests, over an engine that only counts: the real one runs in test/simulation.
import { describe, expect, it } from 'vitest';
import { createClock } from '../../../sim/clock/clock.ts';
import { WASM_COSTS } from '../../../sim/costs/costs.ts';
import type { Machine } from '../../../sim/kernel/kernel.ts';
import { simulatedProfile, SimWasm } from '../../../sim/wasm/wasm.ts';
import type { GuestEngine, LegClocks } from '../../../sim/wasm/wasm.ts';
import { ok } from '../../../system/domain/outcome.ts';
import type { Outcome } from '../../../system/domain/outcome.ts';
import type { Guest, LoadedModule } from '../../../system/ports/wasm.ts';
import { CLOUD, SimWorld } from '../../contract/sim-world.ts';
import { GUEST as OPTIONS } from '../../support/sim-wasm/holding.ts';

const FUEL_PER_MICRO = 100;
const X86 = simulatedProfile('x86_64', []);
const ARM = simulatedProfile('aarch64', ['sve']);

/** A module is one byte: thousands of fuel that each of its two legs burns. */
class CountingEngine implements GuestEngine {
  open = 0;
  readonly clocks: LegClocks[] = [];
  readonly loaded: number[] = [];
  slots = 1_000;

  inspect(): ReturnType<GuestEngine['inspect']> {
    return ok([]);
  }

  load(bytes: Uint8Array): ReturnType<GuestEngine['load']> {
    this.loaded.push(bytes[0]!);
    const fuel = bytes[0]! * 1_000;
    return ok({
      imports: [],
      start: () => {
        this.open++;
        let legs = 0;
        return ok({
          resume: (_answer, clocks) => {
            this.clocks.push(clocks);
            return ++legs === 2
              ? { kind: 'returned', exitCode: 0 }
              : { kind: 'request', operation: 'state.get', payload: new Uint8Array() };
          },
          get fuelUsed() {
            return legs * fuel;
          },
          memoryBytesPeak: 65_536,
          stdout: () => new Uint8Array([legs]),
          stderr: () => new Uint8Array(),
          close: () => void this.open--,
        });
      },
    });
  }
}

function get<T>(outcome: Outcome<T>): T {
  if (!outcome.ok) throw new Error(outcome.error.message);
  return outcome.value;
}

const codeOf = (outcome: Outcome<unknown>): string => (outcome.ok ? 'ok' : outcome.error.code);

function wasmOf(world: SimWorld, machine: Machine, engine: GuestEngine, slots = 4): SimWasm {
  const { kernel } = world;
  return new SimWasm({
    engine,
    kernel,
    machine,
    clock: createClock(kernel, machine),
    costs: WASM_COSTS,
    profile: X86,
    profiles: [X86, ARM],
    fuelPerMicro: FUEL_PER_MICRO,
    slots,
  });
}

function setUp(slots = 4, cores = 1) {
  const world = new SimWorld();
  const machine = world.add('node', CLOUD, cores);
  const engine = new CountingEngine();
  const wasm = wasmOf(world, machine, engine, slots);
  const moduleOf = async (thousands: number): Promise<LoadedModule> =>
    get(await wasm.load(get(await wasm.compile(new Uint8Array([thousands]), X86.profile)).artefact));
  return { world, machine, engine, wasm, moduleOf };
}

describe('guests of a simulated node', () => {
  it('take fuel / speed of virtual time for each leg, and see it on their clock', async () => {
    const { world, machine, engine, moduleOf } = setUp();
    const micros = await world.play(machine, async () => {
      const module = await moduleOf(200);
      const guest = get(module.start(OPTIONS));
      const times = [world.kernel.now()];
      get(ok(await guest.resume(null)));
      times.push(world.kernel.now());
      expect(await guest.resume({ status: 0, bytes: null })).toEqual({ kind: 'returned', exitCode: 0 });
      times.push(world.kernel.now());
      expect(guest.stdout()).toEqual(new Uint8Array([2]));
      guest.close();
      return times;
    });
    expect(micros[1]! - micros[0]!).toBe(2_000 + WASM_COSTS.startMicros + WASM_COSTS.resumeMicros);
    expect(micros[2]! - micros[1]!).toBe(2_000 + WASM_COSTS.resumeMicros);
    expect(engine.clocks.map(({ monotonicMicros }) => monotonicMicros)).toEqual(micros.slice(0, 2));
    expect(engine.open).toBe(0);
  });

  it('let other work of their core have its turn', async () => {
    const { world, machine, moduleOf } = setUp();
    const waited = await world.play(machine, async () => {
      const module = await moduleOf(250);
      const busy = get(module.start({ ...OPTIONS })).resume(null);
      const before = world.kernel.now();
      const first = await new Promise<number>((resolve) => machine.execute(10, 'other', () => resolve(world.kernel.now() - before)));
      await busy;
      return first;
    });
    expect(waited).toBeLessThanOrEqual(WASM_COSTS.sliceMicros + 10);
  });

  it('run side by side on as many cores as there are', async () => {
    const durationOn = async (cores: number): Promise<number> => {
      const { world, machine, moduleOf } = setUp(4, cores);
      return world.play(machine, async () => {
        const module = await moduleOf(100);
        const before = world.kernel.now();
        await Promise.all([get(module.start(OPTIONS)).resume(null), get(module.start(OPTIONS)).resume(null)]);
        return world.kernel.now() - before;
      });
    };
    expect(await durationOn(1)).toBeGreaterThan(2_000);
    expect(await durationOn(2)).toBeLessThan(1_100);
  });

  it('are bounded by the slots of the node, which come back at close', async () => {
    const { world, machine, wasm, moduleOf } = setUp(2);
    await world.play(machine, async () => {
      const module = await moduleOf(1);
      const guests = [get(module.start(OPTIONS)), get(module.start(OPTIONS))];
      expect(codeOf(module.start(OPTIONS))).toBe('WM_POOL_FULL');
      expect(wasm.guests()).toEqual({ open: 2, max: 2 });
      guests[0]!.close();
      guests[0]!.close();
      expect(wasm.guests().open).toBe(1);
      expect(codeOf(module.start(OPTIONS))).toBe('ok');
    });
  });

  it('keep their slot until the leg that runs has ended', async () => {
    const { world, machine, wasm, engine, moduleOf } = setUp();
    await world.play(machine, async () => {
      const guest = get((await moduleOf(100)).start(OPTIONS));
      const leg = guest.resume(null);
      guest.close();
      expect([wasm.guests().open, engine.open]).toEqual([1, 1]);
      await leg;
      expect([wasm.guests().open, engine.open]).toEqual([0, 0]);
    });
  });

  it('give the real slots back when their machine dies, and end no leg afterwards', async () => {
    const { world, machine, wasm, engine, moduleOf } = setUp();
    let ended = false;
    const guests: Guest[] = [];
    await world.play(null, async () => {
      await new Promise<void>((resolve) =>
        world.kernel.after(0, machine, 'body', () => {
          const body = async (): Promise<void> => {
            const module = await moduleOf(100);
            guests.push(get(module.start(OPTIONS)), get(module.start(OPTIONS)));
            const legs = guests.map((guest) => guest.resume(null));
            world.kernel.after(0, null, 'started', resolve);
            await Promise.all(legs);
            ended = true;
          };
          world.kernel.own('body', body());
        }),
      );
      expect(engine.open).toBe(2);
      world.crash('node');
      wasm.abandon();
      expect(engine.open).toBe(0);
      // Its last microtasks may ask for what there is no more.
      for (const guest of guests) expect([guest.stdout(), guest.stderr()]).toEqual([new Uint8Array(0), new Uint8Array(0)]);
      await new Promise<void>((resolve) => world.kernel.after(10_000_000, null, 'later', resolve));
    });
    expect(ended).toBe(false);
  });
});

describe('artefacts of simulated nodes', () => {
  it('are the same bytes each time, differ by profile, and take time to compile', async () => {
    const { world, machine, wasm } = setUp();
    await world.play(machine, async () => {
      const before = world.kernel.now();
      const first = get(await wasm.compile(new Uint8Array([7]), X86.profile)).artefact;
      expect(world.kernel.now() - before).toBe(WASM_COSTS.compileMicros);
      expect(get(await wasm.compile(new Uint8Array([7]), X86.profile)).artefact).toEqual(first);
      expect(get(await wasm.compile(new Uint8Array([7]), ARM.profile)).artefact).not.toEqual(first);
    });
  });

  it('are refused by a node of another profile, and when they are none', async () => {
    const { world, machine, wasm, engine } = setUp();
    await world.play(machine, async () => {
      const foreign = get(await wasm.compile(new Uint8Array([7]), ARM.profile)).artefact;
      expect(codeOf(await wasm.load(foreign))).toBe('WM_PROFILE_MISMATCH');
      expect(codeOf(await wasm.load(new Uint8Array(100)))).toBe('WM_MODULE_INVALID');
      expect(codeOf(await wasm.load(foreign.subarray(0, 20)))).toBe('WM_MODULE_INVALID');
      expect(codeOf(await wasm.compile(new Uint8Array([7]), simulatedProfile('riscv64', []).profile))).toBe('WM_PROFILE_MISMATCH');
      expect(engine.loaded).toEqual([]);
    });
  });
});

it('says when open guests together hold more memory than is left, and no more when all of it is there again', async () => {
  const world = new SimWorld();
  const machine = world.add('truck', CLOUD);
  const wasm = wasmOf(world, machine, new CountingEngine());
  let exhausted = 0;
  await world.play(machine, async () => {
    const compiled = get(await wasm.compile(new Uint8Array([1]), X86.profile));
    const module = get(await wasm.load(compiled.artefact));
    wasm.limitMemory(OPTIONS.memoryBytesMax, () => exhausted++);
    const first = get(module.start(OPTIONS));
    expect(exhausted).toBe(0);
    get(module.start(OPTIONS));
    expect(exhausted).toBe(1);
    await first.resume(null);
    expect(exhausted).toBe(2);
    wasm.limitMemory(null, () => exhausted++);
    await first.resume(null);
    first.close();
    wasm.limitMemory(OPTIONS.memoryBytesMax, () => exhausted++);
    expect(exhausted).toBe(2);
  });
});
