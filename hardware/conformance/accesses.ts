// How values come from memory and go there, and how control flows, on every architecture: narrow and unaligned loads and stores, vectors
// that are widened, spread or taken lane by lane, branches by tables, globals, tables.
import { plain } from './case.ts';
import type { TextModule } from './numbers.ts';
import { bytesOf, moduleText, operandText, writer, type ValueType } from './text.ts';

const OPERANDS = operandText([
  [...bytesOf(0x80ff7f01fe02c3d4n, 8), ...bytesOf(0x8899aabbccddeeffn, 8)],
  [...bytesOf(0x7fa000017fc12345n, 8), ...bytesOf(0x0123456789abcdefn, 8)],
]);
const AT = 32_768;
/** Aligned, and not. */
const OFFSETS = [0, 1, 3, 7];

function values(type: ValueType, op: string): readonly { readonly type: ValueType; readonly text: string }[] {
  return OFFSETS.map((offset) => ({ type, text: `(${op} offset=${AT + offset} (i32.const 0))` }));
}

const LOADS: readonly (readonly [type: ValueType, op: string])[] = [
  ...'load load8_s load8_u load16_s load16_u'.split(' ').map((op) => ['i32', `i32.${op}`] as const),
  ...'load load8_s load8_u load16_s load16_u load32_s load32_u'.split(' ').map((op) => ['i64', `i64.${op}`] as const),
  ['f32', 'f32.load'],
  ['f64', 'f64.load'],
];
const STORES = [
  'i32.store',
  'i32.store8',
  'i32.store16',
  'i64.store',
  'i64.store8',
  'i64.store16',
  'i64.store32',
  'f32.store',
  'f64.store',
];

/** Writes the same value to every place, beside bytes that have to stay. */
function storing(op: string): string {
  const type = op.slice(0, 3);
  const stores = OFFSETS.map(
    (offset, i) => `(${op} offset=${1_024 + i * 16 + offset} (i32.const 0) (${type}.load offset=${AT} (i32.const 0)))`,
  );
  return `(func (export "${op}") (memory.fill (i32.const 1024) (i32.const 0xa5) (i32.const 80)) ${stores.join(' ')} (call $out (i32.const 80)))`;
}

const accesses: TextModule = {
  name: 'accesses',
  group: 'memory',
  text: moduleText([...LOADS.map(([type, op]) => writer(op, values(type, op))), ...STORES.map(storing)].join('\n'), { operands: OPERANDS }),
  cases: [...LOADS.map(([, op]) => op), ...STORES].map((op) => plain(op, op)),
};

const VECTOR_LOADS = [
  'v128.load',
  ...'8x8 16x4 32x2'.split(' ').flatMap((shape) => [`v128.load${shape}_s`, `v128.load${shape}_u`]),
  ...'8 16 32 64'.split(' ').map((bits) => `v128.load${bits}_splat`),
  ...'32 64'.split(' ').map((bits) => `v128.load${bits}_zero`),
];
const LANES = [
  ['8', 13],
  ['16', 5],
  ['32', 2],
  ['64', 1],
] as const;

const vectorAccesses: TextModule = {
  name: 'vector accesses',
  group: 'vectors',
  text: moduleText(
    [
      ...VECTOR_LOADS.map((op) => writer(op, values('v128', op))),
      ...LANES.map(([bits, lane]) =>
        writer(
          `v128.load${bits}_lane`,
          OFFSETS.map((offset) => ({
            type: 'v128',
            text: `(v128.load${bits}_lane offset=${AT + offset} ${lane} (i32.const 0) (v128.load offset=${AT + 16} (i32.const 0)))`,
          })),
        ),
      ),
      ...LANES.map(
        ([bits, lane]) =>
          `(func (export "v128.store${bits}_lane") (memory.fill (i32.const 1024) (i32.const 0xa5) (i32.const 80)) ${OFFSETS.map(
            (offset, i) =>
              `(v128.store${bits}_lane offset=${1_024 + i * 16 + offset} ${lane} (i32.const 0) (v128.load offset=${AT + 16} (i32.const 0)))`,
          ).join(' ')} (call $out (i32.const 80)))`,
      ),
    ].join('\n'),
    { operands: OPERANDS },
  ),
  cases: [...VECTOR_LOADS, ...LANES.flatMap(([bits]) => [`v128.load${bits}_lane`, `v128.store${bits}_lane`])].map((op) => plain(op, op)),
};

