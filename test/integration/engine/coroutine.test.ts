import { readdirSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Engine, EngineAddon, EngineModule, Guest, GuestOptions, Step } from '../../../hardware/wasm/native/native.ts';
import {
  BUILD_TIMEOUT_MS,
  OPTIONS,
  PROFILE,
  codeOf,
  codeOfAsync,
  engineAddon,
  finish,
  finishAway,
  leg,
  loadText,
  workText,
} from './fixture.ts';

/** Asks `upper` with the text it holds, takes the response, and prints it. */
const ASK = `(module
  (func $upper (import "wasmmatrix" "upper") (param i32 i32) (result i32))
  (func $take (import "wasmmatrix" "take") (param i32 i32) (result i32))
  (func $write (import "wasi_snapshot_preview1" "fd_write") (param i32 i32 i32 i32) (result i32))
  (memory (export "memory") 4) (data (i32.const 100) "brake")
  (func (export "_start") (local $got i32)
    (local.set $got (call $upper (i32.const 100) (i32.const 5)))
    (if (i32.lt_s (local.get $got) (i32.const 0)) (then unreachable))
    (i32.store (i32.const 0) (i32.const 200))
    (i32.store (i32.const 4) (call $take (i32.const 200) (i32.const 200000)))
    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 32)))))`;

/** Asks `ask` `rounds` times and adds up what the host answers; the sum is the exit code. */
const SUM = `(module
  (func $ask (import "wasmmatrix" "ask") (param i32 i32) (result i32))
  (func $take (import "wasmmatrix" "take") (param i32 i32) (result i32))
  (memory (export "memory") 1)
  (func (export "sum") (result i32) (local $left i32) (local $sum i32)
    (local.set $left (i32.const 50))
    (loop $next
      (i32.store (i32.const 0) (local.get $left))
      (drop (call $ask (i32.const 0) (i32.const 4)))
      (drop (call $take (i32.const 8) (i32.const 4)))
      (local.set $sum (i32.add (local.get $sum) (i32.load (i32.const 8))))
      (local.set $left (i32.sub (local.get $left) (i32.const 1)))
      (br_if $next (local.get $left)))
    (local.get $sum)))`;

function double(_operation: string, payload: Uint8Array): { status: number; bytes: Uint8Array } {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setInt32(0, new DataView(payload.buffer, payload.byteOffset).getInt32(0, true) * 2, true);
  return { status: 0, bytes };
}

let addon: EngineAddon;
let engine: Engine;

beforeAll(async () => {
  addon = await engineAddon();
  engine = addon.createEngine({ ...PROFILE, poolSlots: 1_000, memoryBytesMax: 1 << 20 });
}, BUILD_TIMEOUT_MS);

afterAll(() => engine?.close());

const SMALL: GuestOptions = { ...OPTIONS, memoryBytesMax: 1 << 20 };

