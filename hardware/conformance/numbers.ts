// Arithmetic on every architecture: each operation of WebAssembly's numbers over operands that lie at the edges, NaNs with payloads
// among them.
import { plain } from './case.ts';
import { bytesOf, moduleText, operand, operandText, writer, type ValueType } from './text.ts';

export type TextModule = {
  readonly name: string;
  readonly group: string;
  readonly text: string;
  readonly cases: readonly ReturnType<typeof plain>[];
};

const I32 = [0n, 1n, 0xffffffffn, 0x80000000n, 0x7fffffffn, 0x12345678n, 31n, 0xff80n];
const I64 = [0n, 1n, 0xffffffffffffffffn, 0x8000000000000000n, 0x7fffffffffffffffn, 0x123456789abcdef0n, 63n, 0xff80ff80n];
/** Zeros, ones, the least and the largest, infinities, quiet and signalling NaNs with payloads of both signs, halves and edges of integers. */
const F32 = [
  0n,
  0x80000000n,
  0x3f800000n,
  0xbf800000n,
  0x00000001n,
  0x807fffffn,
  0x7f7fffffn,
  0x7f800000n,
  0xff800000n,
  0x7fc00000n,
  0xffc12345n,
  0x7fa00001n,
  0xff812345n,
  0x40490fdbn,
  0x3f000000n,
  0x4f000000n,
  0xcf000001n,
  0x5f000000n,
  0x4b800001n,
];
const F64 = [
  0n,
  0x8000000000000000n,
  0x3ff0000000000000n,
  0xbff0000000000000n,
  1n,
  0x800fffffffffffffn,
  0x7fefffffffffffffn,
  0x7ff0000000000000n,
  0xfff0000000000000n,
  0x7ff8000000000000n,
  0xfff8000012345678n,
  0x7ff4000000000001n,
  0xfff0000000012345n,
  0x400921fb54442d18n,
  0x3fe0000000000000n,
  0x41e0000000000000n,
  0xc1e0000000200000n,
  0x43e0000000000000n,
  0x3e10000000000000n,
];

const INTEGER_BINARY = 'add sub mul and or xor shl shr_s shr_u rotl rotr eq ne lt_s lt_u gt_s gt_u le_s le_u ge_s ge_u'.split(' ');
const INTEGER_DIVISIONS = 'div_s div_u rem_s rem_u'.split(' ');
const INTEGER_UNARY = 'clz ctz popcnt eqz extend8_s extend16_s'.split(' ');
const FLOAT_BINARY = 'add sub mul div min max copysign eq ne lt gt le ge'.split(' ');
const FLOAT_UNARY = 'abs neg sqrt ceil floor trunc nearest'.split(' ');
const COMPARISONS = new Set('eq ne lt gt le ge lt_s lt_u gt_s gt_u le_s le_u ge_s ge_u eqz'.split(' '));

type Operands = { readonly type: ValueType; readonly bits: readonly bigint[] };

const OPERANDS: readonly Operands[] = [
  { type: 'i32', bits: I32 },
  { type: 'i64', bits: I64 },
  { type: 'f32', bits: F32 },
  { type: 'f64', bits: F64 },
];

function textOf({ type, bits }: Operands): string {
  const bytes = type === 'i32' || type === 'f32' ? 4 : 8;
  return operandText(bits.map((value) => bytesOf(value, bytes)));
}

function everyPair(op: string, { type, bits }: Operands): string {
  const result: ValueType = COMPARISONS.has(op) ? 'i32' : type;
  const places = bits.map((_, i) => i);
  const values = places.flatMap((a) =>
    places.map((b) => ({ type: result, text: `(${type}.${op} ${operand(type, a)} ${operand(type, b)})` })),
  );
  return writer(`${type}.${op}`, values);
}

function everyOne(op: string, { type, bits }: Operands): string {
  const result: ValueType = COMPARISONS.has(op) ? 'i32' : type;
  return writer(
    `${type}.${op}`,
    bits.map((_, i) => ({ type: result, text: `(${type}.${op} ${operand(type, i)})` })),
  );
}

