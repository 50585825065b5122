import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Engine, EngineAddon, GuestOptions, RunResult } from '../../../hardware/wasm/native/native.ts';
import { BUILD_TIMEOUT_MS, CLOCKS, OPTIONS, PROFILE, codeOf, engineAddon, loadText, workText } from './fixture.ts';

let addon: EngineAddon;
let engine: Engine;

beforeAll(async () => {
  addon = await engineAddon();
  engine = addon.createEngine(PROFILE);
}, BUILD_TIMEOUT_MS);

afterAll(() => engine?.close());

function run(text: string, change: Partial<GuestOptions> = {}): RunResult {
  using module = loadText(addon, engine, text);
  return module.run({ ...OPTIONS, ...change }, CLOCKS);
}

function start(body: string, rest = ''): string {
  return `(module (memory (export "memory") 1 100) ${rest} (func $start (export "_start") ${body}))`;
}

const TABLE = '(table 4 4 funcref) (type $none (func)) (type $int (func (result i32))) (elem (i32.const 0) $start)';

describe('a trap ends the guest, is named, and costs its slot nothing', () => {
  const traps: readonly (readonly [string, string])[] = [
    ['unreachable', start('unreachable')],
    ['memory_out_of_bounds', start('(drop (i32.load (i32.const 0x7fffffff)))')],
    ['memory_out_of_bounds', start('(i32.store (i32.const 65533) (i32.const 1))')],
    ['memory_out_of_bounds', start('(memory.fill (i32.const 65000) (i32.const 0) (i32.const 1000))')],
    ['stack_overflow', start('call $start')],
    ['integer_divide_by_zero', start('(drop (i32.div_s (i32.const 1) (i32.const 0)))')],
    ['integer_overflow', start('(drop (i32.div_s (i32.const 0x80000000) (i32.const -1)))')],
    ['bad_conversion_to_integer', start('(drop (i32.trunc_f64_s (f64.const nan)))')],
    ['table_out_of_bounds', start('(call_indirect (type $none) (i32.const 4))', TABLE)],
    ['indirect_call_to_null', start('(call_indirect (type $none) (i32.const 1))', TABLE)],
    ['bad_signature', start('(drop (call_indirect (type $int) (i32.const 0)))', TABLE)],
  ];
  for (const [trap, text] of traps) {
    it(`${trap}: ${text.slice(0, 100)}`, () => {
      const { step, guest } = run(text);
      expect(step).toMatchObject({ kind: 'trapped', trap });
      expect(guest).toBe(null);
      expect(engine.stats().slotsInUse).toBe(0);
    });
  }

  it('stack_overflow uses up all fuel: where a stack ends depends on the machine', () => {
    const { step } = run(start('call $start'), { fuelMax: 7_654_321 });
    expect(step).toMatchObject({ kind: 'trapped', trap: 'stack_overflow', fuelUsed: 7_654_321 });
    expect(run(start('unreachable'), { fuelMax: 7_654_321 }).step.fuelUsed).toBeLessThan(10);
  });

  it('in the start function, before the entry', () => {
    const { step } = run('(module (func $boom unreachable) (start $boom) (func (export "_start")))');
    expect(step).toMatchObject({ kind: 'trapped', trap: 'unreachable' });
  });

  it('keeps what was written before', () => {
    const { step, stdout } = run(`(module
      (func $write (import "wasi_snapshot_preview1" "fd_write") (param i32 i32 i32 i32) (result i32))
      (memory (export "memory") 1) (data (i32.const 0) "\\08\\00\\00\\00\\04\\00\\00\\00last")
      (func (export "_start") (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 32))) unreachable))`);
    expect(step.kind).toBe('trapped');
    expect(Buffer.from(stdout).toString()).toBe('last');
  });
});