describe('a request', () => {
  it('carries the name and a copy of the bytes; the guest takes the response', () => {
    using module = loadText(addon, engine, ASK);
    using guest = module.start(SMALL);
    const step = guest.resumeInline(leg());
    expect(step).toMatchObject({ kind: 'request', operation: 'upper' });
    const text = step.kind === 'request' ? Buffer.from(step.payload).toString() : '';
    expect(text).toBe('brake');
    const end = guest.resumeInline(leg({ status: 0, bytes: Buffer.from(text.toUpperCase()) }));
    expect(end).toMatchObject({ kind: 'returned', exitCode: 0 });
    expect(Buffer.from(guest.stdout()).toString()).toBe('BRAKE');
  });

  it('answered by a negative status gives the guest that status', () => {
    using module = loadText(addon, engine, ASK);
    using guest = module.start(SMALL);
    guest.resumeInline(leg());
    expect(guest.resumeInline(leg({ status: -5, bytes: null }))).toMatchObject({ kind: 'trapped', trap: 'unreachable' });
  });

  it('may be answered with nothing, and with more than the shared block of memory holds', () => {
    using module = loadText(addon, engine, ASK);
    for (const length of [0, 1, 65_536, 65_537, 200_000]) {
      using guest = module.start(SMALL);
      const bytes = Buffer.alloc(length, 'x');
      expect(finish(guest, () => ({ status: 0, bytes }))).toMatchObject({ kind: 'returned' });
      expect(Buffer.compare(guest.stdout(), bytes)).toBe(0);
    }
  });

  it('may carry more than the shared block of memory holds', () => {
    using module = loadText(
      addon,
      engine,
      `(module (func $ask (import "wasmmatrix" "ask") (param i32 i32) (result i32))
      (memory (export "memory") 4) (func (export "_start")
        (i32.store8 (i32.const 199999) (i32.const 7)) (drop (call $ask (i32.const 0) (i32.const 200000)))))`,
    );
    using guest = module.start(SMALL);
    const step = guest.resumeInline(leg());
    expect(step.kind === 'request' && step.payload.length).toBe(200_000);
    expect(step.kind === 'request' && step.payload[199_999]).toBe(7);
  });

  it('outside the memory is a trap', () => {
    using module = loadText(
      addon,
      engine,
      `(module (func $ask (import "wasmmatrix" "ask") (param i32 i32) (result i32))
      (memory (export "memory") 1) (func (export "_start") (drop (call $ask (i32.const 65530) (i32.const 7)))))`,
    );
    using guest = module.start(SMALL);
    expect(guest.resumeInline(leg())).toMatchObject({ kind: 'trapped', trap: 'memory_out_of_bounds' });
  });

  it('from the start function works too', () => {
    using module = loadText(
      addon,
      engine,
      `(module (func $ask (import "wasmmatrix" "early") (param i32 i32) (result i32))
      (func $begin (drop (call $ask (i32.const 0) (i32.const 0)))) (start $begin) (func (export "_start")))`,
    );
    using guest = module.start(SMALL);
    expect(guest.resumeInline(leg())).toMatchObject({ kind: 'request', operation: 'early' });
    expect(guest.resumeInline(leg({ status: 0, bytes: null }))).toMatchObject({ kind: 'returned' });
  });

  it('has to be answered, and only a request', () => {
    using module = loadText(addon, engine, ASK);
    using guest = module.start(SMALL);
    const answer = { status: 0, bytes: null };
    expect(codeOf(() => guest.resumeInline(leg(answer)))).toBe('WM_ENGINE_STATE');
    guest.resumeInline(leg());
    expect(codeOf(() => guest.resumeInline(leg()))).toBe('WM_ENGINE_STATE');
    expect(codeOf(() => guest.resumeInline(leg({ status: 0.5, bytes: null })))).toBe('WM_ENGINE_OPTIONS');
    expect(guest.resumeInline(leg(answer)).kind).toBe('returned');
    expect(codeOf(() => guest.resumeInline(leg()))).toBe('WM_ENGINE_STATE');
  });
});

describe('a fuel slice', () => {
  it('of any size changes neither the result nor the fuel', () => {
    for (const text of [workText(5_000), SUM]) {
      using module = loadText(addon, engine, text);
      const entry = text === SUM ? 'sum' : '_start';
      const ends = [null, 1, 2, 3, 7, 100, 1_001, 50_000, 10_000_000].map((fuelSlice) => {
        using guest = module.start({ ...SMALL, fuelSlice, entry });
        const step = finish(guest, double);
        return JSON.stringify([step, Buffer.from(guest.stdout()).toString('hex')]);
      });
      expect(new Set(ends).size).toBe(1);
    }
  });

  it('does not change the moment of exhaustion', () => {
    using module = loadText(addon, engine, workText(5_000));
    for (const fuelSlice of [null, 1, 10, 999]) {
      using guest = module.start({ ...SMALL, fuelSlice, fuelMax: 20_000 });
      expect(finish(guest)).toEqual({ kind: 'exhausted', fuelUsed: 20_000 });
    }
  });

  it('bounds a leg: fuel is exact after each, and grows by the slice and less than a loop body or a call of the host', () => {
    using module = loadText(addon, engine, workText(5_000));
    using guest = module.start({ ...SMALL, fuelSlice: 1_000 });
    let before = 0;
    for (let step = guest.resumeInline(leg()); step.kind === 'sliced'; step = guest.resumeInline(leg())) {
      expect(step.fuelUsed - before).toBeGreaterThanOrEqual(1_000);
      expect(step.fuelUsed - before).toBeLessThan(1_040 + 100 + 16);
      expect(guest.fuelUsed).toBe(step.fuelUsed);
      before = step.fuelUsed;
    }
    expect(before).toBeGreaterThan(40_000);
  });

  it('also ends a leg that spends its fuel in copies of the host', () => {
    using module = loadText(
      addon,
      engine,
      `(module
      (func $random (import "wasi_snapshot_preview1" "random_get") (param i32 i32) (result i32))
      (memory (export "memory") 1)
      (func (export "_start") (local $left i32) (local.set $left (i32.const 100))
        (loop $next (drop (call $random (i32.const 0) (i32.const 1000)))
          (br_if $next (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))))`,
    );
    using guest = module.start({ ...SMALL, fuelSlice: 5_000 });
    let legs = 1;
    for (let step = guest.resumeInline(leg()); step.kind === 'sliced'; step = guest.resumeInline(leg())) legs++;
    expect(legs).toBeGreaterThan(15);
  });
});

