import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { componentText, type HostFunction } from '../../../hardware/conformance/component-text.ts';
import { COMPONENT_MODULES } from '../../../hardware/conformance/components.ts';
import type { Engine, EngineAddon, EngineModule, GuestAnswer, GuestOptions, Step } from '../../../hardware/wasm/native/native.ts';
import { BUILD_TIMEOUT_MS, GRANT_NONE, OPTIONS, PROFILE, codeOf, engineAddon, finish, finishAway, leg, loadText } from './fixture.ts';

let addon: EngineAddon;
let engine: Engine;

beforeAll(async () => {
  addon = await engineAddon();
  engine = addon.createEngine(PROFILE);
}, BUILD_TIMEOUT_MS);

afterAll(() => engine?.close());

type Ran = { readonly step: Step; readonly stdout: string; readonly stderr: string; readonly requests: readonly string[] };

function ran(
  module: EngineModule,
  options: Partial<GuestOptions>,
  answer: (operation: string, payload: string) => GuestAnswer = () => ({ status: 0, bytes: null }),
): Ran {
  using guest = module.start({ ...OPTIONS, ...options });
  const requests: string[] = [];
  const step = finish(guest, (operation, payload) => {
    const text = Buffer.from(payload).toString();
    requests.push(`${operation} ${text}`);
    return answer(operation, text);
  });
  return { step, stdout: Buffer.from(guest.stdout()).toString(), stderr: Buffer.from(guest.stderr()).toString(), requests };
}

function componentOf(body: string, uses: readonly HostFunction[] = [], entry = 'go'): EngineModule {
  return loadText(addon, engine, componentText({ uses, body, lifted: [{ name: entry }] }));
}

function conformance(name: string): EngineModule {
  const found = COMPONENT_MODULES.find((module) => module.name === name);
  if (found === undefined) throw new Error(`no such module: ${name}`);
  return loadText(addon, engine, found.text);
}

const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text));

describe('a component of WASI 0.2', () => {
  it('is a command when it exports wasi:cli/run, with the event on its standard input and the result on its standard output', () => {
    using module = conformance('component wasi');
    const { step, stdout } = ran(module, { stdin: bytes('an event') });
    expect(step).toMatchObject({ kind: 'returned', exitCode: 0 });
    expect(stdout).toBe('an event');
  });

  it('gets arguments, environment, error output and exit codes as a module does', () => {
    using module = conformance('component wasi');
    const env = [['WM_EVENT_ID', 'one']] as const;
    expect(ran(module, { entry: 'arguments', args: ['guest', 'zwölf'] }).stdout).toBe('guestzwölf');
    expect(ran(module, { entry: 'environment', env }).stdout).toBe('WM_EVENT_IDone');
    expect(ran(module, { entry: 'error-output' }).stderr).toBe('to standard error');
    expect(ran(module, { entry: 'exit-well' }).step).toMatchObject({ kind: 'returned', exitCode: 0 });
    expect(ran(module, { entry: 'exit-badly' }).step).toMatchObject({ kind: 'returned', exitCode: 1 });
    expect(ran(module, { entry: 'code' }).step).toMatchObject({ kind: 'returned', exitCode: 42 });
    expect(ran(module, { entry: 'files' }).stdout).toBe('\0'.repeat(6));
  });

  it('draws from the seed what a module draws from it', () => {
    using component = conformance('component wasi');
    using module = loadText(
      addon,
      engine,
      `(module (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 1)
        (func (export "_start") (drop (call $random (i32.const 64) (i32.const 41)))
          (i32.store (i32.const 0) (i32.const 64)) (i32.store (i32.const 4) (i32.const 41))
          (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))`,
    );
    const randomSeed = new Uint8Array(32).fill(9);
    const drawn = ran(component, { entry: 'chance', randomSeed });
    const expected = ran(module, { randomSeed });
    expect(drawn.stdout.startsWith(expected.stdout)).toBe(true);
  });

  it('sees clocks that follow its fuel, and waits as a request to its host', () => {
    using module = conformance('component wasi');
    using guest = module.start({ ...OPTIONS, entry: 'clocks' });
    guest.resumeInline({ answer: null, monotonicMicros: 5, civilMicros: 1_750_000_000_000_007 });
    const view = new DataView(Uint8Array.from(guest.stdout()).buffer);
    const [first, later] = [view.getBigUint64(0, true), view.getBigUint64(24, true)];
    expect(Number(first)).toBeGreaterThanOrEqual(5_000);
    expect(Number(first)).toBeLessThan(6_000);
    expect(later).toBeGreaterThan(first + 30_000n);
    expect(view.getBigUint64(8, true)).toBe(1_750_000_000n);
    const { requests } = ran(module, { entry: 'sleep' });
    expect(requests).toHaveLength(1);
    expect(requests[0]).toMatch(/^wasi\.sleep /);
  });

  it.each([
    ['clocks', 'wasi:clocks/monotonic-clock#now'],
    ['chance', 'wasi:random/random#get-random-bytes'],
    ['sleep', 'wasi:io/poll#[method]pollable.ready'],
    ['environment', 'wasi:cli/environment#get-environment'],
  ])('ends when it uses what it was not granted (%s), and its host is told', (entry, called) => {
    using module = conformance('component wasi');
    const { step, requests } = ran(module, { entry, granted: GRANT_NONE });
    expect(requests).toEqual([`wasi.denied ${called}`]);
    expect(step).toMatchObject({ kind: 'trapped', trap: 'denied', message: expect.stringContaining(called) });
  });

  it('gives the same whatever the slices of fuel, and on a thread', async () => {
    using module = conformance('component composition');
    const whole = ran(module, { entry: 'record' });
    expect(whole.step.kind).toBe('returned');
    expect(ran(module, { entry: 'record', fuelSlice: 37 })).toEqual(whole);
    using guest = module.start({ ...OPTIONS, entry: 'record', fuelSlice: 100 });
    expect(await finishAway(guest)).toEqual(whole.step);
    expect(Buffer.from(guest.stdout()).toString()).toBe(whole.stdout);
  });

  it('ends in slices when it never ends by itself', () => {
    using module = conformance('component composition');
    using guest = module.start({ ...OPTIONS, entry: 'spinning-part', fuelMax: 100_000, fuelSlice: 10_000 });
    let slices = 0;
    let step = guest.resumeInline(leg());
    while (step.kind === 'sliced') {
      slices += 1;
      step = guest.resumeInline(leg());
    }
    expect(step).toMatchObject({ kind: 'exhausted', fuelUsed: 100_000 });
    expect(slices).toBe(9);
  });
});