const control: TextModule = {
  name: 'control',
  group: 'traps',
  text: moduleText(
    [
      '(type $number (func (result i32)))',
      '(global $g (mut i64) (i64.const -7)) (global $f (mut f64) (f64.const nan:0x4000000000001))',
      '(table $t 8 8 funcref) (elem $passive func $one $two $three) (elem declare func $one)',
      '(func $one (result i32) (i32.const 1)) (func $two (result i32) (i32.const 2)) (func $three (result i32) (i32.const 3))',
      '(func $branch (param i32) (result i32) (block $c (block $b (block $a (br_table $a $b $c $b (local.get 0))) (return (i32.const 10))) (return (i32.const 20))) (i32.const 30))',
      writer(
        'branches by a table',
        [0, 1, 2, 3, 4, -1].map((choice) => ({ type: 'i32', text: `(call $branch (i32.const ${choice}))` })),
      ),
      writer(
        'choices',
        [0, 1].flatMap((place) => {
          const condition = `(i32.and (i32.load offset=${AT} (i32.const 0)) (i32.const ${place + 2}))`;
          return (['i32', 'i64', 'f32', 'f64'] as const).map((type) => ({
            type,
            text: `(select (${type}.load offset=${AT} (i32.const 0)) (${type}.load offset=${AT + 16} (i32.const 0)) ${condition})`,
          }));
        }),
      ),
      `(func (export "globals") (i64.store (i32.const 1024) (global.get $g)) (f64.store (i32.const 1032) (global.get $f)) (global.set $g (i64.load offset=${AT} (i32.const 0))) (global.set $f (f64.load offset=${AT + 16} (i32.const 0))) (i64.store (i32.const 1040) (global.get $g)) (f64.store (i32.const 1048) (global.get $f)) (call $out (i32.const 32)))`,
      '(func $ask (param i32) (result i32) (if (result i32) (ref.is_null (table.get $t (local.get 0))) (then (i32.const -1)) (else (call_indirect $t (type $number) (local.get 0)))))',
      `(func (export "tables") (table.init $t $passive (i32.const 1) (i32.const 0) (i32.const 3)) (table.copy $t $t (i32.const 2) (i32.const 1) (i32.const 3)) (table.fill $t (i32.const 6) (ref.func $one) (i32.const 2)) (table.set $t (i32.const 1) (ref.null func)) (elem.drop $passive) ${Array.from({ length: 8 }, (_, i) => `(i32.store (i32.const ${1_024 + 4 * i}) (call $ask (i32.const ${i})))`).join(' ')} (call $out (i32.const 32)))`,
      '(func (export "init of what was dropped") (elem.drop $passive) (table.init $t $passive (i32.const 0) (i32.const 0) (i32.const 1)))',
      '(func (export "copy past the end") (table.copy $t $t (i32.const 6) (i32.const 0) (i32.const 3)))',
      '(func (export "fill past the end") (table.fill $t (i32.const 7) (ref.null func) (i32.const 2)))',
    ].join('\n'),
    { operands: OPERANDS },
  ),
  cases: ['branches by a table', 'choices', 'globals', 'tables', 'init of what was dropped', 'copy past the end', 'fill past the end'].map(
    (entry) => plain(entry, entry),
  ),
};

export const ACCESS_MODULES: readonly TextModule[] = [accesses, vectorAccesses, control];
