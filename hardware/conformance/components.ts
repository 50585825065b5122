// Components on every architecture: what WASI 0.2 gives them, requests of wasi:keyvalue, wasi:messaging and wasi:logging, traps and limits.
import { plain, type ConformanceCase } from './case.ts';
import { at, componentText, names, type HostFunction, type Lifted } from './component-text.ts';
import { COMPOSITION } from './composition.ts';
import type { TextModule } from './numbers.ts';

const NOTHING = { clock: false, random: false, environment: false, sleep: false };
const LOOP = '(loop $l (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 30000))))';
const results = (...all: readonly string[]): readonly Lifted[] => all.map((name) => ({ name, gives: 'result' }));

const WASI_ENTRIES = [
  'arguments',
  'environment',
  'input',
  'streams',
  'chance',
  'clocks',
  'sleep',
  'several',
  'files',
  'error-output',
  'exit-well',
  'exit-badly',
] as const;

const wasi: TextModule = {
  name: 'component wasi',
  group: 'components',
  text: componentText({
    uses: [
      'get-stdin',
      'get-stderr',
      'read',
      'skip',
      'splice',
      'write-zeroes',
      'check-write',
      'subscribe-output',
      'ready',
      'block',
      'poll',
      'get-environment',
      'get-arguments',
      'initial-cwd',
      'exit',
      'now',
      'resolution',
      'subscribe-duration',
      'wall-now',
      'random-bytes',
      'random-u64',
      'insecure-seed',
      'directories',
      'terminal',
    ],
    lifted: [...results(...WASI_ENTRIES), { name: 'code', gives: 's32' }, { name: 'nothing' }],
    run: 'input',
    body: `
    ${at(32_768, 'to standard error')}
    (func $strings (param $list i32) (param $count i32) (local $i i32)
      (block $end (loop $next
        (br_if $end (i32.ge_u (local.get $i) (local.get $count)))
        (call $out (i32.load (local.get $list)) (i32.load offset=4 (local.get $list)))
        (local.set $list (i32.add (local.get $list) (i32.const 8)))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br $next))))
    (func (export "arguments") (result i32)
      (call $get-arguments (i32.const 1024))
      (call $strings (i32.load (i32.const 1024)) (i32.load (i32.const 1028)))
      (i32.const 0))
    (func (export "environment") (result i32)
      (call $get-environment (i32.const 1024))
      (call $strings (i32.load (i32.const 1024)) (i32.mul (i32.const 2) (i32.load (i32.const 1028))))
      (i32.const 0))
    (func (export "input") (result i32) (local $stdin i32)
      (local.set $stdin (call $get-stdin))
      (block $end (loop $next
        (call $read (local.get $stdin) (i64.const 5) (i32.const 1024))
        (br_if $end (i32.load8_u (i32.const 1024)))
        (call $out (i32.load (i32.const 1028)) (i32.load (i32.const 1032)))
        (br $next)))
      (i32.load8_u (i32.const 1028)) (i32.const 1) (i32.ne))
    (func (export "streams") (result i32) (local $stdin i32) (local $stdout i32)
      (local.set $stdin (call $get-stdin))
      (local.set $stdout (call $get-stdout))
      (call $skip (local.get $stdin) (i64.const 2) (i32.const 1024))
      (call $splice (local.get $stdout) (local.get $stdin) (i64.const 3) (i32.const 1040))
      (call $write-zeroes (local.get $stdout) (i64.const 9) (i32.const 1056))
      (call $check-write (local.get $stdout) (i32.const 1072))
      (call $skip (local.get $stdin) (i64.const -1) (i32.const 1088))
      (call $skip (local.get $stdin) (i64.const 1) (i32.const 1104))
      (call $out (i32.const 1024) (i32.const 96))
      (i32.const 0))
    (func (export "chance") (result i32)
      (call $random-bytes (i64.const 41) (i32.const 1024))
      (call $out (i32.load (i32.const 1024)) (i32.load (i32.const 1028)))
      (i64.store (i32.const 1024) (call $random-u64))
      (call $insecure-seed (i32.const 1032))
      (call $out (i32.const 1024) (i32.const 24))
      (i32.const 0))
    (func (export "clocks") (result i32) (local $i i32)
      (i64.store (i32.const 1024) (call $now))
      (call $wall-now (i32.const 1032))
      ${LOOP}
      (i64.store (i32.const 1048) (call $now))
      (i64.store (i32.const 1056) (call $resolution))
      (call $out (i32.const 1024) (i32.const 40))
      (i32.const 0))
    (func (export "sleep") (result i32) (local $pollable i32)
      (local.set $pollable (call $subscribe-duration (i64.const 1500000)))
      (i32.store (i32.const 1024) (call $ready (local.get $pollable)))
      (call $block (local.get $pollable))
      (call $out (i32.const 1024) (i32.const 4))
      (i32.const 0))
    (func (export "several") (result i32)
      (i32.store (i32.const 2048) (call $subscribe-duration (i64.const 9000000)))
      (i32.store (i32.const 2052) (call $subscribe-duration (i64.const 2000000)))
      (i32.store (i32.const 2056) (call $subscribe-output (call $get-stdout)))
      (call $poll (i32.const 2048) (i32.const 3) (i32.const 1024))
      (call $out (i32.load (i32.const 1024)) (i32.mul (i32.const 4) (i32.load (i32.const 1028))))
      (call $poll (i32.const 2048) (i32.const 2) (i32.const 1024))
      (call $out (i32.load (i32.const 1024)) (i32.mul (i32.const 4) (i32.load (i32.const 1028))))
      (i32.const 0))
    (func (export "files") (result i32)
      (call $directories (i32.const 1024))
      (call $terminal (i32.const 1032))
      (call $initial-cwd (i32.const 1040))
      (i32.store (i32.const 1024) (i32.load (i32.const 1028)))
      (call $out (i32.const 1024) (i32.const 4))
      (call $out (i32.const 1032) (i32.const 1))
      (call $out (i32.const 1040) (i32.const 1))
      (i32.const 0))
    (func (export "error-output") (result i32)
      (call $write (call $get-stderr) (i32.const 32768) (i32.const 17) (i32.const 1024))
      (i32.load8_u (i32.const 1024)))
    (func (export "exit-well") (result i32) (call $exit (i32.const 0)) (unreachable))
    (func (export "exit-badly") (result i32) (call $exit (i32.const 1)) (unreachable))
    (func (export "code") (result i32) (i32.const 42))
    (func (export "nothing"))`,
  }),
  cases: ((): readonly ConformanceCase[] => {
    const context: Partial<ConformanceCase> = {
      args: ['guest', 'Grüße', ''],
      env: [
        ['WM_EVENT_ID', 'event-1'],
        ['WM_ATTEMPT', '1'],
      ],
      stdin: Buffer.from('{"v": 7, "of": "input"}\n').toString('base64'),
    };
    return [
      ...WASI_ENTRIES.flatMap((entry) => [
        plain(entry, entry, context),
        plain(`${entry}, not granted`, entry, { ...context, granted: NOTHING }),
        plain(`${entry}, slices of 100`, entry, { ...context, fuelSlice: 100 }),
      ]),
      plain('run', 'wasi:cli/run@0.2.0#run', context),
      plain('code', 'code'),
      plain('nothing', 'nothing'),
    ];
  })(),
};

