// What a guest does beyond computing, on every architecture: memory, tables, traps, fuel, WASI and requests to the host.
import { plain, type ConformanceCase } from './case.ts';
import type { TextModule } from './numbers.ts';
import { bytesOf, moduleText, operand, operandText, writer } from './text.ts';

const WASI = (name: string, parameters: number): string =>
  `(import "wasi_snapshot_preview1" "${name}" (func $${name} (param${' i32'.repeat(parameters)}) (result i32)))`;

const memory: TextModule = {
  name: 'memory',
  group: 'memory',
  text: moduleText(
    [
      '(data $passive "passive bytes")',
      writer('size and growth', [
        { type: 'i32', text: '(memory.size)' },
        { type: 'i32', text: '(memory.grow (i32.const 3))' },
        { type: 'i32', text: '(memory.size)' },
        { type: 'i32', text: '(i32.load (i32.const 262144))' },
      ]),
      writer('growth beyond the type', [
        { type: 'i32', text: '(memory.grow (i32.const 70000))' },
        { type: 'i32', text: '(memory.size)' },
      ]),
      '(func (export "growth beyond the limit") (drop (memory.grow (i32.const 1000))))',
      `(func (export "fill and init") (memory.fill (i32.const 1024) (i32.const 0xa5) (i32.const 32)) (memory.init $passive (i32.const 1056) (i32.const 3) (i32.const 10)) (data.drop $passive) (call $out (i32.const 64)))`,
      `(func $size (result i32) (i32.load8_u offset=32768 (i32.const 0)))`,
      `(func (export "overlapping copies") (memory.copy (i32.const 1024) (i32.const 32768) (i32.const 13)) (memory.copy (i32.const 1030) (i32.const 1024) (i32.and (call $size) (i32.const 31))) (memory.copy (i32.const 1025) (i32.const 1032) (i32.and (call $size) (i32.const 31))) (call $out (i32.const 64)))`,
      '(func (export "init of what was dropped") (data.drop $passive) (memory.init $passive (i32.const 1056) (i32.const 0) (i32.const 1)))',
      '(func (export "load at the end") (drop (i32.load (i32.const 131070))))',
      '(func (export "store far out") (i64.store (i32.const -1) (i64.const 1)))',
      '(func (export "offset that overflows") (drop (i32.load offset=4294967295 (i32.const -1))))',
      '(func (export "fill past the end") (memory.fill (i32.const 131000) (i32.const 1) (i32.const 100)))',
      writer('narrow and unaligned', [
        { type: 'i32', text: '(i32.load8_s offset=32769 (i32.const 0))' },
        { type: 'i32', text: '(i32.load16_u offset=32769 (i32.const 0))' },
        { type: 'i64', text: '(i64.load32_s offset=32771 (i32.const 0))' },
        { type: 'i64', text: '(i64.load offset=32769 (i32.const 0))' },
      ]),
    ].join('\n'),
    { operands: operandText([bytesOf(0xf1e2d3c4b5a69788n, 8), bytesOf(0x8899aabbccddeeffn, 8)]) },
  ),
  cases: [
    ...'size and growth|growth beyond the type|growth beyond the limit|fill and init|overlapping copies|init of what was dropped|load at the end|store far out|offset that overflows|fill past the end|narrow and unaligned'
      .split('|')
      .map((entry) => plain(entry, entry)),
  ],
};

/** Sizes that a compiler knows are copied in line, with vectors where the machine has them. */
const COPIES = [1, 7, 15, 16, 31, 64, 127, 128, 129];

export const COPIES_OF_KNOWN_SIZES = 'copies of known sizes';

const copies: TextModule = {
  name: COPIES_OF_KNOWN_SIZES,
  group: 'memory',
  text: moduleText(
    COPIES.map(
      (bytes) =>
        `(func (export "${bytes}") (memory.copy (i32.const 1024) (i32.const 32768) (i32.const 32)) (memory.copy (i32.const 1031) (i32.const 1024) (i32.const ${bytes})) (call $out (i32.const 160)))`,
    ).join('\n'),
    { operands: operandText([bytesOf(0xf1e2d3c4b5a69788n, 8), bytesOf(0x8899aabbccddeeffn, 8)]) },
  ),
  cases: COPIES.map((bytes) => plain(`copy of ${bytes}`, String(bytes))),
};

