// Vectors of 128 bits on every architecture: the operations of WebAssembly's SIMD over lanes at the edges, with NaNs in lanes of floats.
// Relaxed operations are not among them: the platform refuses them, because their results differ by design.
import { plain } from './case.ts';
import type { TextModule } from './numbers.ts';
import { bytesOf, moduleText, operand, operandText, writer, type ValueType } from './text.ts';

/** Two 64-bit halves each. */
const OPERANDS: readonly (readonly [low: bigint, high: bigint])[] = [
  [0x8000_7fff_0001_ffffn, 0x00ff_ff00_1234_8765n],
  [0x0f0e_0d0c_8b8a_0908n, 0x0706_8504_0302_01ffn],
  // f32: NaN with payload, -NaN signalling, infinity, -0
  [0xff81_2345_7fc0_0001n, 0x8000_0000_7f80_0000n],
  // f32: 1, -1.5, smallest, largest
  [0xbfc0_0000_3f80_0000n, 0x7f7f_ffff_0000_0001n],
  // f64: signalling NaN, largest
  [0x7ff4_0000_0000_0001n, 0x7fef_ffff_ffff_ffffn],
  // f64: -NaN with payload, -2.5
  [0xfff8_0000_1234_5678n, 0xc004_0000_0000_0000n],
];

const SHAPES = ['i8x16', 'i16x8', 'i32x4', 'i64x2'] as const;

function integerBinary(shape: (typeof SHAPES)[number]): readonly string[] {
  const common = ['add', 'sub', 'eq', 'ne', 'lt_s', 'gt_s', 'le_s', 'ge_s'];
  const unsigned = shape === 'i64x2' ? [] : ['lt_u', 'gt_u', 'le_u', 'ge_u', 'min_s', 'min_u', 'max_s', 'max_u'];
  const saturating = shape === 'i8x16' || shape === 'i16x8' ? ['add_sat_s', 'add_sat_u', 'sub_sat_s', 'sub_sat_u', 'avgr_u'] : [];
  const products = shape === 'i8x16' ? [] : ['mul'];
  return [...common, ...unsigned, ...saturating, ...products].map((op) => `${shape}.${op}`);
}

const BINARY: readonly string[] = [
  ...SHAPES.flatMap(integerBinary),
  ...'v128.and v128.or v128.xor v128.andnot i8x16.swizzle i16x8.q15mulr_sat_s i32x4.dot_i16x8_s'.split(' '),
  ...'i8x16.narrow_i16x8_s i8x16.narrow_i16x8_u i16x8.narrow_i32x4_s i16x8.narrow_i32x4_u'.split(' '),
  ...(
    [
      ['i16x8', 'i8x16'],
      ['i32x4', 'i16x8'],
      ['i64x2', 'i32x4'],
    ] as const
  ).flatMap(([to, from]) => ['low', 'high'].flatMap((half) => ['s', 'u'].map((sign) => `${to}.extmul_${half}_${from}_${sign}`))),
  ...['f32x4', 'f64x2'].flatMap((shape) => 'add sub mul div min max pmin pmax eq ne lt gt le ge'.split(' ').map((op) => `${shape}.${op}`)),
];

const UNARY: readonly string[] = [
  ...SHAPES.flatMap((shape) => [`${shape}.abs`, `${shape}.neg`]),
  ...'v128.not i8x16.popcnt i16x8.extadd_pairwise_i8x16_s i16x8.extadd_pairwise_i8x16_u i32x4.extadd_pairwise_i16x8_s i32x4.extadd_pairwise_i16x8_u'.split(
    ' ',
  ),
  ...(
    [
      ['i16x8', 'i8x16'],
      ['i32x4', 'i16x8'],
      ['i64x2', 'i32x4'],
    ] as const
  ).flatMap(([to, from]) => ['low', 'high'].flatMap((half) => ['s', 'u'].map((sign) => `${to}.extend_${half}_${from}_${sign}`))),
  ...['f32x4', 'f64x2'].flatMap((shape) => 'abs neg sqrt ceil floor trunc nearest'.split(' ').map((op) => `${shape}.${op}`)),
  ...'f32x4.convert_i32x4_s f32x4.convert_i32x4_u f64x2.convert_low_i32x4_s f64x2.convert_low_i32x4_u'.split(' '),
  ...'i32x4.trunc_sat_f32x4_s i32x4.trunc_sat_f32x4_u i32x4.trunc_sat_f64x2_s_zero i32x4.trunc_sat_f64x2_u_zero'.split(' '),
  ...'f32x4.demote_f64x2_zero f64x2.promote_low_f32x4'.split(' '),
];