const REQUESTS: readonly HostFunction[] = [
  'open',
  'get',
  'set',
  'exists',
  'delete',
  'list-keys',
  'increment',
  'cas-new',
  'cas-current',
  'swap',
  'get-many',
  'set-many',
  'connect',
  'message',
  'add-metadata',
  'send',
  'log',
];

const requests: TextModule = {
  name: 'component requests',
  group: 'components',
  text: componentText({
    uses: REQUESTS,
    lifted: names('keys', 'increments', 'swaps', 'batches', 'messages', 'logs', 'bad-names'),
    body: `
    ${at(32_768, 'counter/total')}
    ${at(32_800, 'value of it')}
    ${at(32_832, 'default')}
    ${at(32_864, 'counter')}
    ${at(32_896, 'total')}
    ${at(32_928, 'two\nlines')}
    ${at(32_960, 'alerts.brake')}
    ${at(32_992, '7')}
    (func $bucket (param $name i32) (param $length i32) (result i32)
      (call $open (local.get $name) (local.get $length) (i32.const 1024))
      (if (i32.load8_u (i32.const 1024)) (then unreachable))
      (i32.load (i32.const 1028)))
    (; The result at 2048: its bytes, and the text or list that an answer of this form points to. ;)
    (func $show (param $pointer i32)
      (call $out (i32.const 2048) (i32.const 1))
      (call $out (i32.const 2052) (i32.const 1))
      (if (local.get $pointer) (then
        (if (i32.and (i32.gt_u (i32.load offset=4 (local.get $pointer)) (i32.const 0)) (i32.lt_u (i32.load offset=4 (local.get $pointer)) (i32.const 500)))
          (then (call $out (i32.load (local.get $pointer)) (i32.load offset=4 (local.get $pointer)))))))
      (memory.fill (i32.const 2048) (i32.const 0) (i32.const 64)))
    (func (export "keys") (local $b i32)
      (local.set $b (call $bucket (i32.const 32832) (i32.const 7)))
      (call $get (local.get $b) (i32.const 32768) (i32.const 13) (i32.const 2048)) (call $show (i32.const 2056))
      (call $exists (local.get $b) (i32.const 32768) (i32.const 13) (i32.const 2048)) (call $out (i32.const 2048) (i32.const 5)) (call $show (i32.const 0))
      (call $set (local.get $b) (i32.const 32768) (i32.const 13) (i32.const 32800) (i32.const 11) (i32.const 2048)) (call $show (i32.const 0))
      (call $exists (local.get $b) (i32.const 32768) (i32.const 13) (i32.const 2048)) (call $show (i32.const 0))
      (; The same key by way of a bucket of its own. ;)
      (call $get (call $bucket (i32.const 32864) (i32.const 7)) (i32.const 32896) (i32.const 5) (i32.const 2048)) (call $show (i32.const 2056))
      (call $delete (local.get $b) (i32.const 32768) (i32.const 13) (i32.const 2048)) (call $show (i32.const 2056))
      (call $list-keys (local.get $b) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 2048)) (call $show (i32.const 2056)))
    (func (export "increments") (local $b i32)
      (local.set $b (call $bucket (i32.const 32832) (i32.const 0)))
      (call $increment (local.get $b) (i32.const 32896) (i32.const 5) (i64.const 41) (i32.const 2048)) (call $out (i32.const 2048) (i32.const 16))
      (call $increment (local.get $b) (i32.const 32896) (i32.const 5) (i64.const -42) (i32.const 2048)) (call $out (i32.const 2048) (i32.const 16))
      (call $increment (local.get $b) (i32.const 32896) (i32.const 5) (i64.const -9223372036854775808) (i32.const 2048)) (call $show (i32.const 2060))
      (call $set (local.get $b) (i32.const 32896) (i32.const 5) (i32.const 32800) (i32.const 11) (i32.const 2048)) (call $show (i32.const 0))
      (call $increment (local.get $b) (i32.const 32896) (i32.const 5) (i64.const 1) (i32.const 2048)) (call $show (i32.const 2060)))
    (func (export "swaps") (local $b i32) (local $first i32) (local $second i32)
      (local.set $b (call $bucket (i32.const 32832) (i32.const 0)))
      (call $cas-new (local.get $b) (i32.const 32896) (i32.const 5) (i32.const 2048)) (local.set $first (i32.load (i32.const 2052)))
      (call $cas-new (local.get $b) (i32.const 32896) (i32.const 5) (i32.const 2048)) (local.set $second (i32.load (i32.const 2052)))
      (call $cas-current (local.get $first) (i32.const 2048)) (call $show (i32.const 2056))
      (call $swap (local.get $first) (i32.const 32800) (i32.const 11) (i32.const 2048)) (call $show (i32.const 0))
      (call $swap (local.get $second) (i32.const 32992) (i32.const 1) (i32.const 2048)) (call $out (i32.const 2048) (i32.const 5))
      (local.set $second (i32.load (i32.const 2056)))
      (call $cas-current (local.get $second) (i32.const 2048)) (call $show (i32.const 2056))
      (call $swap (local.get $second) (i32.const 32992) (i32.const 1) (i32.const 2048)) (call $show (i32.const 0))
      (call $get (local.get $b) (i32.const 32896) (i32.const 5) (i32.const 2048)) (call $show (i32.const 2056)))
    (func (export "batches") (local $b i32)
      (local.set $b (call $bucket (i32.const 32832) (i32.const 0)))
      (i32.store (i32.const 3072) (i32.const 32768)) (i32.store (i32.const 3076) (i32.const 13)) (i32.store (i32.const 3080) (i32.const 32800)) (i32.store (i32.const 3084) (i32.const 11))
      (i32.store (i32.const 3088) (i32.const 32896)) (i32.store (i32.const 3092) (i32.const 5)) (i32.store (i32.const 3096) (i32.const 32992)) (i32.store (i32.const 3100) (i32.const 1))
      (call $set-many (local.get $b) (i32.const 3072) (i32.const 2) (i32.const 2048)) (call $show (i32.const 0))
      (i32.store (i32.const 3080) (i32.const 32864)) (i32.store (i32.const 3084) (i32.const 7))
      (call $get-many (local.get $b) (i32.const 3072) (i32.const 3) (i32.const 2048))
      (call $out (i32.load (i32.const 2052)) (i32.mul (i32.const 20) (i32.load (i32.const 2056))))
      (call $out (i32.load offset=12 (i32.load (i32.const 2052))) (i32.load offset=16 (i32.load (i32.const 2052)))))
    (func (export "messages") (local $client i32) (local $message i32)
      (call $connect (i32.const 32832) (i32.const 7) (i32.const 2048)) (local.set $client (i32.load (i32.const 2052)))
      (call $send (local.get $client) (i32.const 32960) (i32.const 12) (call $message (i32.const 32800) (i32.const 11)) (i32.const 2048)) (call $show (i32.const 0))
      (local.set $message (call $message (i32.const 32800) (i32.const 11)))
      (call $add-metadata (local.get $message) (i32.const 32896) (i32.const 5) (i32.const 32992) (i32.const 1))
      (call $send (local.get $client) (i32.const 32960) (i32.const 12) (local.get $message) (i32.const 2048)) (call $show (i32.const 2056))
      (call $send (local.get $client) (i32.const 32928) (i32.const 9) (call $message (i32.const 32800) (i32.const 11)) (i32.const 2048)) (call $show (i32.const 2056)))
    (func (export "logs")
      (call $log (i32.const 3) (i32.const 32864) (i32.const 7) (i32.const 32928) (i32.const 9))
      (call $log (i32.const 5) (i32.const 0) (i32.const 0) (i32.const 32800) (i32.const 11))
      (call $log (i32.const 0) (i32.const 32928) (i32.const 9) (i32.const 32800) (i32.const 11)))
    (func (export "bad-names")
      (call $open (i32.const 32928) (i32.const 9) (i32.const 2048)) (call $show (i32.const 0))
      (call $get (call $bucket (i32.const 32832) (i32.const 0)) (i32.const 32928) (i32.const 9) (i32.const 2048)) (call $show (i32.const 2056)))`,
  }),
  cases: ['keys', 'increments', 'swaps', 'batches', 'messages', 'logs', 'bad-names'].flatMap((entry) => [
    plain(entry, entry),
    plain(`${entry}, slices of 50`, entry, { fuelSlice: 50 }),
  ]),
};

