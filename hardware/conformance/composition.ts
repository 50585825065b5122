// A component of two parts: values of every shape between them, resources that one owns and the other holds, and what goes wrong there.
import { plain } from './case.ts';
import {
  at,
  handedText,
  hostText,
  importText,
  interfacesText,
  liftText,
  MEMORY,
  names,
  OUT,
  OUT_USES,
  withText,
} from './component-text.ts';
import type { TextModule } from './numbers.ts';

const ITEM = '(record (field "name" string) (field "count" u64) (field "tags" (list string)) (field "note" (option string)))';
const SHAPE = '(variant (case "point") (case "circle" f64) (case "box" (tuple u32 u32)))';
/** What one part exports and the other imports; `$counter`, `$item` and `$shape` are types of both. */
const PROVIDED_TYPES: readonly (readonly [name: string, type: string])[] = [
  ['shout', '(param "text" string) (result string)'],
  ['sum', '(param "list" (list u32)) (result u64)'],
  ['stir', '(param "item" $item) (result $item)'],
  ['shape', '(param "shape" $shape) (result $shape)'],
  ['letter', '(param "letter" char) (result char)'],
  ['[constructor]counter', '(param "start" u32) (result (own $counter))'],
  ['[method]counter.add', '(param "self" (borrow $counter)) (param "by" u32) (result u32)'],
  ['ended', '(result u32)'],
  ['fail', ''],
  ['grow', '(param "pages" u32) (result s32)'],
  ['spin', ''],
];
/** The core function behind each. */
const CORE_NAMES = new Map([
  ['[constructor]counter', 'counter-new'],
  ['[method]counter.add', 'counter-add'],
]);

