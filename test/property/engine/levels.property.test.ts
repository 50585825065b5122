// P14: a build for a higher ISA feature level gives the same bytes, uses the same fuel and ends the same way as the baseline's. Any
// program over numbers and vectors, compiled for every level that this machine can run; multiplications that are added to are
// among them, which a compiler for a machine with FMA could have contracted, and numbers that are none, whose payloads differ.
import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { chooseLevel, readCpuFeatures } from '../../../hardware/wasm/cpu-features.ts';
import type { Engine, EngineAddon } from '../../../hardware/wasm/native/native.ts';
import { architectureOf, levelProfile } from '../../../hardware/wasm/node-engine.ts';
import { ISA_LEVELS, type IsaLevel } from '../../../system/domain/isa.ts';
import { BUILD_TIMEOUT_MS, codeOf, engineAddon, finish, OPTIONS } from '../../integration/engine/fixture.ts';

type Type = 'i32' | 'i64' | 'f32' | 'f64' | 'v128';
const TYPES: readonly Type[] = ['i32', 'i64', 'f32', 'f64', 'v128'];
const BYTES: Readonly<Record<Type, number>> = { i32: 4, i64: 8, f32: 4, f64: 8, v128: 16 };
const STEPS_MAX = 40;
/** Values of each type that are there at the beginning. */
const CONSTANTS = 3;

/** Instructions by what they make, with what they take. */
const INSTRUCTIONS: Readonly<Record<Type, readonly (readonly [string, readonly Type[]])[]>> = {
  i32: [
    ...['add', 'sub', 'mul', 'and', 'or', 'xor', 'shl', 'shr_s', 'shr_u', 'rotl', 'rotr', 'div_s', 'rem_u'].map(
      (name) => [`i32.${name}`, ['i32', 'i32']] as const,
    ),
    ...['clz', 'ctz', 'popcnt', 'extend8_s', 'eqz'].map((name) => [`i32.${name}`, ['i32']] as const),
    ['i32.wrap_i64', ['i64']],
    ['i32.trunc_sat_f64_s', ['f64']],
    ['i32.trunc_sat_f32_u', ['f32']],
    ['i32.reinterpret_f32', ['f32']],
    ['f64.lt', ['f64', 'f64']],
    ['i8x16.bitmask', ['v128']],
    ['v128.any_true', ['v128']],
    ['i32x4.extract_lane 2', ['v128']],
  ],
  i64: [
    ...['add', 'sub', 'mul', 'and', 'or', 'xor', 'shl', 'shr_s', 'rotl', 'div_u', 'rem_s'].map(
      (name) => [`i64.${name}`, ['i64', 'i64']] as const,
    ),
    ...['clz', 'ctz', 'popcnt', 'extend32_s'].map((name) => [`i64.${name}`, ['i64']] as const),
    ['i64.extend_i32_u', ['i32']],
    ['i64.trunc_sat_f64_u', ['f64']],
    ['i64.reinterpret_f64', ['f64']],
    ['i64x2.extract_lane 1', ['v128']],
  ],
  f32: [
    ...['add', 'sub', 'mul', 'div', 'min', 'max', 'copysign'].map((name) => [`f32.${name}`, ['f32', 'f32']] as const),
    ...['sqrt', 'nearest', 'floor', 'ceil', 'trunc', 'abs', 'neg'].map((name) => [`f32.${name}`, ['f32']] as const),
    ['f32.demote_f64', ['f64']],
    ['f32.convert_i64_u', ['i64']],
    ['f32.reinterpret_i32', ['i32']],
    ['f32x4.extract_lane 3', ['v128']],
  ],
  f64: [
    ...['add', 'sub', 'mul', 'div', 'min', 'max', 'copysign'].map((name) => [`f64.${name}`, ['f64', 'f64']] as const),
    ...['sqrt', 'nearest', 'floor', 'ceil', 'trunc', 'abs', 'neg'].map((name) => [`f64.${name}`, ['f64']] as const),
    ['f64.promote_f32', ['f32']],
    ['f64.convert_i64_u', ['i64']],
    ['f64.convert_i32_s', ['i32']],
    ['f64.reinterpret_i64', ['i64']],
  ],
  v128: [
    ...['f32x4', 'f64x2'].flatMap((shape) =>
      ['add', 'sub', 'mul', 'div', 'min', 'max', 'pmin', 'pmax', 'lt', 'eq'].map((name) => [`${shape}.${name}`, ['v128', 'v128']] as const),
    ),
    ...['f32x4', 'f64x2'].flatMap((shape) =>
      ['sqrt', 'nearest', 'floor', 'abs', 'neg'].map((name) => [`${shape}.${name}`, ['v128']] as const),
    ),
    ...['i8x16', 'i16x8', 'i32x4', 'i64x2'].flatMap((shape) =>
      ['add', 'sub', 'eq', 'gt_s'].map((name) => [`${shape}.${name}`, ['v128', 'v128']] as const),
    ),
    ...['i16x8', 'i32x4', 'i64x2'].map((shape) => [`${shape}.mul`, ['v128', 'v128']] as const),
    ...['i8x16', 'i16x8', 'i32x4', 'i64x2'].flatMap((shape) =>
      ['shl', 'shr_s', 'shr_u'].map((name) => [`${shape}.${name}`, ['v128', 'i32']] as const),
    ),
    ...['i8x16', 'i16x8'].flatMap((shape) =>
      ['add_sat_s', 'sub_sat_u', 'min_u', 'max_s', 'avgr_u'].map((name) => [`${shape}.${name}`, ['v128', 'v128']] as const),
    ),
    ['i8x16.popcnt', ['v128']],
    ['i8x16.swizzle', ['v128', 'v128']],
    ['i8x16.narrow_i16x8_u', ['v128', 'v128']],
    ['i16x8.q15mulr_sat_s', ['v128', 'v128']],
    ['i32x4.dot_i16x8_s', ['v128', 'v128']],
    ['i64x2.extmul_high_i32x4_u', ['v128', 'v128']],
    ['i32x4.trunc_sat_f32x4_u', ['v128']],
    ['i32x4.trunc_sat_f64x2_s_zero', ['v128']],
    ['f32x4.convert_i32x4_u', ['v128']],
    ['f64x2.promote_low_f32x4', ['v128']],
    ['v128.bitselect', ['v128', 'v128', 'v128']],
    ['f64x2.splat', ['f64']],
    ['f32x4.splat', ['f32']],
    ['i64x2.splat', ['i64']],
    ['i8x16.splat', ['i32']],
  ],
};

