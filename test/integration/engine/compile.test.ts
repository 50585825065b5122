import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Engine, EngineAddon } from '../../../hardware/wasm/native/native.ts';
import { BUILD_TIMEOUT_MS, OPTIONS, PROFILE, codeOf, codeOfAsync, engineAddon, finish, loadText, workText } from './fixture.ts';

const TARGETS = ['x86_64-unknown-linux-gnu', 'aarch64-unknown-linux-gnu', 'riscv64gc-unknown-linux-gnu'];

let addon: EngineAddon;
let engine: Engine;

beforeAll(async () => {
  addon = await engineAddon();
  engine = addon.createEngine(PROFILE);
}, BUILD_TIMEOUT_MS);

afterAll(() => engine?.close());

describe('compile', () => {
  it('refuses bytes that are not a module', async () => {
    expect(codeOf(() => engine.compile(new Uint8Array(0)))).toBe('WM_ENGINE_INVALID');
    expect(codeOf(() => engine.compile(new TextEncoder().encode('hello')))).toBe('WM_ENGINE_INVALID');
    expect(codeOf(() => engine.describe(new Uint8Array([0, 1, 2])))).toBe('WM_ENGINE_INVALID');
    expect(await codeOfAsync(() => engine.compileAsync(new Uint8Array(9)))).toBe('WM_ENGINE_INVALID');
  });

  it('refuses a module that was cut off or changed anywhere, or loads it without harm', () => {
    const wasm = addon.parseText(workText(10));
    for (let length = 0; length < wasm.length; length++) {
      expect([null, 'WM_ENGINE_INVALID']).toContain(codeOf(() => engine.compile(wasm.subarray(0, length))));
    }
    for (let at = 0; at < wasm.length; at++) {
      const changed = Uint8Array.from(wasm);
      changed[at] = changed[at]! ^ 0x41;
      expect([null, 'WM_ENGINE_INVALID']).toContain(codeOf(() => engine.describe(changed)));
    }
  });

  it('refuses proposals whose results could differ between machines', () => {
    const relaxed = addon.parseText(`(module (func (export "_start")
      (drop (f32x4.relaxed_min (v128.const i64x2 0 0) (v128.const i64x2 0 0)))))`);
    const threads = addon.parseText('(module (memory 1 1 shared))');
    expect(codeOf(() => engine.compile(relaxed))).toBe('WM_ENGINE_INVALID');
    expect(codeOf(() => engine.compile(threads))).toBe('WM_ENGINE_INVALID');
    expect(codeOf(() => engine.describe(relaxed))).toBe('WM_ENGINE_INVALID');
  });

  it('refuses vectors for a RISC-V without them, and takes them for one that has them', () => {
    const text =
      '(module (memory 1) (func (export "_start") (v128.store (i32.const 0) (i8x16.add (v128.load (i32.const 0)) (v128.load (i32.const 16))))))';
    const target = 'riscv64gc-unknown-linux-gnu';
    using without = addon.createEngine({ ...PROFILE, target });
    using having = addon.createEngine({ ...PROFILE, target, cpuFeatures: ['has_v'] });
    expect(codeOf(() => without.compile(addon.parseText(text)))).toBe('WM_ENGINE_INVALID');
    expect(having.compile(addon.parseText(text)).length).toBeGreaterThan(0);
    expect(without.profileText).toContain('\nsimd off\n');
    expect(having.profileText).toContain('\nsimd on\n');
  });

  it('refuses in words what the compiler gives up on, here and on a thread, and goes on', async () => {
    // A copy of a size that it knows, for a machine without vectors: Wasmtime 48 panics.
    const wasm = addon.parseText('(module (memory 1) (func (export "_start") (memory.copy (i32.const 0) (i32.const 64) (i32.const 32))))');
    using away = addon.createEngine({ ...PROFILE, target: 'riscv64gc-unknown-linux-gnu' });
    expect(codeOf(() => away.compile(wasm))).toBe('WM_ENGINE_UNSUPPORTED');
    expect(await codeOfAsync(() => away.compileAsync(wasm))).toBe('WM_ENGINE_UNSUPPORTED');
    expect(away.compile(addon.parseText(workText(10))).length).toBeGreaterThan(0);
  });

  it('leaves NaNs as they are computed only when it is told to, under another profile', () => {
    using computed = addon.createEngine({ ...PROFILE, canonicalNans: false });
    expect(computed.profileId).not.toBe(engine.profileId);
    expect([computed.profileText, engine.profileText].map((text) => /^nan .*$/m.exec(text)?.[0])).toEqual([
      'nan as computed',
      'nan canonical',
    ]);
    expect(codeOf(() => engine.load(computed.compile(addon.parseText(workText(10)))))).toBe('WM_ENGINE_PROFILE_MISMATCH');
  });

  it('gives the same bytes every time, also on a thread', async () => {
    const wasm = addon.parseText(workText(10));
    const first = engine.compile(wasm);
    expect(Buffer.compare(first, engine.compile(wasm))).toBe(0);
    expect(Buffer.compare(first, await engine.compileAsync(wasm))).toBe(0);
  });

  it('describes imports and exports without compiling', () => {
    const wasm = addon.parseText(`(module
      (import "wasi_snapshot_preview1" "sock_send" (func (param i32 i32 i32 i32 i32) (result i32)))
      (import "env" "memory" (memory 1))
      (func (export "_start")) (global (export "g") i32 (i32.const 1)))`);
    expect(engine.describe(wasm)).toEqual({
      component: false,
      imports: [
        { module: 'wasi_snapshot_preview1', name: 'sock_send', kind: 'function', offered: true },
        { module: 'env', name: 'memory', kind: 'memory', offered: false },
      ],
      exports: [
        { name: '_start', kind: 'function' },
        { name: 'g', kind: 'global' },
      ],
    });
  });

  it('compiles for the three targets, and this machine loads only its own', () => {
    const wasm = addon.parseText(workText(10));
    for (const target of TARGETS) {
      const other = addon.createEngine({ ...PROFILE, target });
      expect(other.target).toBe(target);
      const artefact = other.compile(wasm);
      expect(artefact.length).toBeGreaterThan(1_000);
      const own = target === addon.build.host;
      expect(codeOf(() => other.load(artefact))).toBe(own ? null : 'WM_ENGINE_PROFILE_MISMATCH');
      expect(codeOf(() => engine.load(artefact))).toBe(own ? null : 'WM_ENGINE_PROFILE_MISMATCH');
      other.close();
    }
  });
});

