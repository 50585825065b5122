// Whether a module uses vectors, told from its bytes: so that a riscv64 machine without them gets a reason, and the compiler, which
// would give up on them, is not asked.
import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, test } from 'vitest';
import { architectureOf, levelProfile } from '../../../hardware/wasm/node-engine.ts';
import { vectorUse } from '../../../hardware/wasm/vectors.ts';
import type { EngineAddon } from '../../../hardware/wasm/native/native.ts';
import { buildExamples } from '../../../scenarios/examples/build.ts';
import { ISA_LEVEL_NAMES, ISA_LEVELS } from '../../../system/domain/isa.ts';
import { BUILD_TIMEOUT_MS, engineAddon, workText } from './fixture.ts';

let addon: EngineAddon;

beforeAll(async () => {
  addon = await engineAddon();
}, BUILD_TIMEOUT_MS);

const useOf = (text: string): string => vectorUse(addon.parseText(text));

/** Every form of immediate, with bytes in constants that would be vectors if they were instructions. */
const EVERYTHING = `(module
  (type $binary (func (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (table 4 funcref)
  (global $counter (mut i64) (i64.const -3))
  (global $none funcref (ref.null func))
  (elem (i32.const 0) $add $add)
  (elem $kept func $add)
  (data $kept "\\fd\\fd")
  (data (i32.const 8) "\\fd\\0c")
  (func $add (type $binary) (i32.add (local.get 0) (local.get 1)))
  (func $pair (param i32) (result i32 i64) (local.get 0) (i64.const 0xfdfdfdfd))
  (func (export "_start") (local $i i32) (local i64 i64 f32 f64 funcref)
    (block $out (result i32)
      (loop $again (br_if $again (i32.eqz (local.tee $i (i32.sub (local.get $i) (i32.const 253))))))
      (if (result i32) (local.get $i) (then (i32.const 16381)) (else (br $out (i32.const -3))))
      (br_table $out $out $out (i32.const 1) (i32.const 2)))
    drop
    (block (param i32) (result i32 i64) (call $pair) (br 0)) drop drop
    unreachable)
  (func (param i32) (result f64)
    (drop (call_indirect (type $binary) (i32.const 1) (i32.const 2) (i32.const 0)))
    (drop (select (result i64) (i64.const 253) (i64.const -253) (local.get 0)))
    (drop (select (f32.const nan:0x3dfdfd) (f32.const 1) (local.get 0)))
    (f64.store offset=253 align=1 (i32.const 0) (f64.const nan:0xdfdfdfdfdfdfd))
    (drop (i64.load32_s offset=0xfdfd (i32.const 4)))
    (drop (i32.trunc_sat_f64_u (f64.const 253)))
    (memory.init $kept (i32.const 0) (i32.const 0) (i32.const 1)) (data.drop $kept)
    (memory.copy (i32.const 0) (i32.const 1) (i32.const 2)) (memory.fill (i32.const 0) (i32.const 253) (i32.const 2))
    (table.init $kept (i32.const 0) (i32.const 0) (i32.const 1)) (elem.drop $kept)
    (table.copy (i32.const 0) (i32.const 1) (i32.const 1))
    (drop (table.grow (ref.func $add) (i32.const 1))) (drop (table.size)) (table.fill (i32.const 0) (ref.null func) (i32.const 1))
    (table.set (i32.const 0) (table.get (i32.const 1)))
    (drop (ref.is_null (global.get $none)))
    (drop (memory.grow (memory.size)))
    (global.set $counter (i64.extend8_s (global.get $counter)))
    (return (f64.const 1))))`;

describe('the use of vectors', () => {
  test('is none in modules without them, whatever else they have', async () => {
    expect(useOf('(module)')).toBe('none');
    expect(useOf(workText(10))).toBe('none');
    expect(useOf(EVERYTHING)).toBe('none');
    for (const { wasmPath } of (await buildExamples()).values()) expect(vectorUse(readFileSync(wasmPath))).toBe('none');
  });

  test('is found wherever it may be', () => {
    const load = '(v128.load (i32.const 0))';
    for (const text of [
      `(module (memory 1) (func (drop ${load})))`,
      `(module (memory 1) (func (if (i32.const 1) (then (loop (drop ${load}))))))`,
      '(module (func (local v128)))',
      '(module (func (param v128)))',
      '(module (func (result v128) unreachable))',
      '(module (func (drop (block (result v128) unreachable))))',
      '(module (func (drop (select (result v128) unreachable))))',
      '(module (global v128 (v128.const i64x2 0 0)))',
      EVERYTHING.replace('(return (f64.const 1))', `(drop (i32x4.extract_lane 0 ${load})) (return (f64.const 1))`),
    ])
      expect(useOf(text), text).toBe('some');
  });

  test('is not claimed to be known where it is not', () => {
    for (const text of [
      '(module (import "a" "b" (memory 1)))',
      '(module (type (struct (field i32))))',
      '(module (tag) (func (throw 0)))',
      '(module (func (param externref) (drop (ref.as_non_null (local.get 0)))))',
    ])
      expect(useOf(text), text).toBe('unknown');
    const whole = addon.parseText(EVERYTHING);
    for (let length = 8; length < whole.length; length++) expect(['none', 'unknown']).toContain(vectorUse(whole.subarray(0, length)));
  });
});

test('P14: every level of every architecture has code for modules without vectors, and those with vectors for them too', () => {
  const plain = addon.parseText(workText(10));
  const vectors = addon.parseText(
    '(module (memory 1) (func (export "_start") (v128.store (i32.const 0) (i8x16.popcnt (v128.load (i32.const 16))))))',
  );
  const targets = ['x86_64-unknown-linux-gnu', 'aarch64-unknown-linux-gnu', 'riscv64gc-unknown-linux-gnu'];
  const levels = targets.flatMap((target) => ISA_LEVELS[architectureOf(target) ?? 'x86_64'].map((level) => ({ target, level })));
  expect(levels.length).toBe(ISA_LEVEL_NAMES.length);
  for (const { target, level } of levels) {
    using engine = addon.createEngine({ ...levelProfile(target, level), poolSlots: 1 }, { threads: 1 });
    const takesVectors = !target.startsWith('riscv64') || level.features.includes('v');
    for (const wasm of takesVectors ? [plain, vectors] : [plain]) expect(engine.compile(wasm).length).toBeGreaterThan(0);
  }
});