/** Time that the threads of legs have worked, in ticks of the system (10 ms); elsewhere than on Linux, the 50 ms since it was asked first. */
const legTicks = (() => {
  let asked: number | null = null;
  return (): number => {
    if (process.platform !== 'linux') {
      asked ??= performance.now();
      return Math.floor((performance.now() - asked) / 50);
    }
    return readdirSync('/proc/self/task').reduce((sum, task) => {
      const stat = readFileSync(`/proc/self/task/${task}/stat`, 'utf8');
      // The name stands in brackets; user time is the twelfth field after it.
      const name = stat.slice(stat.indexOf('(') + 1, stat.lastIndexOf(')'));
      const rest = stat.slice(stat.lastIndexOf(')') + 2);
      return name === 'wasmmatrix-leg' ? sum + Number(rest.split(' ')[11]) : sum;
    }, 0);
  };
})();

/** A leg of about a second: on a busy machine too it is under way when somebody who waited for it goes on. */
const LONG = { fuelMax: 1e12, fuelSlice: 3e9 } as const;

/** Until a thread is at work on a leg, however long that takes on a busy machine; `before`: what `legTicks` said before the leg. */
function untilAtWork(before: number): void {
  const latest = performance.now() + 30_000;
  while (legTicks() === before && performance.now() < latest);
}