describe('profile', () => {
  it('names the version of Wasmtime that is locked', () => {
    const lock = readFileSync(new URL('../../../hardware/wasm/native/Cargo.lock', import.meta.url), 'utf8');
    expect(/name = "wasmtime"\nversion = "([^"]+)"/.exec(lock)?.[1]).toBe(addon.build.wasmtime);
    expect(engine.profileText).toContain(`wasmtime ${addon.build.wasmtime}\n`);
  });

  it('has an id that follows every setting', () => {
    const changes = [
      {},
      { memoryReservationBytes: 32 << 20 },
      { memoryGuardBytes: 128 << 10 },
      { memoryBytesMax: 8 << 20 },
      { tableElementsMax: 999 },
      { poolSlots: 21 },
      { target: 'aarch64-unknown-linux-gnu' },
      { cpuFeatures: ['has_sse3'] },
      { optimise: 'none' as const },
    ];
    const ids = changes.map((change) => {
      const one = addon.createEngine({ ...PROFILE, ...change });
      one.close();
      return one.profileId;
    });
    expect(new Set(ids).size).toBe(changes.length);
    expect(ids[0]).toMatch(/^[0-9a-f]{64}$/);
    expect(ids[0]).toBe(engine.profileId);
  });

  it('names the triple of the machine when no target is given', () => {
    const named = addon.createEngine({ ...PROFILE, target: addon.build.host });
    expect(named.profileId).toBe(engine.profileId);
    named.close();
  });

  it('refuses settings out of range, unknown features and unknown targets', () => {
    const bad = [
      { poolSlots: 0 },
      { poolSlots: 1.5 },
      { poolSlots: Number.NaN },
      { memoryBytesMax: 1 },
      { memoryBytesMax: 32 << 20 },
      { memoryGuardBytes: -1 },
      { tableElementsMax: 0 },
      { optimise: 'size' as 'speed' },
      { cpuFeatures: ['has_tricks'] },
      { cpuFeatures: ['has sse3'] },
      { target: 'pdp11-unknown-linux-gnu' },
      { target: 'nonsense' },
    ];
    for (const change of bad) {
      expect([JSON.stringify(change), codeOf(() => addon.createEngine({ ...PROFILE, ...change }))]).toEqual([
        JSON.stringify(change),
        'WM_ENGINE_PROFILE',
      ]);
    }
  });
});