const TRAPS = [
  'unreachable',
  'after-output',
  'outside-of-memory',
  'handle-of-nothing',
  'handle-that-was-dropped',
  'handle-of-another-type',
  'list-outside-of-memory',
  'text-that-is-none',
  'no-such-case',
  'too-much-at-once',
  'growth-beyond-the-limit',
  'output-beyond-the-limit',
  'handles-without-end',
  'for-ever',
] as const;

const traps: TextModule = {
  name: 'component traps',
  group: 'components',
  text: componentText({
    uses: ['log', 'get-stdin', 'subscribe-duration', 'block'],
    lifted: [...names(...TRAPS, 'without-end'), { name: 'failed', gives: 'result' }],
    body: `
    ${at(32_768, 'ok')}
    (data (i32.const 32800) "\\ff\\fe\\fd")
    (func (export "unreachable") (unreachable))
    (func (export "after-output") (call $out (i32.const 32768) (i32.const 2)) (unreachable))
    (func (export "outside-of-memory") (drop (i32.load (i32.const -8))))
    (func (export "handle-of-nothing") (call $write (i32.const 99) (i32.const 32768) (i32.const 2) (i32.const 1024)))
    (func (export "handle-that-was-dropped") (local $stream i32)
      (local.set $stream (call $get-stdout)) (call $drop-output-stream (local.get $stream))
      (call $write (local.get $stream) (i32.const 32768) (i32.const 2) (i32.const 1024)))
    (func (export "handle-of-another-type") (call $write (call $get-stdin) (i32.const 32768) (i32.const 2) (i32.const 1024)))
    (func (export "list-outside-of-memory") (call $write (call $get-stdout) (i32.const -4) (i32.const 100) (i32.const 1024)))
    (func (export "text-that-is-none") (call $log (i32.const 2) (i32.const 0) (i32.const 0) (i32.const 32800) (i32.const 3)))
    (func (export "no-such-case") (call $log (i32.const 6) (i32.const 0) (i32.const 0) (i32.const 32768) (i32.const 2)))
    (func (export "too-much-at-once") (call $write (call $get-stdout) (i32.const 32768) (i32.const 4097) (i32.const 1024)))
    (func (export "growth-beyond-the-limit") (drop (memory.grow (i32.const 1000))))
    (func (export "output-beyond-the-limit") (loop $l (call $out (i32.const 0) (i32.const 65536)) (br $l)))
    (func (export "handles-without-end") (loop $l (drop (call $subscribe-duration (i64.const 1))) (br $l)))
    (func (export "for-ever") (loop $l (br $l)))
    (func $deep (param i32) (result i32) (i32.add (i32.const 1) (call $deep (i32.add (local.get 0) (i32.const 1)))))
    (func (export "without-end") (drop (call $deep (i32.const 0))))
    (func (export "failed") (result i32) (call $out (i32.const 32768) (i32.const 2)) (i32.const 1))`,
  }),
  cases: [
    ...TRAPS.map((entry) => plain(entry, entry)),
    plain('without end', 'without-end', {
      fuelMax: 100_000_000,
      mayDiffer: [
        { quantity: 'slices', why: 'frames have another size on each architecture, so a stack ends after other numbers of calls' },
      ],
    }),
    plain('failed', 'failed'),
    plain('too little fuel', 'output-beyond-the-limit', { fuelMax: 20_000, fuelSlice: 3_000 }),
  ],
};

export const COMPONENT_MODULES: readonly TextModule[] = [wasi, requests, traps, COMPOSITION];