describe('legs on threads', () => {
  it('give what inline legs give', async () => {
    for (const text of [workText(20_000), SUM]) {
      using module = loadText(addon, engine, text);
      const options = { ...SMALL, fuelSlice: 10_000, entry: text === SUM ? 'sum' : '_start' };
      using inline = module.start(options);
      using away = module.start(options);
      expect(await finishAway(away, double)).toEqual(finish(inline, double));
      expect(Buffer.compare(away.stdout(), inline.stdout())).toBe(0);
      expect(away.memoryBytesPeak).toBe(inline.memoryBytesPeak);
    }
  });

  it('may be mixed with inline legs', async () => {
    using module = loadText(addon, engine, workText(20_000));
    using mixed = module.start({ ...SMALL, fuelSlice: 5_000 });
    using plain = module.start(SMALL);
    let step: Step = mixed.resumeInline(leg());
    for (let round = 0; step.kind === 'sliced'; round++) {
      step = round % 2 === 0 ? await mixed.resume(leg()) : mixed.resumeInline(leg());
    }
    expect(step).toEqual(finish(plain));
  });

  it('run many guests at once and keep them apart', async () => {
    using module = loadText(addon, engine, SUM);
    const guests = Array.from({ length: 100 }, () => module.start({ ...SMALL, fuelSlice: 100, entry: 'sum' }));
    const ends = await Promise.all(guests.map((guest) => finishAway(guest, double)));
    for (const end of ends) expect(end).toMatchObject({ kind: 'returned', exitCode: 2_550 });
    for (const guest of guests) guest.close();
    expect(engine.stats().slotsInUse).toBe(0);
  });

  it('refuse a second leg of the same guest, and its output, until the first has ended', async () => {
    using module = loadText(addon, engine, workText(2_000_000));
    using guest = module.start(SMALL);
    const first = guest.resume(leg());
    expect(guest.running).toBe(true);
    expect(codeOf(() => guest.resumeInline(leg()))).toBe('WM_ENGINE_BUSY');
    expect(codeOf(() => guest.stdout())).toBe('WM_ENGINE_BUSY');
    expect(await codeOfAsync(() => guest.resume(leg()))).toBe('WM_ENGINE_BUSY');
    expect((await first).kind).toBe('returned');
    expect(guest.running).toBe(false);
    expect(guest.stdout().length).toBe(8);
  });

  it('end before their guest is closed; its slot is free then, and the promise says so', async () => {
    using module = loadText(addon, engine, workText(1_000_000_000));
    const guest = module.start({ ...SMALL, ...LONG });
    const before = legTicks();
    const running = guest.resume(leg());
    untilAtWork(before);
    guest.close();
    expect(engine.stats().slotsInUse).toBe(1);
    expect(await codeOfAsync(() => running)).toBe('WM_ENGINE_CLOSED');
    expect(engine.stats().slotsInUse).toBe(0);
    expect(codeOf(() => guest.stdout())).toBe('WM_ENGINE_CLOSED');
  });

  it('give the slot back when they end, without a turn of the event loop', async () => {
    using module = loadText(addon, engine, workText(1_000_000_000));
    const guest = module.start({ ...SMALL, ...LONG });
    const before = legTicks();
    const running = codeOfAsync(() => guest.resume(leg()));
    untilAtWork(before);
    guest.close();
    const deadline = performance.now() + 30_000;
    while (engine.stats().slotsInUse > 0 && performance.now() < deadline);
    expect(engine.stats().slotsInUse).toBe(0);
    expect(await running).toBe('WM_ENGINE_CLOSED');
  });

  it('close before the leg has even begun', async () => {
    const one = addon.createEngine(PROFILE, { threads: 1 });
    using module = loadText(addon, one, workText(1_000_000));
    const guests = Array.from({ length: 10 }, () => module.start({ ...OPTIONS, fuelMax: 1e9 }));
    const legs = guests.map((guest) => codeOfAsync(() => guest.resume(leg())));
    for (const guest of guests) guest.close();
    expect(new Set(await Promise.all(legs))).toEqual(new Set(['WM_ENGINE_CLOSED']));
    expect(one.stats().slotsInUse).toBe(0);
    one.close();
  });

  it('of an engine that is closed reject, and the process goes on', async () => {
    const other = addon.createEngine(PROFILE);
    const module = loadText(addon, other, workText(1_000_000));
    const legs = Array.from({ length: 10 }, () => codeOfAsync(() => module.start(OPTIONS).resume(leg())));
    other.close();
    expect(new Set(await Promise.all(legs))).toEqual(new Set(['WM_ENGINE_CLOSED']));
  });
});

describe('900 suspended guests', () => {
  function suspend(module: EngineModule): Guest[] {
    return Array.from({ length: 900 }, () => {
      const { guest, step } = module.run({ ...SMALL, entry: 'sum' }, { monotonicMicros: 0, civilMicros: 0 });
      expect(step.kind).toBe('request');
      return guest!;
    });
  }

  it('wait for the host at once and all end right', () => {
    using module = loadText(addon, engine, SUM);
    const guests = suspend(module);
    expect(engine.stats().slotsInUse).toBe(900);
    for (const guest of guests) {
      let step = guest.resumeInline(leg({ status: 0, bytes: new Uint8Array([100, 0, 0, 0]) }));
      while (step.kind === 'request') step = guest.resumeInline(leg(double(step.operation, step.payload)));
      expect(step).toMatchObject({ kind: 'returned', exitCode: 2_550 });
      guest.close();
    }
    expect(engine.stats().slotsInUse).toBe(0);
  });

  it('are dropped in the middle of their calls', () => {
    using module = loadText(addon, engine, SUM);
    for (const guest of suspend(module)) guest.close();
    expect(engine.stats().slotsInUse).toBe(0);
  });
});
