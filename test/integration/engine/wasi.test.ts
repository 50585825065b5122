import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Engine, EngineAddon, Guest, GuestOptions, Step } from '../../../hardware/wasm/native/native.ts';
import { BUILD_TIMEOUT_MS, GRANT_NONE, OPTIONS, PROFILE, engineAddon, finish, leg, loadText } from './fixture.ts';

const SUCCESS = 0;
const BADF = 8;
const INVAL = 28;
const NOTSUP = 58;
const SPIPE = 70;
const NOTCAPABLE = 76;

/** Every import of preview 1: parameters (`l` is i64), and the errno for arguments of zero with every capability granted. */
const PREVIEW1: readonly (readonly [name: string, parameters: string, errno: number])[] = [
  ['args_get', 'ii', SUCCESS],
  ['args_sizes_get', 'ii', SUCCESS],
  ['environ_get', 'ii', SUCCESS],
  ['environ_sizes_get', 'ii', SUCCESS],
  ['clock_res_get', 'ii', SUCCESS],
  ['clock_time_get', 'ili', SUCCESS],
  ['fd_advise', 'illi', SPIPE],
  ['fd_allocate', 'ill', BADF],
  ['fd_close', 'i', SUCCESS],
  ['fd_datasync', 'i', INVAL],
  ['fd_fdstat_get', 'ii', SUCCESS],
  ['fd_fdstat_set_flags', 'ii', SUCCESS],
  ['fd_fdstat_set_rights', 'ill', SUCCESS],
  ['fd_filestat_get', 'ii', SUCCESS],
  ['fd_filestat_set_size', 'il', INVAL],
  ['fd_filestat_set_times', 'illi', NOTSUP],
  ['fd_pread', 'iiili', SPIPE],
  ['fd_prestat_get', 'ii', BADF],
  ['fd_prestat_dir_name', 'iii', BADF],
  ['fd_pwrite', 'iiili', SPIPE],
  ['fd_read', 'iiii', SUCCESS],
  ['fd_readdir', 'iiili', NOTCAPABLE],
  ['fd_renumber', 'ii', NOTSUP],
  ['fd_seek', 'ilii', SPIPE],
  ['fd_sync', 'i', INVAL],
  ['fd_tell', 'ii', SPIPE],
  ['fd_write', 'iiii', BADF],
  ['path_create_directory', 'iii', NOTCAPABLE],
  ['path_filestat_get', 'iiiii', NOTCAPABLE],
  ['path_filestat_set_times', 'iiiilli', NOTCAPABLE],
  ['path_link', 'iiiiiii', NOTCAPABLE],
  ['path_open', 'iiiiillii', NOTCAPABLE],
  ['path_readlink', 'iiiiii', NOTCAPABLE],
  ['path_remove_directory', 'iii', NOTCAPABLE],
  ['path_rename', 'iiiiii', NOTCAPABLE],
  ['path_symlink', 'iiiii', NOTCAPABLE],
  ['path_unlink_file', 'iii', NOTCAPABLE],
  ['poll_oneoff', 'iiii', INVAL],
  ['proc_raise', 'i', NOTCAPABLE],
  ['sched_yield', '', SUCCESS],
  ['random_get', 'ii', SUCCESS],
  ['sock_accept', 'iii', NOTCAPABLE],
  ['sock_recv', 'iiiiii', NOTCAPABLE],
  ['sock_send', 'iiiii', NOTCAPABLE],
  ['sock_shutdown', 'ii', NOTCAPABLE],
];

const DENIED_WITHOUT_GRANTS = new Set([
  ...PREVIEW1.filter(([, , errno]) => errno === NOTCAPABLE).map(([name]) => name),
  'environ_get',
  'environ_sizes_get',
  'clock_res_get',
  'clock_time_get',
  'random_get',
]);

let addon: EngineAddon;
let engine: Engine;

beforeAll(async () => {
  addon = await engineAddon();
  engine = addon.createEngine(PROFILE);
}, BUILD_TIMEOUT_MS);

afterAll(() => engine?.close());