/** As the programs write numbers: whole ones, whose bits are reinterpreted where a fraction is wanted. */
const bits64 = fc.oneof(
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  fc.constantFrom(0n, 1n, -1n, 2n ** 63n - 1n, -(2n ** 63n)),
  // Infinities, numbers that are none of both kinds and signs, the smallest numbers; as f64 and, doubled, as f32.
  fc.constantFrom(0x7ff0000000000000n, 0x7ff4000000000001n, -0x7ffffffffff1234n, 1n, 0x3ff0000000000001n, 0x7f8000017fc00001n),
  fc.double({ noNaN: true }).map((value) => new BigInt64Array(new Float64Array([value]).buffer)[0]!),
);

type Program = {
  readonly constants: readonly (readonly bigint[])[];
  readonly steps: readonly { readonly type: Type; readonly which: number; readonly from: readonly number[] }[];
};

const anyProgram: fc.Arbitrary<Program> = fc.record({
  constants: fc.array(fc.array(bits64, { minLength: 2, maxLength: 2 }), {
    minLength: CONSTANTS * TYPES.length,
    maxLength: CONSTANTS * TYPES.length,
  }),
  steps: fc.array(
    fc.record({ type: fc.constantFrom(...TYPES), which: fc.nat(999), from: fc.array(fc.nat(999), { minLength: 3, maxLength: 3 }) }),
    { minLength: 1, maxLength: STEPS_MAX },
  ),
});

function constantOf(type: Type, [low = 0n, high = 0n]: readonly bigint[]): string {
  const i32 = `(i32.const ${BigInt.asIntN(32, low)})`;
  const i64 = `(i64.const ${low})`;
  if (type === 'i32') return i32;
  if (type === 'i64') return i64;
  if (type === 'f32') return `(f32.reinterpret_i32 ${i32})`;
  if (type === 'f64') return `(f64.reinterpret_i64 ${i64})`;
  return `(v128.const i64x2 ${low} ${high})`;
}