function numberModule(operands: Operands): TextModule {
  const { type } = operands;
  const isInteger = type === 'i32' || type === 'i64';
  const [binary, unary] = isInteger
    ? [INTEGER_BINARY, [...INTEGER_UNARY, ...(type === 'i64' ? ['extend32_s'] : [])]]
    : [FLOAT_BINARY, FLOAT_UNARY];
  const body = [...binary.map((op) => everyPair(op, operands)), ...unary.map((op) => everyOne(op, operands))];
  return {
    name: type,
    group: isInteger ? 'integers' : 'floats',
    text: moduleText(body.join('\n'), { operands: textOf(operands) }),
    cases: [...binary, ...unary].map((op) => plain(`${type}.${op}`, `${type}.${op}`)),
  };
}

/** Divisions trap, so each pair is a case of its own. */
function divisions(operands: Operands): TextModule {
  const { type, bits } = operands;
  const pairs = bits.flatMap((_, a) => bits.map((__, b) => [a, b] as const));
  const entries = INTEGER_DIVISIONS.flatMap((op) => pairs.map(([a, b]) => ({ entry: `${op} ${a} ${b}`, op, a, b })));
  const body = entries.map(({ entry, op, a, b }) =>
    writer(entry, [{ type, text: `(${type}.${op} ${operand(type, a)} ${operand(type, b)})` }]),
  );
  return {
    name: `${type} divisions`,
    group: 'integers',
    text: moduleText(body.join('\n'), { operands: textOf(operands) }),
    cases: entries.map(({ entry }) => plain(`${type}.${entry}`, entry)),
  };
}

const CONVERSIONS: readonly (readonly [op: string, from: ValueType])[] = [
  ['i32.wrap_i64', 'i64'],
  ['i64.extend_i32_s', 'i32'],
  ['i64.extend_i32_u', 'i32'],
  ['f32.convert_i32_s', 'i32'],
  ['f32.convert_i32_u', 'i32'],
  ['f32.convert_i64_s', 'i64'],
  ['f32.convert_i64_u', 'i64'],
  ['f64.convert_i32_s', 'i32'],
  ['f64.convert_i32_u', 'i32'],
  ['f64.convert_i64_s', 'i64'],
  ['f64.convert_i64_u', 'i64'],
  ['f32.demote_f64', 'f64'],
  ['f64.promote_f32', 'f32'],
  ['i32.reinterpret_f32', 'f32'],
  ['i64.reinterpret_f64', 'f64'],
  ['f32.reinterpret_i32', 'i32'],
  ['f64.reinterpret_i64', 'i64'],
  ...(['f32', 'f64'] as const).flatMap((from) =>
    ['i32', 'i64'].flatMap((to) => ['s', 'u'].map((sign) => [`${to}.trunc_sat_${from}_${sign}`, from] as const)),
  ),
];

/** These trap for what does not fit. */
const TRAPPING: readonly (readonly [op: string, from: ValueType])[] = (['f32', 'f64'] as const).flatMap((from) =>
  ['i32', 'i64'].flatMap((to) => ['s', 'u'].map((sign) => [`${to}.trunc_${from}_${sign}`, from] as const)),
);

function resultOf(op: string): ValueType {
  return op.slice(0, 3) as ValueType;
}

function conversions(operands: Operands): TextModule {
  const { type, bits } = operands;
  const total = CONVERSIONS.filter(([, from]) => from === type).map(([op]) => op);
  const partial = TRAPPING.filter(([, from]) => from === type).flatMap(([op]) => bits.map((_, i) => ({ op, i, entry: `${op} ${i}` })));
  const body = [
    ...total.map((op) =>
      writer(
        op,
        bits.map((_, i) => ({ type: resultOf(op), text: `(${op} ${operand(type, i)})` })),
      ),
    ),
    ...partial.map(({ op, i, entry }) => writer(entry, [{ type: resultOf(op), text: `(${op} ${operand(type, i)})` }])),
  ];
  return {
    name: `${type} conversions`,
    group: 'conversions',
    text: moduleText(body.join('\n'), { operands: textOf(operands) }),
    cases: [...total.map((op) => plain(op, op)), ...partial.map(({ entry }) => plain(entry, entry))],
  };
}

const integers = OPERANDS.filter(({ type }) => type === 'i32' || type === 'i64');

export const NUMBER_MODULES: readonly TextModule[] = [
  ...OPERANDS.map(numberModule),
  ...integers.map(divisions),
  ...OPERANDS.map(conversions),
];