/** A guest whose exit code is what one call of preview 1 gave, with the same number for every argument. */
function callText(name: string, parameters: string, argument: number): string {
  const types = parameters.split('').map((letter) => (letter === 'l' ? 'i64' : 'i32'));
  return `(module (func $call (import "wasi_snapshot_preview1" "${name}") (param ${types.join(' ')}) (result i32))
    (memory (export "memory") 1)
    (func (export "call") (result i32) (call $call ${types.map((type) => `(${type}.const ${argument})`).join(' ')})))`;
}

type Played = { readonly step: Step; readonly requests: readonly string[]; readonly stdout: Buffer };

function play(text: string, change: Partial<GuestOptions> = {}, clocks = { monotonicMicros: 0, civilMicros: 0 }): Played {
  using module = loadText(addon, engine, text);
  using guest: Guest = module.start({ ...OPTIONS, ...change });
  const requests: string[] = [];
  let step = guest.resumeInline({ answer: null, ...clocks });
  while (step.kind === 'request') {
    requests.push(`${step.operation} ${Buffer.from(step.payload).toString(step.operation === 'wasi.denied' ? 'utf8' : 'hex')}`);
    step = guest.resumeInline({ answer: { status: 0, bytes: null }, ...clocks });
  }
  return { step, requests, stdout: Buffer.from(guest.stdout()) };
}

describe('every import of preview 1', () => {
  it('is tried here: 45 and proc_exit', () => {
    expect(PREVIEW1.length + 1).toBe(46);
  });

  for (const [name, parameters, errno] of PREVIEW1) {
    it(`${name} gives ${errno} for zeros`, () => {
      const { step, requests } = play(callText(name, parameters, 0), { entry: 'call' });
      expect(step).toMatchObject({ kind: 'returned', exitCode: errno });
      expect(requests).toEqual(errno === NOTCAPABLE ? [`wasi.denied ${name}`] : []);
    });

    it(`${name} without grants asks the host, or needs none`, () => {
      const { step, requests } = play(callText(name, parameters, 0), { entry: 'call', granted: GRANT_NONE });
      const denied = DENIED_WITHOUT_GRANTS.has(name);
      expect(step).toMatchObject({ kind: 'returned', exitCode: denied ? NOTCAPABLE : errno });
      expect(requests).toEqual(denied ? [`wasi.denied ${name}`] : []);
    });

    it(`${name} costs the fuel of a call of the host`, () => {
      const { step } = play(callText(name, parameters, 0), { entry: 'call' });
      expect(step.fuelUsed).toBeGreaterThanOrEqual(100);
    });

    it(`${name} survives arguments that make no sense`, () => {
      for (const argument of [-1, 1, 2, 3, 65_535, 0x7fffffff, -65_536]) {
        const { step } = play(callText(name, parameters, argument), { entry: 'call' });
        expect(['returned', 'exhausted', 'memory_out_of_bounds']).toContain(step.kind === 'trapped' ? step.trap : step.kind);
      }
    });
  }

  it('proc_exit is a normal end with any code', () => {
    for (const code of [0, 1, 42, 125, 126, 255, -1]) {
      const { step } = play(`(module (func $exit (import "wasi_snapshot_preview1" "proc_exit") (param i32))
        (func (export "_start") (call $exit (i32.const ${code})) unreachable))`);
      expect(step).toMatchObject({ kind: 'returned', exitCode: code });
    }
  });
});