/** These give a number. */
const TESTS: readonly string[] = ['v128.any_true', ...SHAPES.flatMap((shape) => [`${shape}.all_true`, `${shape}.bitmask`])];
const SHIFTS: readonly string[] = SHAPES.flatMap((shape) => ['shl', 'shr_s', 'shr_u'].map((op) => `${shape}.${op}`));
const DISTANCES = [0, 1, 7, 15, 33, 63, 64];

const places = OPERANDS.map((_, i) => i);
const vector = (place: number): string => operand('v128', place);

function group(
  name: string,
  ops: readonly string[],
  values: (op: string) => readonly { readonly type: ValueType; readonly text: string }[],
): TextModule {
  return {
    name,
    group: 'vectors',
    text: moduleText(ops.map((op) => writer(op, values(op))).join('\n'), {
      operands: operandText(OPERANDS.map(([low, high]) => [...bytesOf(low, 8), ...bytesOf(high, 8)])),
    }),
    cases: ops.map((op) => plain(op, op)),
  };
}

export const VECTOR_MODULES: readonly TextModule[] = [
  group('vector pairs', BINARY, (op) =>
    places.flatMap((a) => places.map((b) => ({ type: 'v128', text: `(${op} ${vector(a)} ${vector(b)})` }) as const)),
  ),
  group('vectors alone', UNARY, (op) => places.map((a) => ({ type: 'v128', text: `(${op} ${vector(a)})` }) as const)),
  group('vector tests', TESTS, (op) => places.map((a) => ({ type: 'i32', text: `(${op} ${vector(a)})` }) as const)),
  group('vector shifts', SHIFTS, (op) =>
    places.flatMap((a) => DISTANCES.map((by) => ({ type: 'v128', text: `(${op} ${vector(a)} (i32.const ${by}))` }) as const)),
  ),
  group('vector lanes', ['shuffle', 'replace', 'extract', 'splat', 'bitselect'], (op) => {
    const [a, b] = [vector(0), vector(1)];
    switch (op) {
      case 'shuffle':
        return [{ type: 'v128', text: `(i8x16.shuffle 0 17 2 19 31 30 29 28 4 5 6 7 16 16 15 15 ${a} ${b})` }];
      case 'replace':
        return [
          { type: 'v128', text: `(i16x8.replace_lane 5 ${a} (i32.const 0x12345))` },
          { type: 'v128', text: `(f32x4.replace_lane 2 ${a} (f32.reinterpret_i32 (i32.const 0x7fa00001)))` },
        ];
      case 'extract':
        return [
          { type: 'i32', text: `(i8x16.extract_lane_s 0 ${a})` },
          { type: 'i32', text: `(i8x16.extract_lane_u 0 ${a})` },
          { type: 'i64', text: `(i64x2.extract_lane 1 ${a})` },
          { type: 'f32', text: `(f32x4.extract_lane 1 ${vector(2)})` },
          { type: 'f64', text: `(f64x2.extract_lane 0 ${vector(4)})` },
        ];
      case 'splat':
        return [
          { type: 'v128', text: `(i8x16.splat (i32.load8_u offset=32768 (i32.const 0)))` },
          { type: 'v128', text: `(f64x2.splat (f64.load offset=32832 (i32.const 0)))` },
        ];
      default:
        return [{ type: 'v128', text: `(v128.bitselect ${a} ${b} ${vector(3)})` }];
    }
  }),
];