describe('fuel', () => {
  const forever = start('(loop br 0)');

  it('ends an endless loop, and no more is used than was given', () => {
    for (const fuelMax of [1, 10, 1_000, 1_000_000]) {
      const { step } = run(forever, { fuelMax });
      expect(step).toEqual({ kind: 'exhausted', fuelUsed: fuelMax });
    }
  });

  it('is the same for the same work', () => {
    const used = [1, 2, 3].map(() => run(workText(1_000)).step.fuelUsed);
    expect(new Set(used).size).toBe(1);
    expect(used[0]).toBeGreaterThan(1_000);
  });

  it('is just enough when it is what the guest used, and one less is too little', () => {
    const { fuelUsed } = run(workText(1_000)).step;
    expect(run(workText(1_000), { fuelMax: fuelUsed + 1 }).step.kind).toBe('returned');
    expect(run(workText(1_000), { fuelMax: fuelUsed - 1 }).step.kind).toBe('exhausted');
  });

  it('is charged for bytes that the host copies', () => {
    const write = (bytes: number): string => `(module
      (func $write (import "wasi_snapshot_preview1" "fd_write") (param i32 i32 i32 i32) (result i32))
      (memory (export "memory") 2)
      (func (export "_start") (i32.store (i32.const 4) (i32.const ${bytes}))
        (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 32)))))`;
    expect(run(write(60_000)).step.fuelUsed - run(write(0)).step.fuelUsed).toBe(60_000);
    expect(run(write(60_000), { fuelMax: 50_000 }).step.kind).toBe('exhausted');
  });

  it.each([
    ['vectors of fd_write', 'fd_write', 1, 8],
    ['vectors of fd_read', 'fd_read', 0, 8],
  ] as const)('is charged for each of the %s, however empty', (_what, name, fd, each) => {
    const vectors = (count: number): string => `(module
      (func $call (import "wasi_snapshot_preview1" "${name}") (param i32 i32 i32 i32) (result i32))
      (memory (export "memory") 1)
      (func (export "call") (result i32) (call $call (i32.const ${fd}) (i32.const 1024) (i32.const ${count}) (i32.const 16))))`;
    const [none, all] = [0, 1_024].map((count) => run(vectors(count), { entry: 'call' }).step);
    expect(all).toMatchObject({ kind: 'returned', exitCode: 0 });
    expect((all?.fuelUsed ?? 0) - (none?.fuelUsed ?? 0)).toBe(1_024 * each);
  });

  it('is charged for each subscription of poll_oneoff, and for each event', () => {
    const polls = (count: number): string => `(module
      (func $poll (import "wasi_snapshot_preview1" "poll_oneoff") (param i32 i32 i32 i32) (result i32))
      (memory (export "memory") 4)
      (func (export "call") (result i32) (local $i i32)
        (loop $next (i32.store8 (i32.add (i32.const 1032) (i32.mul (local.get $i) (i32.const 48))) (i32.const 1))
          (br_if $next (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 1024))))
        (call $poll (i32.const 1024) (i32.const 131072) (i32.const ${count}) (i32.const 16))))`;
    const [one, all] = [1, 1_024].map((count) => run(polls(count), { entry: 'call' }).step);
    expect(all).toMatchObject({ kind: 'returned', exitCode: 0 });
    expect((all?.fuelUsed ?? 0) - (one?.fuelUsed ?? 0)).toBe(1_023 * (48 + 32));
  });

  it('is charged for what arguments are looked through to be counted', () => {
    const sizes = `(module (func $sizes (import "wasi_snapshot_preview1" "args_sizes_get") (param i32 i32) (result i32))
      (memory (export "memory") 1)
      (func (export "call") (result i32) (call $sizes (i32.const 0) (i32.const 4))))`;
    const [short, long] = [1, 10_000].map((length) => run(sizes, { entry: 'call', args: ['x'.repeat(length)] }).step.fuelUsed);
    expect((long ?? 0) - (short ?? 0)).toBe(9_999);
  });
});