const PROVIDER = `(component $Provider
    ${MEMORY}
    (core module $Ends (import "memory" "memory" (memory 1))
      (func (export "end") (param i32) (i32.store (i32.const 512) (i32.add (i32.load (i32.const 512)) (i32.load (local.get 0))))))
    (core instance $ends (instantiate $Ends (with "memory" (instance $memory))))
    (type $counter-own (resource (rep i32) (dtor (func $ends "end"))))
    (core func $new (canon resource.new $counter-own))
    (core module $Main
      (import "memory" "memory" (memory 1))
      (import "memory" "realloc" (func $realloc (param i32 i32 i32 i32) (result i32)))
      (import "host" "new" (func $new (param i32) (result i32)))
      (func (export "shout") (param $from i32) (param $length i32) (result i32) (local $to i32) (local $i i32) (local $c i32)
        (local.set $to (call $realloc (i32.const 0) (i32.const 0) (i32.const 1) (local.get $length)))
        (block $end (loop $next
          (br_if $end (i32.ge_u (local.get $i) (local.get $length)))
          (local.set $c (i32.load8_u (i32.add (local.get $from) (local.get $i))))
          (if (i32.lt_u (i32.sub (local.get $c) (i32.const 97)) (i32.const 26)) (then (local.set $c (i32.sub (local.get $c) (i32.const 32)))))
          (i32.store8 (i32.add (local.get $to) (local.get $i)) (local.get $c))
          (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br $next)))
        (i32.store (i32.const 1024) (local.get $to)) (i32.store (i32.const 1028) (local.get $length)) (i32.const 1024))
      (func (export "sum") (param $at i32) (param $count i32) (result i64) (local $sum i64)
        (block $end (loop $next
          (br_if $end (i32.eqz (local.get $count)))
          (local.set $sum (i64.add (i64.mul (local.get $sum) (i64.const 31)) (i64.load32_u (local.get $at))))
          (local.set $at (i32.add (local.get $at) (i32.const 4)))
          (local.set $count (i32.sub (local.get $count) (i32.const 1)))
          (br $next)))
        (local.get $sum))
      (func (export "stir") (param $name i32) (param $name-length i32) (param $count i64) (param $tags i32) (param $tags-count i32)
        (param $noted i32) (param $note i32) (param $note-length i32) (result i32)
        (i32.store (i32.const 1088) (select (local.get $note) (local.get $name) (local.get $noted)))
        (i32.store (i32.const 1092) (select (local.get $note-length) (local.get $name-length) (local.get $noted)))
        (i64.store (i32.const 1096) (i64.add (local.get $count) (i64.const 1)))
        (i32.store (i32.const 1104) (local.get $tags)) (i32.store (i32.const 1108) (i32.sub (local.get $tags-count) (i32.const 1)))
        (i32.store (i32.const 1112) (i32.eqz (local.get $noted)))
        (i32.store (i32.const 1116) (local.get $name)) (i32.store (i32.const 1120) (local.get $name-length))
        (i32.const 1088))
      (func (export "shape") (param $case i32) (param $a i64) (param $b i32) (result i32)
        (i64.store (i32.const 1152) (i64.const 0))
        (if (i32.eqz (local.get $case)) (then (i32.store8 (i32.const 1152) (i32.const 1)) (f64.store (i32.const 1160) (f64.const -2.5))))
        (if (i32.eq (local.get $case) (i32.const 1)) (then
          (i32.store8 (i32.const 1152) (i32.const 2))
          (i32.store (i32.const 1160) (i32.trunc_sat_f64_u (f64.reinterpret_i64 (local.get $a)))) (i32.store (i32.const 1164) (i32.const 7))))
        (if (i32.eq (local.get $case) (i32.const 2)) (then
          (i32.store8 (i32.const 1152) (i32.const 1))
          (f64.store (i32.const 1160) (f64.div (f64.convert_i32_u (i32.wrap_i64 (local.get $a))) (f64.convert_i32_u (local.get $b))))))
        (i32.const 1152))
      (func (export "letter") (param $c i32) (result i32) (i32.add (local.get $c) (i32.const 1)))
      (func (export "counter-new") (param $start i32) (result i32) (local $at i32)
        (local.set $at (call $realloc (i32.const 0) (i32.const 0) (i32.const 4) (i32.const 4)))
        (i32.store (local.get $at) (local.get $start))
        (call $new (local.get $at)))
      (func (export "counter-add") (param $at i32) (param $by i32) (result i32)
        (i32.store (local.get $at) (i32.add (i32.load (local.get $at)) (local.get $by)))
        (i32.load (local.get $at)))
      (func (export "ended") (result i32) (i32.load (i32.const 512)))
      (func (export "fail") (unreachable))
      (func (export "grow") (param $pages i32) (result i32) (memory.grow (local.get $pages)))
      (func (export "spin") (loop $l (br $l))))
    (core instance $main (instantiate $Main (with "memory" (instance $memory)) (with "host" (instance (export "new" (func $new))))))
    (export $counter "counter" (type $counter-own))
    (type $item-plain ${ITEM})
    (export $item "item" (type $item-plain))
    (type $shape-plain ${SHAPE})
    (export $shape "shape-of" (type $shape-plain))
    ${PROVIDED_TYPES.map(
      ([name, type]) =>
        `(func (export "${name}") ${type} (canon lift (core func $main "${CORE_NAMES.get(name) ?? name}") (memory $memory "memory") (realloc (func $memory "realloc"))))`,
    ).join('\n    ')})
`;

const MEMORY_OPTIONS = '(memory $memory "memory") (realloc (func $memory "realloc"))';
/** Core functions of the composition's own module, and their types. */
const PROVIDED: readonly (readonly [name: string, lowered: string, type: string])[] = [
  ['shout', `canon lower (func $provider "shout") ${MEMORY_OPTIONS}`, '(param i32 i32 i32)'],
  ['shout-utf16', `canon lower (func $provider "shout") string-encoding=utf16 ${MEMORY_OPTIONS}`, '(param i32 i32 i32)'],
  ['shout-latin1', `canon lower (func $provider "shout") string-encoding=latin1+utf16 ${MEMORY_OPTIONS}`, '(param i32 i32 i32)'],
  ['sum', `canon lower (func $provider "sum") ${MEMORY_OPTIONS}`, '(param i32 i32) (result i64)'],
  ['stir', `canon lower (func $provider "stir") ${MEMORY_OPTIONS}`, '(param i32 i32 i64 i32 i32 i32 i32 i32 i32)'],
  ['shape', `canon lower (func $provider "shape") ${MEMORY_OPTIONS}`, '(param i32 i64 i32 i32)'],
  ['letter', 'canon lower (func $provider "letter")', '(param i32) (result i32)'],
  ['counter-new', 'canon lower (func $provider "[constructor]counter")', '(param i32) (result i32)'],
  ['counter-add', 'canon lower (func $provider "[method]counter.add")', '(param i32 i32) (result i32)'],
  ['counter-drop', 'canon resource.drop $counter', '(param i32)'],
  ['ended', 'canon lower (func $provider "ended")', '(result i32)'],
  ['fail', 'canon lower (func $provider "fail")', ''],
  ['grow', 'canon lower (func $provider "grow")', '(param i32) (result i32)'],
  ['spin', 'canon lower (func $provider "spin")', ''],
];