describe('arguments, environment and pipes', () => {
  /** Writes what a pair of `*_sizes_get` and `*_get` gives: count, size, then the text. */
  const list = (which: string): string => `(module
    (func $sizes (import "wasi_snapshot_preview1" "${which}_sizes_get") (param i32 i32) (result i32))
    (func $get (import "wasi_snapshot_preview1" "${which}_get") (param i32 i32) (result i32))
    (func $write (import "wasi_snapshot_preview1" "fd_write") (param i32 i32 i32 i32) (result i32))
    (memory (export "memory") 1)
    (func (export "_start")
      (drop (call $sizes (i32.const 16) (i32.const 20)))
      (drop (call $get (i32.const 1024) (i32.const 2048)))
      (if (i32.ne (i32.load (i32.const 1024)) (i32.const 2048)) (then unreachable))
      (i32.store (i32.const 0) (i32.const 2048)) (i32.store (i32.const 4) (i32.load (i32.const 20)))
      (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 32)))))`;

  it('reach the guest as they are', () => {
    const { stdout } = play(list('args'), { args: ['brake', 'räder', ''] });
    expect(stdout.toString()).toBe('brake\0räder\0\0');
    const environment = play(list('environ'), {
      env: [
        ['LANG', 'C'],
        ['A', 'b=c'],
      ],
    });
    expect(environment.stdout.toString()).toBe('LANG=C\0A=b=c\0');
  });

  const CAT = `(module
    (func $read (import "wasi_snapshot_preview1" "fd_read") (param i32 i32 i32 i32) (result i32))
    (func $write (import "wasi_snapshot_preview1" "fd_write") (param i32 i32 i32 i32) (result i32))
    (memory (export "memory") 1)
    (func (export "_start")
      (loop $next
        (i32.store (i32.const 0) (i32.const 1024)) (i32.store (i32.const 4) (i32.const 1000))
        (i32.store (i32.const 8) (i32.const 2024)) (i32.store (i32.const 12) (i32.const 3))
        (drop (call $read (i32.const 0) (i32.const 0) (i32.const 2) (i32.const 16)))
        (i32.store (i32.const 4) (i32.load (i32.const 16)))
        (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 20)))
        (br_if $next (i32.load (i32.const 16))))))`;

  it('stdin comes out of stdout, whatever its length', () => {
    for (const length of [0, 1, 1_003, 5_000, 70_000, 200_000]) {
      const stdin = Buffer.from(Array.from({ length }, (_, index) => (index * 31) & 255));
      expect(Buffer.compare(play(CAT, { stdin }).stdout, stdin)).toBe(0);
    }
  });

  it('a closed descriptor is bad', () => {
    const { step } = play(
      `(module
      (func $close (import "wasi_snapshot_preview1" "fd_close") (param i32) (result i32))
      (func $write (import "wasi_snapshot_preview1" "fd_write") (param i32 i32 i32 i32) (result i32))
      (memory (export "memory") 1)
      (func (export "call") (result i32) (drop (call $close (i32.const 1)))
        (call $write (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 0))))`,
      { entry: 'call' },
    );
    expect(step).toMatchObject({ exitCode: BADF });
  });
});

describe('clocks', () => {
  /** Prints both clocks, burns fuel, prints the monotonic one again. */
  const CLOCK = `(module
    (func $time (import "wasi_snapshot_preview1" "clock_time_get") (param i32 i64 i32) (result i32))
    (func $write (import "wasi_snapshot_preview1" "fd_write") (param i32 i32 i32 i32) (result i32))
    (memory (export "memory") 1)
    (func (export "_start") (local $left i32)
      (drop (call $time (i32.const 0) (i64.const 0) (i32.const 64)))
      (drop (call $time (i32.const 1) (i64.const 0) (i32.const 72)))
      (local.set $left (i32.const 100000))
      (loop $next (br_if $next (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
      (drop (call $time (i32.const 1) (i64.const 0) (i32.const 80)))
      (i32.store (i32.const 0) (i32.const 64)) (i32.store (i32.const 4) (i32.const 24))
      (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 32)))))`;
  const clocks = { monotonicMicros: 5_000_000, civilMicros: 1_700_000_000_000_000 };

  function times(change: Partial<GuestOptions> = {}): readonly number[] {
    const { stdout } = play(CLOCK, change, clocks);
    return [0, 8, 16].map((at) => Number(stdout.readBigUInt64LE(at)));
  }

  it('are those of the host at the start of the leg, and advance with fuel at the given speed', () => {
    const [civil = 0, before = 0, after = 0] = times({ fuelPerMicro: 1_000 });
    expect(Math.floor(civil / 1_000)).toBe(1_700_000_000_000_000);
    expect(Math.floor(before / 1_000)).toBe(5_000_000);
    const slow = times({ fuelPerMicro: 10 });
    expect((slow[2]! - slow[1]!) / (after - before)).toBeCloseTo(100, 0);
  });

  it('start again with each leg, and count the fuel of that leg only', () => {
    using module = loadText(
      addon,
      engine,
      `(module
        (func $ask (import "wasmmatrix" "ask") (param i32 i32) (result i32))
        (func $time (import "wasi_snapshot_preview1" "clock_time_get") (param i32 i64 i32) (result i32))
        (memory (export "memory") 1)
        (func (export "_start") (local $left i32)
          (local.set $left (i32.const 100000))
          (loop $next (br_if $next (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
          (drop (call $ask (i32.const 0) (i32.const 0)))
          (drop (call $time (i32.const 1) (i64.const 0) (i32.const 64)))
          (drop (call $ask (i32.const 64) (i32.const 8)))))`,
    );
    using guest = module.start({ ...OPTIONS, fuelPerMicro: 1 });
    guest.resumeInline(leg());
    const step = guest.resumeInline({ answer: { status: 0, bytes: null }, monotonicMicros: 7_000_000, civilMicros: 0 });
    const nanos = step.kind === 'request' ? Number(Buffer.from(step.payload).readBigUInt64LE(0)) : 0;
    expect(nanos).toBeGreaterThanOrEqual(7_000_000_000);
    // The fuel of one call, and of few instructions: 100 and some microseconds at this speed.
    expect(nanos).toBeLessThan(7_000_120_000);
  });

  it('are the same in every run', () => {
    expect(times()).toEqual(times());
  });
});