describe('load', () => {
  it('refuses an artefact of another profile', () => {
    const wasm = addon.parseText(workText(10));
    for (const change of [{ memoryGuardBytes: 128 << 10 }, { optimise: 'none' as const }, { poolSlots: 21 }]) {
      const other = addon.createEngine({ ...PROFILE, ...change });
      const artefact = other.compile(wasm);
      expect(codeOf(() => other.load(artefact))).toBe(null);
      expect(codeOf(() => engine.load(artefact))).toBe('WM_ENGINE_PROFILE_MISMATCH');
      other.close();
    }
  });

  it('refuses what is not an artefact', () => {
    const artefact = engine.compile(addon.parseText(workText(10)));
    expect(codeOf(() => engine.load(new Uint8Array(0)))).toBe('WM_ENGINE_ARTEFACT');
    expect(codeOf(() => engine.load(addon.parseText(workText(10))))).toBe('WM_ENGINE_ARTEFACT');
    expect(codeOf(() => engine.load(artefact.subarray(0, 40)))).toBe('WM_ENGINE_ARTEFACT');
    expect(codeOf(() => engine.load(artefact.subarray(0, artefact.length >> 1)))).toBe('WM_ENGINE_ARTEFACT');
    expect(codeOf(() => engine.loadFile('/no/such/file'))).toBe('WM_ENGINE_ARTEFACT');
  });

  it('refuses a forbidden import by its name', () => {
    const texts: readonly (readonly [string, string])[] = [
      ['(import "env" "abort" (func))', "'env' 'abort'"],
      ['(import "env" "memory" (memory 1))', "'env' 'memory'"],
      ['(import "wasmmatrix" "state" (global i32))', "'wasmmatrix' 'state'"],
      ['(import "wasi_snapshot_preview1" "no_such_function" (func))', 'no_such_function'],
      ['(import "wasi_snapshot_preview1" "fd_write" (func))', 'fd_write'],
      ['(import "wasmmatrix" "publish" (func (param i64) (result i32)))', 'publish'],
      ['(import "wasi_unstable" "fd_write" (func (param i32 i32 i32 i32) (result i32)))', 'wasi_unstable'],
    ];
    for (const [text, named] of texts) {
      const artefact = engine.compile(addon.parseText(`(module ${text} (func (export "_start")))`));
      const load = (): unknown => engine.load(artefact);
      expect(codeOf(load)).toBe('WM_ENGINE_IMPORT');
      expect(load).toThrow(named);
    }
  });

  it('refuses more requests of different names than a host looks through', () => {
    const asks = (count: number): Uint8Array => {
      const names = Array.from({ length: count }, (_, i) => `(import "wasmmatrix" "ask${i}" (func (param i32 i32) (result i32)))`);
      return engine.compile(addon.parseText(`(module ${names.join('')} ${names.join('')} (func (export "_start")))`));
    };
    using most = engine.load(asks(256));
    expect(most.imports).toHaveLength(512);
    expect(codeOf(() => engine.load(asks(257)))).toBe('WM_ENGINE_IMPORT');
  });

  it('maps a file', () => {
    const folder = mkdtempSync(join(tmpdir(), 'wasmmatrix-engine-'));
    try {
      const path = join(folder, 'work.cwasm');
      writeFileSync(path, engine.compile(addon.parseText(workText(10))));
      const mapped = engine.loadFile(path);
      const read = loadText(addon, engine, workText(10));
      const outputs = [mapped, read].map((module) => {
        using guest = module.start(OPTIONS);
        expect(finish(guest).kind).toBe('returned');
        return Buffer.from(guest.stdout()).toString('hex');
      });
      expect(outputs[0]).toBe(outputs[1]);
      expect(mapped.exports).toEqual(read.exports);
      mapped.close();
      read.close();
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
