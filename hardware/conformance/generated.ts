// Expressions that nobody thought of, the same ones every time: trees of operations over random operands, made from a fixed seed. Where
// architectures disagree, the reason is rarely a single operation with a famous operand.
import { plain } from './case.ts';
import type { TextModule } from './numbers.ts';
import { bytesOf, moduleText, operand, operandText, writer, type ValueType } from './text.ts';

/** With vectors, which not every machine has, and without. */
const TYPES = { vectors: ['i32', 'i64', 'f32', 'f64', 'v128'], numbers: ['i32', 'i64', 'f32', 'f64'] } as const;
export type Generated = keyof typeof TYPES;
/** Bound: depth of an expression. */
const DEPTH_MAX = 6;
const OPERANDS = 64;

type Op = { readonly op: string; readonly from: readonly ValueType[] };

const both = (type: ValueType, ops: string): readonly Op[] => ops.split(' ').map((op) => ({ op: `${type}.${op}`, from: [type, type] }));
const one = (type: ValueType, ops: string): readonly Op[] => ops.split(' ').map((op) => ({ op: `${type}.${op}`, from: [type] }));

const PRODUCING: Readonly<Record<ValueType, readonly Op[]>> = {
  i32: [
    ...both('i32', 'add sub mul and or xor shl shr_s shr_u rotl rotr lt_s lt_u eq'),
    ...one('i32', 'clz ctz popcnt eqz extend8_s extend16_s'),
    { op: 'i32.wrap_i64', from: ['i64'] },
    { op: 'i32.reinterpret_f32', from: ['f32'] },
    { op: 'i32.trunc_sat_f64_s', from: ['f64'] },
    { op: 'i32.trunc_sat_f32_u', from: ['f32'] },
    { op: 'i64.lt_s', from: ['i64', 'i64'] },
    { op: 'f64.lt', from: ['f64', 'f64'] },
    { op: 'i8x16.bitmask', from: ['v128'] },
    { op: 'i32x4.extract_lane 2', from: ['v128'] },
  ],
  i64: [
    ...both('i64', 'add sub mul and or xor shl shr_s shr_u rotl rotr'),
    ...one('i64', 'clz ctz popcnt extend8_s extend32_s'),
    { op: 'i64.extend_i32_s', from: ['i32'] },
    { op: 'i64.extend_i32_u', from: ['i32'] },
    { op: 'i64.reinterpret_f64', from: ['f64'] },
    { op: 'i64.trunc_sat_f64_u', from: ['f64'] },
    { op: 'i64x2.extract_lane 1', from: ['v128'] },
  ],
  f32: [
    ...both('f32', 'add sub mul div min max copysign'),
    ...one('f32', 'abs neg sqrt ceil floor trunc nearest'),
    { op: 'f32.convert_i64_u', from: ['i64'] },
    { op: 'f32.convert_i32_s', from: ['i32'] },
    { op: 'f32.demote_f64', from: ['f64'] },
    { op: 'f32.reinterpret_i32', from: ['i32'] },
    { op: 'f32x4.extract_lane 3', from: ['v128'] },
  ],
  f64: [
    ...both('f64', 'add sub mul div min max copysign'),
    ...one('f64', 'abs neg sqrt ceil floor trunc nearest'),
    { op: 'f64.convert_i64_s', from: ['i64'] },
    { op: 'f64.convert_i32_u', from: ['i32'] },
    { op: 'f64.promote_f32', from: ['f32'] },
    { op: 'f64.reinterpret_i64', from: ['i64'] },
    { op: 'f64x2.extract_lane 0', from: ['v128'] },
  ],
  v128: [
    ...both('v128', 'and or xor andnot'),
    ...'i8x16.add i16x8.mul i32x4.sub i64x2.mul i8x16.swizzle i16x8.q15mulr_sat_s i32x4.dot_i16x8_s f32x4.add f32x4.mul f32x4.div f32x4.min f32x4.pmax f64x2.add f64x2.mul f64x2.div f64x2.max f64x2.pmin i8x16.narrow_i16x8_u f32x4.lt'
      .split(' ')
      .map((op): Op => ({ op, from: ['v128', 'v128'] })),
    ...'f32x4.sqrt f64x2.nearest f32x4.convert_i32x4_u f64x2.promote_low_f32x4 f32x4.demote_f64x2_zero i32x4.trunc_sat_f64x2_s_zero i32x4.trunc_sat_f32x4_u i64x2.extend_high_i32x4_s'
      .split(' ')
      .map((op): Op => ({ op, from: ['v128'] })),
    { op: 'i32x4.splat', from: ['i32'] },
    { op: 'f64x2.splat', from: ['f64'] },
    { op: 'f32x4.replace_lane 1', from: ['v128', 'f32'] },
    { op: 'i16x8.shl', from: ['v128', 'i32'] },
  ],
};

/** xorshift64*: small, exact, and the same everywhere. */
export class Draws {
  #state: bigint;

  constructor(seed: bigint) {
    this.#state = seed | 1n;
  }

  bits(): bigint {
    let x = this.#state;
    x ^= x >> 12n;
    x = BigInt.asUintN(64, x ^ (x << 25n));
    x ^= x >> 27n;
    this.#state = x;
    return BigInt.asUintN(64, x * 0x2545f4914f6cdd1dn);
  }

  below(bound: number): number {
    return Number(this.bits() % BigInt(bound));
  }
}

function expression(draws: Draws, of: Generated, type: ValueType, depth: number): string {
  if (depth === 0 || draws.below(8) === 0) return operand(type, draws.below(OPERANDS));
  const types: readonly ValueType[] = TYPES[of];
  const ops = PRODUCING[type].filter(({ from }) => from.every((one) => types.includes(one)));
  const { op, from } = ops[draws.below(ops.length)]!;
  return `(${op} ${from.map((one) => expression(draws, of, one, depth - 1)).join(' ')})`;
}

/** Small numbers, edges and NaNs are drawn more often than chance would. */
function operandBytes(draws: Draws): readonly number[] {
  const half = (): bigint => {
    const special = [
      0n,
      1n,
      0xffffffffffffffffn,
      0x7ff8000000000001n,
      0xfff4000000000000n,
      0x7fc000017f800000n,
      0x3ff0000000000000n,
      0x8000000080000000n,
    ];
    return draws.below(2) === 0 ? special[draws.below(special.length)]! : draws.bits();
  };
  return [...bytesOf(half(), 8), ...bytesOf(half(), 8)];
}

/** `expressions` of one module from one seed; each is a case. */
export function generate(of: Generated, seed: number, expressions: number): TextModule {
  const draws = new Draws(BigInt(seed) * 0x9e3779b97f4a7c15n);
  const operands = Array.from({ length: OPERANDS }, () => operandBytes(draws));
  const entries = Array.from({ length: expressions }, (_, i) => {
    const type = TYPES[of][draws.below(TYPES[of].length)]!;
    return { entry: `${type} ${i + 1}`, type, text: expression(draws, of, type, 2 + draws.below(DEPTH_MAX - 1)) };
  });
  return {
    name: `generated ${of} ${seed}`,
    group: 'generated',
    text: moduleText(entries.map(({ entry, type, text }) => writer(entry, [{ type, text }])).join('\n'), {
      operands: operandText(operands),
    }),
    cases: entries.map(({ entry }) => plain(entry, entry)),
  };
}