describe('randomness', () => {
  const RANDOM = `(module
    (func $random (import "wasi_snapshot_preview1" "random_get") (param i32 i32) (result i32))
    (func $write (import "wasi_snapshot_preview1" "fd_write") (param i32 i32 i32 i32) (result i32))
    (memory (export "memory") 1)
    (func (export "_start")
      (drop (call $random (i32.const 64) (i32.const 100)))
      (drop (call $random (i32.const 164) (i32.const 100)))
      (i32.store (i32.const 0) (i32.const 64)) (i32.store (i32.const 4) (i32.const 200))
      (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 32)))))`;

  it('follows from the seed alone', () => {
    const one = play(RANDOM, { randomSeed: new Uint8Array(32).fill(1) }).stdout;
    expect(play(RANDOM, { randomSeed: new Uint8Array(32).fill(1), fuelSlice: 50 }).step.kind).toBe('sliced');
    expect(Buffer.compare(play(RANDOM, { randomSeed: new Uint8Array(32).fill(1) }).stdout, one)).toBe(0);
    expect(Buffer.compare(play(RANDOM, { randomSeed: new Uint8Array(32).fill(2) }).stdout, one)).not.toBe(0);
    expect(one.subarray(0, 100).equals(one.subarray(100))).toBe(false);
  });

  it('is ChaCha20 with the seed as its key, so that it never changes', () => {
    const zero = play(RANDOM, { randomSeed: new Uint8Array(32) }).stdout;
    expect(zero.subarray(0, 16).toString('hex')).toBe('76b8e0ada0f13d90405d6ae55386bd28');
  });
});