const tables: TextModule = {
  name: 'tables',
  group: 'traps',
  text: moduleText(
    [
      '(type $number (func (result i32)))',
      '(table $t 4 8 funcref)',
      '(elem (i32.const 0) $seven $other)',
      '(func $seven (result i32) (i32.const 7))',
      '(func $other (param i32) (result i32) (local.get 0))',
      writer('called', [{ type: 'i32', text: '(call_indirect $t (type $number) (i32.const 0))' }]),
      '(func (export "of another type") (drop (call_indirect $t (type $number) (i32.const 1))))',
      '(func (export "of nothing") (drop (call_indirect $t (type $number) (i32.const 2))))',
      '(func (export "outside") (drop (call_indirect $t (type $number) (i32.const 9))))',
      writer('grown', [
        { type: 'i32', text: '(table.grow $t (ref.null func) (i32.const 3))' },
        { type: 'i32', text: '(table.grow $t (ref.null func) (i32.const 3))' },
        { type: 'i32', text: '(table.size $t)' },
        { type: 'i32', text: '(ref.is_null (table.get $t (i32.const 1)))' },
      ]),
    ].join('\n'),
  ),
  cases: ['called', 'of another type', 'of nothing', 'outside', 'grown'].map((entry) => plain(entry, entry)),
};

const traps: TextModule = {
  name: 'traps',
  group: 'traps',
  text: moduleText(
    [
      '(func (export "unreachable") (unreachable))',
      '(func (export "after output") (i32.store (i32.const 1024) (i32.const 0x6b6f)) (call $out (i32.const 2)) (unreachable))',
      '(func $deep (param i32) (result i32) (i32.add (i32.const 1) (call $deep (i32.add (local.get 0) (i32.const 1)))))',
      '(func (export "without end") (drop (call $deep (i32.const 0))))',
    ].join('\n'),
  ),
  cases: [
    plain('unreachable', 'unreachable'),
    plain('after output', 'after output'),
    plain('without end', 'without end', {
      fuelMax: 100_000_000,
      mayDiffer: [
        { quantity: 'slices', why: 'frames have another size on each architecture, so a stack ends after other numbers of calls' },
      ],
    }),
  ],
};

const LOOP = (name: string, body: string): string =>
  `(func (export "${name}") (local $i i32) (local $x i64) (loop $l ${body} (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 5000)))) (i64.store (i32.const 1024) (local.get $x)) (call $out (i32.const 8)))`;

const fuel: TextModule = {
  name: 'fuel',
  group: 'fuel',
  text: moduleText(
    [
      LOOP('loop', '(local.set $x (i64.add (i64.mul (local.get $x) (i64.const 6364136223846793005)) (i64.const 1442695040888963407)))'),
      LOOP(
        'loop with branches',
        '(if (i32.and (local.get $i) (i32.const 1)) (then (local.set $x (i64.add (local.get $x) (i64.const 3)))) (else (local.set $x (i64.xor (local.get $x) (i64.extend_i32_u (local.get $i))))))',
      ),
      LOOP(
        'loop with memory',
        '(i64.store (i32.add (i32.const 2048) (i32.and (local.get $i) (i32.const 0xff8))) (local.get $x)) (local.set $x (i64.rotl (i64.load offset=2048 (i32.and (i32.mul (local.get $i) (i32.const 8)) (i32.const 0xff8))) (i64.const 9)))',
      ),
      '(func (export "for ever") (loop $l (br $l)))',
      '(func $fib (param i32) (result i32) (if (result i32) (i32.lt_u (local.get 0) (i32.const 2)) (then (local.get 0)) (else (i32.add (call $fib (i32.sub (local.get 0) (i32.const 1))) (call $fib (i32.sub (local.get 0) (i32.const 2)))))))',
      writer('calls', [{ type: 'i32', text: '(call $fib (i32.const 18))' }]),
    ].join('\n'),
  ),
  cases: [
    ...['loop', 'loop with branches', 'loop with memory', 'calls'].flatMap((entry) => [
      plain(`${entry}, one leg`, entry, { fuelSlice: null }),
      plain(`${entry}, slices of 1000`, entry, { fuelSlice: 1_000 }),
      plain(`${entry}, slices of 7777`, entry, { fuelSlice: 7_777 }),
      plain(`${entry}, too little`, entry, { fuelMax: 20_000, fuelSlice: 3_000 }),
    ]),
    plain('for ever', 'for ever', { fuelMax: 123_456, fuelSlice: 10_000 }),
  ],
};