describe('parts of a composition', () => {
  it.each([
    ['text', 'A TEXT WITH GRüßEN, ∑ AND 🚚'],
    ['record', 'a text'],
  ])('pass %s to each other', (entry, expected) => {
    using module = conformance('component composition');
    expect(ran(module, { entry }).stdout.slice(0, expected.length)).toBe(expected);
  });

  it('pass text in other encodings to each other', () => {
    using module = conformance('component composition');
    using guest = module.start({ ...OPTIONS, entry: 'text-utf16' });
    finish(guest);
    expect(Buffer.from(guest.stdout()).toString('utf16le')).toBe('A TEXT WITH GRüßEN, ∑ AND 🚚');
  });

  it('own resources that end with their handles', () => {
    using module = conformance('component composition');
    using guest = module.start({ ...OPTIONS, entry: 'counters' });
    finish(guest);
    const view = new DataView(Uint8Array.from(guest.stdout()).buffer);
    expect([0, 4, 8, 12, 16].map((at) => view.getUint32(at, true))).toEqual([8, 111, 7, 7, 118]);
  });

  it.each([
    ['bad-text', 'interface'],
    ['half-a-pair', 'interface'],
    ['bad-case', 'interface'],
    ['bad-letter', 'interface'],
    ['list-not-aligned', 'interface'],
    ['list-outside', 'interface'],
    ['counter-twice', 'interface'],
    ['counter-that-is-none', 'interface'],
    ['failing-part', 'unreachable'],
  ])('trap together (%s)', (entry, trap) => {
    using module = conformance('component composition');
    expect(ran(module, { entry }).step).toMatchObject({ kind: 'trapped', trap });
  });

  it('share one limit of memory, and take a slot for each memory', () => {
    using module = conformance('component composition');
    const { step, stdout } = ran(module, { entry: 'growth-of-all', memoryBytesMax: 8 << 20 });
    expect(stdout).toHaveLength(8);
    expect(step).toMatchObject({ kind: 'limit', limit: 'memory' });
    const before = engine.stats().slotsInUse;
    const guest = module.start({ ...OPTIONS, entry: 'text' });
    expect(engine.stats().slotsInUse - before).toBe(2);
    guest.close();
    expect(engine.stats().slotsInUse).toBe(before);
  });

  it('are refused by a pool that has too few slots left, and by one that never has as many', () => {
    using small = addon.createEngine({ ...PROFILE, poolSlots: 3 });
    const text = COMPONENT_MODULES.find(({ name }) => name === 'component composition')?.text ?? '';
    using module = loadText(addon, small, text);
    using first = module.start({ ...OPTIONS, entry: 'text' });
    expect(codeOf(() => module.start({ ...OPTIONS, entry: 'text' }))).toBe('WM_ENGINE_POOL_FULL');
    expect(finish(first).kind).toBe('returned');
    first.close();
    using again = module.start({ ...OPTIONS, entry: 'text' });
    expect(finish(again).kind).toBe('returned');
  });
});