describe('sleep', () => {
  /** poll_oneoff with one clock subscription (user data 7); the exit code is its errno, the events go to stdout. */
  const sleeps = (clock: number, nanos: bigint, flags = 0): string => `(module
    (func $poll (import "wasi_snapshot_preview1" "poll_oneoff") (param i32 i32 i32 i32) (result i32))
    (func $write (import "wasi_snapshot_preview1" "fd_write") (param i32 i32 i32 i32) (result i32))
    (memory (export "memory") 1)
    (func (export "call") (result i32) (local $errno i32)
      (i64.store (i32.const 64) (i64.const 7)) (i32.store (i32.const 80) (i32.const ${clock}))
      (i64.store (i32.const 88) (i64.const ${nanos})) (i32.store16 (i32.const 104) (i32.const ${flags}))
      (local.set $errno (call $poll (i32.const 64) (i32.const 256) (i32.const 1) (i32.const 16)))
      (i32.store (i32.const 0) (i32.const 256)) (i32.store (i32.const 4) (i32.mul (i32.load (i32.const 16)) (i32.const 32)))
      (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 32)))
      (local.get $errno)))`;

  it('is a request of the host with nanoseconds, and one event afterwards', () => {
    const { step, requests, stdout } = play(sleeps(1, 1_500_000_000n), { entry: 'call' });
    expect(step).toMatchObject({ kind: 'returned', exitCode: SUCCESS });
    expect(requests).toEqual(['wasi.sleep 002f685900000000']);
    expect(stdout.length).toBe(32);
    expect(stdout.readBigUInt64LE(0)).toBe(7n);
    expect(stdout.readUInt16LE(8)).toBe(SUCCESS);
  });

  it('until a moment that has passed is a request of zero', () => {
    const { requests } = play(sleeps(1, 1_000n, 1), { entry: 'call' }, { monotonicMicros: 9_000, civilMicros: 0 });
    expect(requests).toEqual(['wasi.sleep 0000000000000000']);
  });

  it('on a clock of the processor is not supported', () => {
    expect(play(sleeps(2, 1n), { entry: 'call' }).step).toMatchObject({ exitCode: NOTSUP });
  });

  it('without its grant is denied', () => {
    const { step, requests } = play(sleeps(1, 1n), { entry: 'call', granted: { ...GRANT_NONE, clock: true } });
    expect(step).toMatchObject({ exitCode: NOTCAPABLE });
    expect(requests).toEqual(['wasi.denied poll_oneoff']);
  });

  it('that the host refuses gives its errno', () => {
    using module = loadText(addon, engine, sleeps(1, 1n));
    using guest = module.start({ ...OPTIONS, entry: 'call' });
    guest.resumeInline(leg());
    expect(guest.resumeInline(leg({ status: -27, bytes: null }))).toMatchObject({ kind: 'returned', exitCode: 27 });
  });

  /** Waits for a descriptor (user data 7); the exit code is the errno of the call, the events go to stdout. */
  const waits = (tag: number, fd: number): string => `(module
    (func $poll (import "wasi_snapshot_preview1" "poll_oneoff") (param i32 i32 i32 i32) (result i32))
    (func $write (import "wasi_snapshot_preview1" "fd_write") (param i32 i32 i32 i32) (result i32))
    (memory (export "memory") 1)
    (func (export "call") (result i32) (local $errno i32)
      (i64.store (i32.const 64) (i64.const 7))
      (i32.store8 (i32.const 72) (i32.const ${tag})) (i32.store (i32.const 80) (i32.const ${fd}))
      (local.set $errno (call $poll (i32.const 64) (i32.const 256) (i32.const 1) (i32.const 16)))
      (i32.store (i32.const 0) (i32.const 256)) (i32.store (i32.const 4) (i32.mul (i32.load (i32.const 16)) (i32.const 32)))
      (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 32)))
      (local.get $errno)))`;

  it.each([
    ['to read from stdin', 1, 0, SUCCESS, 5n],
    ['to write to stdout', 2, 1, SUCCESS, 1_000n],
    ['to write to stderr', 2, 2, SUCCESS, 2_000n],
    ['to write to stdin', 2, 0, BADF, 0n],
    ['to read from stdout', 1, 1, BADF, 0n],
    ['to read from what is not open', 1, 3, BADF, 0n],
    ['to write to what is not open', 2, 3, BADF, 0n],
  ] as const)('that is a wait %s ends at once, with an event that says how it stands', (_what, tag, fd, errno, bytes) => {
    const options = { entry: 'call', stdin: Buffer.from('event'), stdoutBytesMax: 1_000, stderrBytesMax: 2_000, granted: GRANT_NONE };
    const { step, requests, stdout } = play(waits(tag, fd), options);
    expect(step).toMatchObject({ kind: 'returned', exitCode: SUCCESS });
    expect(requests).toEqual([]);
    expect(stdout.length).toBe(32);
    expect([stdout.readBigUInt64LE(0), stdout.readUInt16LE(8), stdout[10], stdout.readBigUInt64LE(16)]).toEqual([7n, errno, tag, bytes]);
  });

  it('for what is no kind of wait is not supported', () => {
    expect(play(waits(9, 1), { entry: 'call' }).step).toMatchObject({ exitCode: NOTSUP });
  });
});

describe('denial', () => {
  it('is reported whatever the host answers', () => {
    using module = loadText(addon, engine, callText('random_get', 'ii', 0));
    for (const status of [0, -1, 7]) {
      using guest = module.start({ ...OPTIONS, entry: 'call', granted: GRANT_NONE });
      expect(finish(guest, () => ({ status, bytes: Buffer.from('x') }))).toMatchObject({ exitCode: NOTCAPABLE });
    }
  });
});