/** Every value that was made is written out, in order. */
function textOf({ constants, steps }: Program): string {
  const made: Record<Type, string[]> = { i32: [], i64: [], f32: [], f64: [], v128: [] };
  const locals: string[] = [];
  const lines: string[] = [];
  let bytes = 0;
  const make = (type: Type, expression: string): void => {
    const local = `$${type}_${made[type].length}`;
    made[type].push(local);
    locals.push(`(local ${local} ${type})`);
    lines.push(`(local.set ${local} ${expression})`, `(${type}.store (i32.const ${64 + bytes}) (local.get ${local}))`);
    bytes += BYTES[type];
  };
  constants.forEach((bits, i) => make(TYPES[i % TYPES.length]!, constantOf(TYPES[i % TYPES.length]!, bits)));
  for (const { type, which, from } of steps) {
    const [name, takes] = INSTRUCTIONS[type][which % INSTRUCTIONS[type].length]!;
    // Mostly what was made last, so that products are added to.
    const operands = takes.map((taken, i) => `(local.get ${made[taken].at(-1 - ((from[i] ?? 0) % Math.min(4, made[taken].length)))})`);
    make(type, `(${name} ${operands.join(' ')})`);
  }
  return `(module
    (func $write (import "wasi_snapshot_preview1" "fd_write") (param i32 i32 i32 i32) (result i32))
    (memory (export "memory") 1)
    (func (export "_start") ${locals.join(' ')}
      ${lines.join('\n      ')}
      (i32.store (i32.const 0) (i32.const 64))
      (i32.store (i32.const 4) (i32.const ${bytes}))
      (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 16)))))`;
}

let addon: EngineAddon;
const engines: { readonly level: IsaLevel; readonly engine: Engine }[] = [];

beforeAll(async () => {
  addon = await engineAddon();
  const architecture = architectureOf(addon.build.host);
  if (architecture === null) return;
  const features = readCpuFeatures(architecture);
  for (const level of ISA_LEVELS[architecture]) {
    if (!chooseLevel(architecture, features, level.name).ok) continue;
    engines.push({ level, engine: addon.createEngine({ ...levelProfile(null, level), poolSlots: 4 }, { threads: 1 }) });
  }
}, BUILD_TIMEOUT_MS);

afterAll(() => {
  for (const { engine } of engines) engine.close();
});

function run(engine: Engine, wasm: Uint8Array): object {
  const module = engine.load(engine.compile(wasm));
  const guest = module.start({ ...OPTIONS, memoryBytesMax: 65_536 });
  const step = finish(guest);
  const ended = { step, stdout: Buffer.from(guest.stdout()).toString('hex'), fuel: guest.fuelUsed };
  guest.close();
  module.close();
  return ended;
}

it('gives the same bytes, fuel and end at every level of this machine', ({ skip }) => {
  skip(engines.length < 2, 'left out: this machine has the baseline only, and nothing to compare it with');
  let written = 0;
  fc.assert(
    fc.property(anyProgram, (program) => {
      const wasm = addon.parseText(textOf(program));
      const [baseline, ...higher] = engines.map(({ engine }) => run(engine, wasm));
      for (const result of higher) expect(result).toEqual(baseline);
      if ((baseline as { readonly stdout: string }).stdout !== '') written += 1;
    }),
    { numRuns: 300 },
  );
  // Programs that trap are compared too, and are not most of them.
  expect(written).toBeGreaterThan(50);
});

it('has different code for each level, so that there is something to compare', ({ skip }) => {
  skip(engines.length < 2, 'left out: this machine has the baseline only, and nothing to compare it with');
  // Rounding and counting bits: what the higher levels have instructions for.
  const wasm = addon.parseText(`(module (memory 1) (func (export "_start")
    (f64.store (i32.const 0) (f64.nearest (f64.load (i32.const 8))))
    (f64.store (i32.const 16) (f64.add (f64.mul (f64.load (i32.const 8)) (f64.load (i32.const 24))) (f64.load (i32.const 32))))
    (i64.store (i32.const 40) (i64.clz (i64.popcnt (i64.load (i32.const 48)))))))`);
  const artefacts = engines.map(({ engine }) => Buffer.from(engine.compile(wasm)).toString('hex'));
  expect(new Set(artefacts).size).toBe(engines.length);
  const loadCodes = engines.map(({ engine }) =>
    artefacts.map((artefact) => codeOf(() => engine.load(Buffer.from(artefact, 'hex')).close())),
  );
  expect(loadCodes).toEqual(engines.map((_, i) => artefacts.map((_code, j) => (i === j ? null : 'WM_ENGINE_PROFILE_MISMATCH'))));
});