describe('traps and limits of a component', () => {
  it.each([
    ['unreachable', { kind: 'trapped', trap: 'unreachable' }],
    ['outside-of-memory', { kind: 'trapped', trap: 'memory_out_of_bounds' }],
    ['handle-of-nothing', { kind: 'trapped', trap: 'interface' }],
    ['handle-that-was-dropped', { kind: 'trapped', trap: 'interface' }],
    ['handle-of-another-type', { kind: 'trapped', trap: 'interface' }],
    ['list-outside-of-memory', { kind: 'trapped', trap: 'interface' }],
    ['text-that-is-none', { kind: 'trapped', trap: 'interface' }],
    ['no-such-case', { kind: 'trapped', trap: 'interface' }],
    ['too-much-at-once', { kind: 'trapped', trap: 'interface' }],
    ['handles-without-end', { kind: 'trapped', trap: 'interface' }],
    ['growth-beyond-the-limit', { kind: 'limit', limit: 'memory' }],
    ['output-beyond-the-limit', { kind: 'limit', limit: 'stdout' }],
    ['for-ever', { kind: 'exhausted' }],
    ['without-end', { kind: 'trapped', trap: 'stack_overflow', fuelUsed: OPTIONS.fuelMax }],
    ['failed', { kind: 'returned', exitCode: 1 }],
  ])('%s', (entry, expected) => {
    using module = conformance('component traps');
    expect(ran(module, { entry }).step).toMatchObject(expected);
  });

  it('keeps what was written before a trap', () => {
    using module = conformance('component traps');
    expect(ran(module, { entry: 'after-output' }).stdout).toBe('ok');
  });

  it('pays fuel for the bytes that pass between it and its host', () => {
    const writes = (length: number): number => {
      using module = componentOf(`(func (export "go") (call $out (i32.const 32768) (i32.const ${length})))`);
      return ran(module, { entry: 'go' }).step.fuelUsed;
    };
    expect(writes(3_001) - writes(1)).toBe(3_000);
  });

  it('holds no more than its memory limit on the host, in messages that it never sends', () => {
    using module = componentOf('(func (export "go") (loop $l (drop (call $message (i32.const 0) (i32.const 200000))) (br $l)))', [
      'message',
    ]);
    expect(ran(module, { entry: 'go', memoryBytesMax: 1 << 20 }).step).toMatchObject({ kind: 'limit', limit: 'memory' });
  });

  it('may use a resource again and again when it drops it', () => {
    using module = componentOf(
      `(func (export "go") (local $i i32) (loop $l
        (call $drop-message (call $message (i32.const 0) (i32.const 200000)))
        (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 200)))))`,
      ['message', 'drop-message'],
    );
    expect(ran(module, { entry: 'go', memoryBytesMax: 1 << 20 }).step).toMatchObject({ kind: 'returned', exitCode: 0 });
  });

  it('gives its slot back when it is closed in the middle of a request, a slice or a leg on a thread', async () => {
    using module = conformance('component requests');
    const before = engine.stats().slotsInUse;
    const asking = module.start({ ...OPTIONS, entry: 'keys' });
    expect(asking.resumeInline(leg())).toMatchObject({ kind: 'request', operation: 'state_get' });
    asking.close();
    using traps = conformance('component traps');
    const sliced = traps.start({ ...OPTIONS, entry: 'for-ever', fuelSlice: 1_000 });
    expect(sliced.resumeInline(leg()).kind).toBe('sliced');
    sliced.close();
    const away = traps.start({ ...OPTIONS, entry: 'for-ever', fuelMax: 1e9 });
    const running = away.resume(leg());
    away.close();
    await expect(running).rejects.toMatchObject({ code: 'WM_ENGINE_CLOSED' });
    await expect.poll(() => engine.stats().slotsInUse, { timeout: 30_000 }).toBe(before);
  });
});