const wasi: TextModule = {
  name: 'wasi',
  group: 'wasi',
  text: moduleText(
    [
      // Each writes the number that came back, and what the call wrote.
      '(func (export "arguments") (i32.store (i32.const 1024) (call $args_sizes_get (i32.const 1028) (i32.const 1032))) (drop (call $args_get (i32.const 2048) (i32.const 2112))) (memory.copy (i32.const 1036) (i32.const 2112) (i32.load (i32.const 1032))) (call $out (i32.add (i32.const 12) (i32.load (i32.const 1032)))))',
      '(func (export "environment") (i32.store (i32.const 1024) (call $environ_sizes_get (i32.const 1028) (i32.const 1032))) (drop (call $environ_get (i32.const 2048) (i32.const 2112))) (memory.copy (i32.const 1036) (i32.const 2112) (i32.load (i32.const 1032))) (call $out (i32.add (i32.const 12) (i32.load (i32.const 1032)))))',
      '(func (export "input") (i32.store (i32.const 16) (i32.const 1028)) (i32.store (i32.const 20) (i32.const 100)) (i32.store (i32.const 1024) (call $fd_read (i32.const 0) (i32.const 16) (i32.const 1) (i32.const 24))) (call $out (i32.add (i32.const 4) (i32.load (i32.const 24)))))',
      '(func (export "chance") (i32.store (i32.const 1024) (call $random_get (i32.const 1028) (i32.const 41))) (call $out (i32.const 45)))',
      '(func (export "clocks") (local $i i32) (i32.store (i32.const 1024) (call $clock (i32.const 0) (i64.const 1) (i32.const 1032))) (i32.store (i32.const 1028) (call $clock (i32.const 1) (i64.const 1) (i32.const 1040))) (loop $l (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 30000)))) (drop (call $clock (i32.const 1) (i64.const 1) (i32.const 1048))) (call $out (i32.const 32)))',
      '(func (export "exit") (call $proc_exit (i32.const 42)))',
      '(func (export "exit of nothing") (call $proc_exit (i32.const 0)))',
      '(func (export "error output") (i32.store (i32.const 16) (i32.const 32768)) (i32.store (i32.const 20) (i32.const 9)) (i32.store (i32.const 1024) (call $write (i32.const 2) (i32.const 16) (i32.const 1) (i32.const 24))) (call $out (i32.const 4)))',
      '(func (export "a file") (i32.store (i32.const 1024) (call $path (i32.const 3) (i32.const 0) (i32.const 32768) (i32.const 4) (i32.const 0) (i64.const 0) (i64.const 0) (i32.const 0) (i32.const 1028))) (call $out (i32.const 4)))',
      '(func (export "sleep") (i64.store (i32.const 2048) (i64.const 7)) (i32.store8 (i32.const 2056) (i32.const 0)) (i32.store (i32.const 2064) (i32.const 1)) (i64.store (i32.const 2072) (i64.const 1500000)) (i64.store (i32.const 2080) (i64.const 0)) (i32.store16 (i32.const 2088) (i32.const 0)) (i32.store (i32.const 1024) (call $poll_oneoff (i32.const 2048) (i32.const 1028) (i32.const 1) (i32.const 3000))) (call $out (i32.const 36)))',
    ].join('\n'),
    {
      operands: operandText([[...Buffer.from('a name, ')], [...Buffer.from('and more')]]),
      imports: [
        WASI('args_sizes_get', 2),
        WASI('args_get', 2),
        WASI('environ_sizes_get', 2),
        WASI('environ_get', 2),
        WASI('fd_read', 4),
        WASI('random_get', 2),
        WASI('poll_oneoff', 4),
        '(import "wasi_snapshot_preview1" "clock_time_get" (func $clock (param i32 i64 i32) (result i32)))',
        '(import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))',
        '(import "wasi_snapshot_preview1" "path_open" (func $path (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))',
      ].join('\n  '),
    },
  ),
  cases: ((): readonly ConformanceCase[] => {
    const entries = ['arguments', 'environment', 'input', 'chance', 'clocks', 'exit', 'exit of nothing', 'error output', 'a file', 'sleep'];
    const context: Partial<ConformanceCase> = {
      args: ['guest', 'Grüße', ''],
      env: [
        ['WM_EVENT_ID', 'event-1'],
        ['WM_ATTEMPT', '1'],
      ],
      stdin: Buffer.from('{"v":7}\n').toString('base64'),
    };
    const nothing = { clock: false, random: false, environment: false, sleep: false };
    return entries.flatMap((entry) => [
      plain(entry, entry, context),
      plain(`${entry}, not granted`, entry, { ...context, granted: nothing }),
    ]);
  })(),
};

const requests: TextModule = {
  name: 'requests',
  group: 'wasi',
  text: moduleText(
    [
      ...['state_get', 'state_set', 'publish', 'log'].map(
        (operation) =>
          `(func (export "${operation}") (i32.store (i32.const 1024) (call $${operation} (i32.const 32768) (i32.const 13))) (i32.store (i32.const 1028) (call $take (i32.const 1032) (i32.const 64))) (call $out (i32.const 40)))`,
      ),
      writer('outside of memory', [{ type: 'i32', text: '(call $log (i32.const -5) (i32.const 100))' }]),
      writer('numbers that were read', [{ type: 'i32', text: operand('i32', 0) }]),
    ].join('\n'),
    {
      operands: operandText([[...Buffer.from('counter/total')]]),
      imports: ['state_get', 'state_set', 'publish', 'log', 'take']
        .map((operation) => `(import "wasmmatrix" "${operation}" (func $${operation} (param i32 i32) (result i32)))`)
        .join('\n  '),
    },
  ),
  cases: ['state_get', 'state_set', 'publish', 'log', 'outside of memory', 'numbers that were read'].map((entry) => plain(entry, entry)),
};

export const BEHAVIOUR_MODULES: readonly TextModule[] = [memory, copies, tables, traps, fuel, wasi, requests];