const COMPOSED = [
  'text',
  'text-utf16',
  'text-latin1',
  'list',
  'empty-list',
  'record',
  'variants',
  'letters',
  'counters',
  'bad-text',
  'half-a-pair',
  'bad-case',
  'bad-letter',
  'list-not-aligned',
  'list-outside',
  'counter-twice',
  'counter-that-is-none',
  'failing-part',
  'growth-of-all',
  'spinning-part',
] as const;

export const COMPOSITION: TextModule = {
  name: 'component composition',
  group: 'components',
  text: `(component $Composition
  ${interfacesText(OUT_USES, 'Composition')}
  ${PROVIDER}
  (component $C
  ${hostText(OUT_USES)}
  (import "provider" (instance $provider
    (export "counter" (type $counter (sub resource)))
    (type $item-plain ${ITEM}) (export "item" (type $item (eq $item-plain)))
    (type $shape-plain ${SHAPE}) (export "shape-of" (type $shape (eq $shape-plain)))
    ${PROVIDED_TYPES.map(([name, type]) => `(export "${name}" (func ${type}))`).join('\n    ')}))
  (alias export $provider "counter" (type $counter))
  ${PROVIDED.map(([name, lowered]) => `(core func $${name} (${lowered}))`).join('\n  ')}
  (core module $Main
    ${importText(OUT_USES)}
    ${PROVIDED.map(([name, , type]) => `(import "part" "${name}" (func $${name} ${type}))`).join('\n    ')}
    ${at(32_768, 'a text with Grüßen, ∑ and 🚚')}
    ${at(33_024, 'a text with Grüßen, ∑ and 🚚', 'utf16le')}
    ${at(33_280, 'a text with Grüßen', 'latin1')}
    (data (i32.const 33536) "\\01\\00\\00\\00\\ff\\ff\\ff\\ff\\00\\00\\00\\80\\07\\00\\00\\00\\78\\56\\34\\12")
    (data (i32.const 33600) "a\\ff")
    (data (i32.const 33610) "\\3d\\d8")
    (data (i32.const 33620) "tag")
    (data (i32.const 33632) "\\00\\80\\00\\00\\06\\00\\00\\00\\54\\83\\00\\00\\03\\00\\00\\00")
    ${OUT}
    (func $show (param $pair i32) (call $out (i32.load (local.get $pair)) (i32.load offset=4 (local.get $pair))))
    (func (export "text") (call $shout (i32.const 32768) (i32.const ${Buffer.byteLength('a text with Grüßen, ∑ and 🚚')}) (i32.const 1024)) (call $show (i32.const 1024)))
    (func (export "text-utf16") (call $shout-utf16 (i32.const 33024) (i32.const ${'a text with Grüßen, ∑ and 🚚'.length}) (i32.const 1024))
      (call $out (i32.load (i32.const 1024)) (i32.mul (i32.const 2) (i32.load (i32.const 1028)))))
    (func (export "text-latin1")
      (call $shout-latin1 (i32.const 33280) (i32.const 18) (i32.const 1024)) (call $show (i32.const 1024))
      (call $shout-latin1 (i32.const 33024) (i32.const ${(0x8000_0000 | 'a text with Grüßen, ∑ and 🚚'.length) >> 0}) (i32.const 1024))
      (call $out (i32.const 1028) (i32.const 4))
      (call $out (i32.load (i32.const 1024)) (i32.mul (i32.const 2) (i32.and (i32.load (i32.const 1028)) (i32.const 0x7fffffff)))))
    (func (export "list") (i64.store (i32.const 1024) (call $sum (i32.const 33536) (i32.const 5))) (call $out (i32.const 1024) (i32.const 8)))
    (func (export "empty-list") (i64.store (i32.const 1024) (call $sum (i32.const 33536) (i32.const 0))) (call $out (i32.const 1024) (i32.const 8)))
    (func $record (param $noted i32)
      (call $stir (i32.const 32768) (i32.const 6) (i64.const -3) (i32.const 33632) (i32.const 2) (local.get $noted) (i32.const 33620) (i32.const 3) (i32.const 1024))
      (call $show (i32.const 1024)) (call $out (i32.const 1032) (i32.const 8))
      (call $show (i32.load (i32.const 1040))) (call $out (i32.const 1044) (i32.const 4))
      (call $out (i32.const 1048) (i32.const 1))
      (if (i32.load8_u (i32.const 1048)) (then (call $show (i32.const 1052)))))
    (func (export "record") (call $record (i32.const 0)) (call $record (i32.const 1)))
    (func $varied (param $case i32) (param $a i64) (param $b i32)
      (memory.fill (i32.const 1024) (i32.const 0) (i32.const 16))
      (call $shape (local.get $case) (local.get $a) (local.get $b) (i32.const 1024)) (call $out (i32.const 1024) (i32.const 1)) (call $out (i32.const 1032) (i32.const 8)))
    (func (export "variants")
      (call $varied (i32.const 0) (i64.const 0) (i32.const 0))
      (call $varied (i32.const 1) (i64.reinterpret_f64 (f64.const 1234.75)) (i32.const 0))
      (call $varied (i32.const 1) (i64.const 0x7ff4000000000001) (i32.const 0))
      (call $varied (i32.const 2) (i64.const 1) (i32.const 3))
      (call $varied (i32.const 2) (i64.const 0) (i32.const 0)))
    (func (export "letters")
      (i32.store (i32.const 1024) (call $letter (i32.const 0x1f69a))) (i32.store (i32.const 1028) (call $letter (i32.const 0x40))) (call $out (i32.const 1024) (i32.const 8)))
    (func (export "counters") (local $one i32) (local $two i32)
      (local.set $one (call $counter-new (i32.const 5))) (local.set $two (call $counter-new (i32.const 100)))
      (i32.store (i32.const 1024) (call $counter-add (local.get $one) (i32.const 3)))
      (i32.store (i32.const 1028) (call $counter-add (local.get $two) (i32.const 11)))
      (i32.store (i32.const 1032) (call $counter-add (local.get $one) (i32.const -1)))
      (call $counter-drop (local.get $one)) (i32.store (i32.const 1036) (call $ended))
      (call $counter-drop (local.get $two)) (i32.store (i32.const 1040) (call $ended))
      (i32.store (i32.const 1044) (local.get $one)) (i32.store (i32.const 1048) (local.get $two))
      (call $out (i32.const 1024) (i32.const 28)))
    (func (export "bad-text") (call $shout (i32.const 33600) (i32.const 2) (i32.const 1024)))
    (func (export "half-a-pair") (call $shout-utf16 (i32.const 33610) (i32.const 1) (i32.const 1024)))
    (func (export "bad-case") (call $shape (i32.const 3) (i64.const 0) (i32.const 0) (i32.const 1024)))
    (func (export "bad-letter") (drop (call $letter (i32.const 0xd800))))
    (func (export "list-not-aligned") (drop (call $sum (i32.const 33537) (i32.const 2))))
    (func (export "list-outside") (drop (call $sum (i32.const 262140) (i32.const 2))))
    (func (export "counter-twice") (local $one i32) (local.set $one (call $counter-new (i32.const 5))) (call $counter-drop (local.get $one)) (call $counter-drop (local.get $one)))
    (func (export "counter-that-is-none") (drop (call $counter-add (i32.const 7) (i32.const 1))))
    (func (export "failing-part") (call $show (i32.const 33632)) (call $fail))
    (func (export "growth-of-all")
      (i32.store (i32.const 1024) (memory.grow (i32.const 56))) (i32.store (i32.const 1028) (call $grow (i32.const 60))) (call $out (i32.const 1024) (i32.const 8))
      (drop (call $grow (i32.const 8))) (unreachable))
    (func (export "spinning-part") (call $spin)))
  (core instance $main (instantiate $Main ${withText(OUT_USES)}
    (with "part" (instance ${PROVIDED.map(([name]) => `(export "${name}" (func $${name}))`).join(' ')}))))
  ${liftText('$main', names(...COMPOSED))})
  (instance $provider (instantiate $Provider))
  (instance $consumer (instantiate $C (with "provider" (instance $provider)) ${handedText(OUT_USES)}))
  ${COMPOSED.map((name) => `(export "${name}" (func $consumer "${name}"))`).join('\n  ')})`,
  cases: [
    ...COMPOSED.map((entry) => plain(entry, entry)),
    ...['text', 'record', 'counters'].map((entry) => plain(`${entry}, slices of 50`, entry, { fuelSlice: 50 })),
  ],
};