describe('requests of a component', () => {
  const store = (): ((operation: string, payload: string) => GuestAnswer) => {
    const keys = new Map<string, { version: number; value: string }>();
    return (operation, payload) => {
      const [key = '', expected = '', ...rest] = payload.split('\n');
      const known = keys.get(key);
      if (operation === 'state_get') {
        return known === undefined ? { status: -2, bytes: null } : { status: 0, bytes: bytes(`${known.version}\n${known.value}`) };
      }
      if (operation !== 'state_set') return { status: 0, bytes: null };
      if (expected !== '*' && expected !== String(known?.version ?? 0)) return { status: -3, bytes: null };
      keys.set(key, { version: (known?.version ?? 0) + 1, value: rest.join('\n') });
      return { status: 0, bytes: bytes(String((known?.version ?? 0) + 1)) };
    };
  };

  it('wasi:keyvalue/store reads and writes state, a bucket being a prefix of keys', () => {
    using module = conformance('component requests');
    const { step, stdout, requests } = ran(module, { entry: 'keys' }, store());
    expect(step.kind).toBe('returned');
    expect(requests).toEqual([
      'state_get counter/total',
      'state_get counter/total',
      'state_set counter/total\n*\nvalue of it',
      'state_get counter/total',
      'state_get counter/total',
    ]);
    expect(stdout).toContain('value of it');
    expect(stdout).toContain('keys are not deleted here');
    expect(stdout).toContain('keys are not listed here');
  });

  it('wasi:keyvalue/atomics increments and swaps by compare-and-set', () => {
    using module = conformance('component requests');
    const increments = ran(module, { entry: 'increments' }, store());
    expect(increments.requests.filter((request) => request.startsWith('state_set'))).toEqual([
      'state_set total\n0\n41',
      'state_set total\n1\n-1',
      'state_set total\n*\nvalue of it',
    ]);
    expect(increments.stdout).toContain('the sum is out of range');
    expect(increments.stdout).toContain('the value is not a whole number in decimal');
    const swaps = ran(module, { entry: 'swaps' }, store());
    expect(swaps.requests).toEqual([
      'state_get total',
      'state_get total',
      'state_set total\n0\nvalue of it',
      'state_set total\n0\n7',
      'state_get total',
      'state_set total\n1\n7',
      'state_get total',
    ]);
    expect(swaps.step.kind).toBe('returned');
  });

  it('increments again when another was faster, a bounded number of times', () => {
    using module = conformance('component requests');
    const { requests, stdout } = ran(module, { entry: 'increments' }, (operation) =>
      operation === 'state_get' ? { status: 0, bytes: bytes('3\n1') } : { status: -3, bytes: null },
    );
    expect(requests.filter((request) => request.startsWith('state_set total\n3\n42'))).toHaveLength(16);
    expect(stdout).toContain('conflict');
  });

  it('wasi:keyvalue/batch is one request for each key', () => {
    using module = conformance('component requests');
    const { requests } = ran(module, { entry: 'batches' }, store());
    expect(requests).toEqual([
      'state_set counter/total\n*\nvalue of it',
      'state_set total\n*\n7',
      'state_get counter/total',
      'state_get counter',
      'state_get total',
    ]);
  });

  it('says so when a key is denied', () => {
    using module = conformance('component requests');
    const { step, stdout } = ran(module, { entry: 'keys' }, () => ({ status: -1, bytes: null }));
    expect(step.kind).toBe('returned');
    expect(stdout.slice(0, 2)).toBe('\u0001\u0001');
    using guest = module.start({ ...OPTIONS, entry: 'messages' });
    finish(guest, () => ({ status: -1, bytes: null }));
    expect(Buffer.from(guest.stdout()).subarray(0, 2)).toEqual(Buffer.from([1, 2]));
  });

  it('wasi:messaging publishes, and sends no message of which a part would be lost', () => {
    using module = conformance('component requests');
    const { requests, stdout } = ran(module, { entry: 'messages' });
    expect(requests).toEqual(['publish alerts.brake\nvalue of it']);
    expect(stdout).toContain('content type and metadata are not carried');
  });

  it('wasi:logging logs with level and context', () => {
    using module = conformance('component requests');
    expect(ran(module, { entry: 'logs' }, () => ({ status: -5, bytes: null })).requests).toEqual([
      'wasi.log warn\ncounter\ntwo\nlines',
      'wasi.log critical\n\nvalue of it',
      'wasi.log trace\ntwo lines\nvalue of it',
    ]);
  });

  it('count what a batch has read against the memory limit before the guest has any of it', () => {
    const LIST = `(func (export "go") (local $n i32)
      (i32.store8 (i32.const 64) (i32.const 97))
      (loop $next
        (i32.store (i32.add (i32.const 3072) (i32.mul (local.get $n) (i32.const 8))) (i32.const 64))
        (i32.store (i32.add (i32.const 3076) (i32.mul (local.get $n) (i32.const 8))) (i32.const 1))
        (br_if $next (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 64))))
      (call $open (i32.const 64) (i32.const 0) (i32.const 2048))
      (call $get-many (i32.load (i32.const 2052)) (i32.const 3072) (i32.const 64) (i32.const 2048)))`;
    using module = componentOf(LIST, ['open', 'get-many']);
    const value = bytes(`1\n${'x'.repeat(64 << 10)}`);
    const { step, requests } = ran(module, { entry: 'go', memoryBytesMax: 1 << 20 }, () => ({ status: 0, bytes: value }));
    expect(step).toMatchObject({ kind: 'limit', limit: 'memory' });
    // 256 KiB of it are the guest's memory.
    expect(requests).toHaveLength(12);
  });

  const LONG = 60_000;
  const BUCKET = '(call $open (i32.const 64) (i32.const 0) (i32.const 2048)) (local.set $b (i32.load (i32.const 2052)))';
  const MESSAGE = '(local.set $b (call $message (i32.const 0) (i32.const 0)))';
  it.each<readonly [title: string, uses: readonly HostFunction[], before: string, call: string]>([
    ['open', ['open'], '', '(call $open (i32.const 65536) (local.get $n) (i32.const 2048))'],
    ['delete', ['open', 'delete'], BUCKET, '(call $delete (local.get $b) (i32.const 65536) (local.get $n) (i32.const 2048))'],
    [
      'list-keys',
      ['open', 'list-keys'],
      BUCKET,
      '(call $list-keys (local.get $b) (i32.const 1) (i32.const 65536) (local.get $n) (i32.const 2048))',
    ],
    ['a key that is none', ['open', 'get'], BUCKET, '(call $get (local.get $b) (i32.const 65536) (local.get $n) (i32.const 2048))'],
    ['client.connect', ['connect'], '', '(call $connect (i32.const 65536) (local.get $n) (i32.const 2048))'],
    [
      'message.content-type',
      ['message', 'set-content-type', 'content-type'],
      `${MESSAGE} (call $set-content-type (local.get $b) (i32.const 65536) (local.get $n))`,
      '(call $content-type (local.get $b) (i32.const 2048)) (call $content-type (local.get $b) (i32.const 2048))',
    ],
    [
      'message.add-metadata beside what is there',
      ['message', 'add-metadata'],
      `${MESSAGE} (call $add-metadata (local.get $b) (i32.const 64) (i32.const 1) (i32.const 65536) (local.get $n))`,
      '(call $add-metadata (local.get $b) (i32.const 65) (i32.const 1) (i32.const 64) (i32.const 1)) (call $add-metadata (local.get $b) (i32.const 66) (i32.const 1) (i32.const 64) (i32.const 1))',
    ],
  ])('cost fuel for the bytes that pass: %s', (_title, uses, before, call) => {
    // Zeroes with a line break among them, which no name may have.
    const body = `(func $do (param $n i32) (local $b i32)
      (i32.store8 (i32.const 65537) (i32.const 10)) (i32.store8 (i32.const 64) (i32.const 97)) ${before} ${call})
      (func (export "short") (call $do (i32.const 2))) (func (export "long") (call $do (i32.const ${LONG})))`;
    using module = loadText(addon, engine, componentText({ uses, body, lifted: [{ name: 'short' }, { name: 'long' }] }));
    const [short, long] = ['short', 'long'].map((entry) => ran(module, { entry }).step);
    const fuel = (step: Step | undefined): number => (step?.kind === 'returned' ? step.fuelUsed : Number.NaN);
    // What is passed to set it and what is passed by the calls looked at.
    const passes = before.includes('$n') ? 3 : 1;
    expect(fuel(long) - fuel(short)).toBeGreaterThanOrEqual(passes * (LONG - 2));
  });
});