describe('memory', () => {
  const grow = (pages: number): string => start(`(if (i32.eq (memory.grow (i32.const ${pages})) (i32.const -1)) (then unreachable))`);

  it('may grow up to the limit of the guest, which is exact', () => {
    const limit = { memoryBytesMax: 8 * 65_536 };
    const fits = run(grow(7), limit);
    expect(fits.step.kind).toBe('returned');
    expect(fits.memoryBytesPeak).toBe(8 * 65_536);
    expect(run(grow(8), limit).step).toMatchObject({ kind: 'limit', limit: 'memory' });
  });

  it('is refused at the start when the module wants more at once', () => {
    expect(run(grow(0), { memoryBytesMax: 0 }).step).toMatchObject({ kind: 'limit', limit: 'memory' });
    const { step } = run('(module (memory 100) (func (export "_start")))', { memoryBytesMax: 99 * 65_536 });
    expect(step).toMatchObject({ kind: 'limit', limit: 'memory' });
  });

  it("gives -1 past the module's own maximum, as the specification says", () => {
    const { step } = run(
      '(module (memory 1 2) (func (export "_start") (if (i32.ne (memory.grow (i32.const 2)) (i32.const -1)) (then unreachable))))',
    );
    expect(step.kind).toBe('returned');
  });

  it('is that of tables too, eight bytes for each element', () => {
    const table = (elements: number): string => `(module (memory (export "memory") 1) (table 10 1000 funcref)
      (func (export "call") (result i32) (table.grow (ref.null func) (i32.const ${elements}))))`;
    const limit = { entry: 'call', memoryBytesMax: 65_536 + 8 * 500 };
    const fits = run(table(490), limit);
    expect(fits.step).toMatchObject({ kind: 'returned', exitCode: 10 });
    expect(fits.memoryBytesPeak).toBe(65_536 + 8 * 500);
    expect(run(table(491), limit).step).toMatchObject({ kind: 'limit', limit: 'memory' });
    expect(run(table(491), { ...limit, memoryBytesMax: 65_536 }).step).toMatchObject({ kind: 'limit', limit: 'memory' });
    // Beyond what the module itself declares: -1, as the specification says.
    expect(run(table(991), { entry: 'call' }).step).toMatchObject({ kind: 'returned', exitCode: -1 });
  });

  it('is zero again for the next guest of the slot', () => {
    const text = start(
      '(if (i32.load (i32.const 1024)) (then unreachable)) (i32.store (i32.const 1024) (i32.const 7)) (i32.store (i32.const 65000) (i32.const 7))',
    );
    for (let round = 0; round < 50; round++) expect(run(text).step.kind).toBe('returned');
  });
});

describe('output', () => {
  const write = (fd: number): string => `(module
    (func $write (import "wasi_snapshot_preview1" "fd_write") (param i32 i32 i32 i32) (result i32))
    (memory (export "memory") 1) (data (i32.const 0) "\\10\\00\\00\\00\\05\\00\\00\\00") (data (i32.const 16) "hello")
    (func (export "_start") (loop (drop (call $write (i32.const ${fd}) (i32.const 0) (i32.const 1) (i32.const 32))) br 0)))`;

  it('past its limit ends the guest with what fitted', () => {
    const out = run(write(1), { stdoutBytesMax: 12 });
    expect(out.step).toMatchObject({ kind: 'limit', limit: 'stdout' });
    expect(Buffer.from(out.stdout).toString()).toBe('hellohellohe');
    const err = run(write(2), { stderrBytesMax: 4 });
    expect(err.step).toMatchObject({ kind: 'limit', limit: 'stderr' });
    expect(Buffer.from(err.stderr).toString()).toBe('hell');
  });

  it('may be larger than the block of memory that legs share', () => {
    const { step, stdout, stderr } = run(write(1), { stdoutBytesMax: 300_001 });
    expect(step).toMatchObject({ kind: 'limit', limit: 'stdout' });
    expect(stdout.length).toBe(300_001);
    expect(stderr.length).toBe(0);
  });
});

describe('options', () => {
  it('out of range are refused, and take no slot', () => {
    const bad: readonly Partial<GuestOptions>[] = [
      { fuelMax: 0 },
      { fuelMax: 1.5 },
      { fuelMax: Number.POSITIVE_INFINITY },
      { fuelSlice: -1 },
      { memoryBytesMax: PROFILE.memoryBytesMax + 1 },
      { stdoutBytesMax: -1 },
      { stderrBytesMax: Number.NaN },
      { randomSeed: new Uint8Array(31) },
      { fuelPerMicro: 0 },
      { fuelPerMicro: Number.NaN },
      { args: ['a\0b'] },
    ];
    for (const change of bad) {
      expect([JSON.stringify(change), codeOf(() => run(start('nop'), change))]).toEqual([JSON.stringify(change), 'WM_ENGINE_OPTIONS']);
    }
    expect(engine.stats().slotsInUse).toBe(0);
  });

  it('name an entry: its result is the exit code, and a reactor is initialised before it', () => {
    const text = `(module (global $ready (mut i32) (i32.const 0))
      (func (export "_initialize") (global.set $ready (i32.const 40)))
      (func (export "handle") (result i32) (i32.add (global.get $ready) (i32.const 2)))
      (func (export "wrong") (param i32))
      (memory (export "memory") 1))`;
    expect(run(text, { entry: 'handle' }).step).toMatchObject({ kind: 'returned', exitCode: 42 });
    for (const entry of ['missing', 'wrong', 'memory', '_start']) {
      expect(codeOf(() => run(text, { entry }))).toBe('WM_ENGINE_ENTRY');
    }
  });
});
