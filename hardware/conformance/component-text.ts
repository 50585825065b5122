// Builds components in WebAssembly's text format: a core module that may call functions of WASI 0.2, with memory and allocator beside
// it, and whose exports are lifted to functions without parameters.

/** Types of an interface, and those of them that later interfaces use. */
type Interface = { readonly id: string; readonly name: string; readonly types: string; readonly gives: readonly string[] };

/** The type of another interface, inside the type of an instance. `$C` is the component that imports both. */
function use(...names: readonly string[]): string {
  return names
    .map((name) => `(alias outer $C $${name} (type $${name}-outer)) (export "${name}" (type $${name} (eq $${name}-outer)))`)
    .join('\n    ');
}

const STORE_ERROR = '(type $error-plain (variant (case "no-such-store") (case "access-denied") (case "other" string)))';

/** In an order in which each uses earlier ones only. */
const INTERFACES: readonly Interface[] = [
  { id: 'io-error', name: 'wasi:io/error@0.2.0', types: '(export "error" (type (sub resource)))', gives: ['error'] },
  { id: 'poll', name: 'wasi:io/poll@0.2.3', types: '(export "pollable" (type $pollable (sub resource)))', gives: ['pollable'] },
  {
    id: 'streams',
    name: 'wasi:io/streams@0.2.0',
    types: `${use('error', 'pollable')}
    (export "input-stream" (type $input-stream (sub resource)))
    (export "output-stream" (type $output-stream (sub resource)))
    (type $stream-error-plain (variant (case "last-operation-failed" (own $error)) (case "closed")))
    (export "stream-error" (type $stream-error (eq $stream-error-plain)))`,
    gives: ['input-stream', 'output-stream'],
  },
  { id: 'stdin', name: 'wasi:cli/stdin@0.2.0', types: use('input-stream'), gives: [] },
  { id: 'stdout', name: 'wasi:cli/stdout@0.2.0', types: use('output-stream'), gives: [] },
  { id: 'stderr', name: 'wasi:cli/stderr@0.2.0', types: use('output-stream'), gives: [] },
  { id: 'environment', name: 'wasi:cli/environment@0.2.0', types: '', gives: [] },
  { id: 'exit', name: 'wasi:cli/exit@0.2.0', types: '', gives: [] },
  { id: 'monotonic', name: 'wasi:clocks/monotonic-clock@0.2.9', types: use('pollable'), gives: [] },
  {
    id: 'wall',
    name: 'wasi:clocks/wall-clock@0.2.0',
    types: `(type $datetime-plain (record (field "seconds" u64) (field "nanoseconds" u32)))
    (export "datetime" (type $datetime (eq $datetime-plain)))`,
    gives: [],
  },
  { id: 'random', name: 'wasi:random/random@0.2.0', types: '', gives: [] },
  { id: 'insecure-seed', name: 'wasi:random/insecure-seed@0.2.0', types: '', gives: [] },
  {
    id: 'filesystem',
    name: 'wasi:filesystem/types@0.2.0',
    types: '(export "descriptor" (type (sub resource)))',
    gives: ['descriptor'],
  },
  { id: 'preopens', name: 'wasi:filesystem/preopens@0.2.0', types: use('descriptor'), gives: [] },
  {
    id: 'terminal-output',
    name: 'wasi:cli/terminal-output@0.2.0',
    types: '(export "terminal-output" (type (sub resource)))',
    gives: ['terminal-output'],
  },
  { id: 'terminal-stdout', name: 'wasi:cli/terminal-stdout@0.2.0', types: use('terminal-output'), gives: [] },
  {
    id: 'store',
    name: 'wasi:keyvalue/store@0.2.0-draft2',
    types: `(export "bucket" (type $bucket (sub resource)))
    ${STORE_ERROR} (export "error" (type $store-error (eq $error-plain)))
    (type $key-response-plain (record (field "keys" (list string)) (field "cursor" (option string))))
    (export "key-response" (type $key-response (eq $key-response-plain)))`,
    gives: ['bucket'],
  },
  {
    id: 'atomics',
    name: 'wasi:keyvalue/atomics@0.2.0-draft2',
    types: `${use('bucket')}
    ${STORE_ERROR} (export "error" (type $store-error (eq $error-plain)))
    (export "cas" (type $cas (sub resource)))
    (type $cas-error-plain (variant (case "store-error" $store-error) (case "cas-failed" (own $cas))))
    (export "cas-error" (type $cas-error (eq $cas-error-plain)))`,
    gives: ['cas'],
  },
  {
    id: 'batch',
    name: 'wasi:keyvalue/batch@0.2.0-draft2',
    types: `${use('bucket')}
    ${STORE_ERROR} (export "error" (type $store-error (eq $error-plain)))`,
    gives: [],
  },
  {
    id: 'message-types',
    name: 'wasi:messaging/types@0.2.0-draft',
    types: `(export "client" (type $client (sub resource)))
    (export "message" (type $message (sub resource)))
    (type $error-plain (variant (case "timeout") (case "connection" string) (case "permission-denied" string) (case "other" string)))
    (export "error" (type $messaging-error (eq $error-plain)))`,
    gives: ['client', 'message'],
  },
  {
    id: 'producer',
    name: 'wasi:messaging/producer@0.2.0-draft',
    types: `${use('client', 'message')}
    (type $error-plain (variant (case "timeout") (case "connection" string) (case "permission-denied" string) (case "other" string)))
    (export "error" (type $messaging-error (eq $error-plain)))`,
    gives: [],
  },
  {
    id: 'logging',
    name: 'wasi:logging/logging@0.1.0-draft',
    types: `(type $level-plain (enum "trace" "debug" "info" "warn" "error" "critical"))
    (export "level" (type $level (eq $level-plain)))`,
    gives: [],
  },
];

/** Functions of the host: interface, name there, type there, type as a core function. A name without interface drops a handle. */
const FUNCTIONS = {
  'get-stdin': ['stdin', 'get-stdin', '(result (own $input-stream))', '(result i32)'],
  'get-stdout': ['stdout', 'get-stdout', '(result (own $output-stream))', '(result i32)'],
  'get-stderr': ['stderr', 'get-stderr', '(result (own $output-stream))', '(result i32)'],
  read: [
    'streams',
    '[method]input-stream.blocking-read',
    '(param "self" (borrow $input-stream)) (param "len" u64) (result (result (list u8) (error $stream-error)))',
    '(param i32 i64 i32)',
  ],
  skip: [
    'streams',
    '[method]input-stream.skip',
    '(param "self" (borrow $input-stream)) (param "len" u64) (result (result u64 (error $stream-error)))',
    '(param i32 i64 i32)',
  ],
  write: [
    'streams',
    '[method]output-stream.blocking-write-and-flush',
    '(param "self" (borrow $output-stream)) (param "contents" (list u8)) (result (result (error $stream-error)))',
    '(param i32 i32 i32 i32)',
  ],
  'write-zeroes': [
    'streams',
    '[method]output-stream.write-zeroes',
    '(param "self" (borrow $output-stream)) (param "len" u64) (result (result (error $stream-error)))',
    '(param i32 i64 i32)',
  ],
  splice: [
    'streams',
    '[method]output-stream.splice',
    '(param "self" (borrow $output-stream)) (param "src" (borrow $input-stream)) (param "len" u64) (result (result u64 (error $stream-error)))',
    '(param i32 i32 i64 i32)',
  ],
  'check-write': [
    'streams',
    '[method]output-stream.check-write',
    '(param "self" (borrow $output-stream)) (result (result u64 (error $stream-error)))',
    '(param i32 i32)',
  ],
  'subscribe-output': [
    'streams',
    '[method]output-stream.subscribe',
    '(param "self" (borrow $output-stream)) (result (own $pollable))',
    '(param i32) (result i32)',
  ],
  ready: ['poll', '[method]pollable.ready', '(param "self" (borrow $pollable)) (result bool)', '(param i32) (result i32)'],
  block: ['poll', '[method]pollable.block', '(param "self" (borrow $pollable))', '(param i32)'],
  poll: ['poll', 'poll', '(param "in" (list (borrow $pollable))) (result (list u32))', '(param i32 i32 i32)'],
  'get-environment': ['environment', 'get-environment', '(result (list (tuple string string)))', '(param i32)'],
  'get-arguments': ['environment', 'get-arguments', '(result (list string))', '(param i32)'],
  'initial-cwd': ['environment', 'initial-cwd', '(result (option string))', '(param i32)'],
  exit: ['exit', 'exit', '(param "status" (result))', '(param i32)'],
  now: ['monotonic', 'now', '(result u64)', '(result i64)'],
  resolution: ['monotonic', 'resolution', '(result u64)', '(result i64)'],
  'subscribe-duration': ['monotonic', 'subscribe-duration', '(param "when" u64) (result (own $pollable))', '(param i64) (result i32)'],
  'subscribe-instant': ['monotonic', 'subscribe-instant', '(param "when" u64) (result (own $pollable))', '(param i64) (result i32)'],
  'wall-now': ['wall', 'now', '(result $datetime)', '(param i32)'],
  'random-bytes': ['random', 'get-random-bytes', '(param "len" u64) (result (list u8))', '(param i64 i32)'],
  'random-u64': ['random', 'get-random-u64', '(result u64)', '(result i64)'],
  'insecure-seed': ['insecure-seed', 'insecure-seed', '(result (tuple u64 u64))', '(param i32)'],
  directories: ['preopens', 'get-directories', '(result (list (tuple (own $descriptor) string)))', '(param i32)'],
  terminal: ['terminal-stdout', 'get-terminal-stdout', '(result (option (own $terminal-output)))', '(param i32)'],
  open: ['store', 'open', '(param "identifier" string) (result (result (own $bucket) (error $store-error)))', '(param i32 i32 i32)'],
  get: [
    'store',
    '[method]bucket.get',
    '(param "self" (borrow $bucket)) (param "key" string) (result (result (option (list u8)) (error $store-error)))',
    '(param i32 i32 i32 i32)',
  ],
  set: [
    'store',
    '[method]bucket.set',
    '(param "self" (borrow $bucket)) (param "key" string) (param "value" (list u8)) (result (result (error $store-error)))',
    '(param i32 i32 i32 i32 i32 i32)',
  ],
  exists: [
    'store',
    '[method]bucket.exists',
    '(param "self" (borrow $bucket)) (param "key" string) (result (result bool (error $store-error)))',
    '(param i32 i32 i32 i32)',
  ],
  delete: [
    'store',
    '[method]bucket.delete',
    '(param "self" (borrow $bucket)) (param "key" string) (result (result (error $store-error)))',
    '(param i32 i32 i32 i32)',
  ],
  'list-keys': [
    'store',
    '[method]bucket.list-keys',
    '(param "self" (borrow $bucket)) (param "cursor" (option string)) (result (result $key-response (error $store-error)))',
    '(param i32 i32 i32 i32 i32)',
  ],
  increment: [
    'atomics',
    'increment',
    '(param "bucket" (borrow $bucket)) (param "key" string) (param "delta" s64) (result (result s64 (error $store-error)))',
    '(param i32 i32 i32 i64 i32)',
  ],
  'cas-new': [
    'atomics',
    '[static]cas.new',
    '(param "bucket" (borrow $bucket)) (param "key" string) (result (result (own $cas) (error $store-error)))',
    '(param i32 i32 i32 i32)',
  ],
  'cas-current': [
    'atomics',
    '[method]cas.current',
    '(param "self" (borrow $cas)) (result (result (option (list u8)) (error $store-error)))',
    '(param i32 i32)',
  ],
  swap: [
    'atomics',
    'swap',
    '(param "cas" (own $cas)) (param "value" (list u8)) (result (result (error $cas-error)))',
    '(param i32 i32 i32 i32)',
  ],
  'get-many': [
    'batch',
    'get-many',
    '(param "bucket" (borrow $bucket)) (param "keys" (list string)) (result (result (list (option (tuple string (list u8)))) (error $store-error)))',
    '(param i32 i32 i32 i32)',
  ],
  'set-many': [
    'batch',
    'set-many',
    '(param "bucket" (borrow $bucket)) (param "key-values" (list (tuple string (list u8)))) (result (result (error $store-error)))',
    '(param i32 i32 i32 i32)',
  ],
  connect: [
    'message-types',
    '[static]client.connect',
    '(param "name" string) (result (result (own $client) (error $messaging-error)))',
    '(param i32 i32 i32)',
  ],
  message: ['message-types', '[constructor]message', '(param "data" (list u8)) (result (own $message))', '(param i32 i32) (result i32)'],
  'set-content-type': [
    'message-types',
    '[method]message.set-content-type',
    '(param "self" (borrow $message)) (param "content-type" string)',
    '(param i32 i32 i32)',
  ],
  'content-type': [
    'message-types',
    '[method]message.content-type',
    '(param "self" (borrow $message)) (result (option string))',
    '(param i32 i32)',
  ],
  'add-metadata': [
    'message-types',
    '[method]message.add-metadata',
    '(param "self" (borrow $message)) (param "key" string) (param "value" string)',
    '(param i32 i32 i32 i32 i32)',
  ],
  send: [
    'producer',
    'send',
    '(param "c" (borrow $client)) (param "topic" string) (param "message" (own $message)) (result (result (error $messaging-error)))',
    '(param i32 i32 i32 i32 i32)',
  ],
  log: ['logging', 'log', '(param "level" $level) (param "context" string) (param "message" string)', '(param i32 i32 i32 i32 i32)'],
  'drop-output-stream': [null, 'output-stream', '', '(param i32)'],
  'drop-input-stream': [null, 'input-stream', '', '(param i32)'],
  'drop-pollable': [null, 'pollable', '', '(param i32)'],
  'drop-bucket': [null, 'bucket', '', '(param i32)'],
  'drop-message': [null, 'message', '', '(param i32)'],
} as const satisfies Readonly<Record<string, readonly [string | null, string, string, string]>>;

export type HostFunction = keyof typeof FUNCTIONS;

/** A bump allocator: what was given is never taken back. */
export const MEMORY = `(core module $Memory
    (memory (export "memory") 4)
    (global $next (mut i32) (i32.const 131072))
    (func (export "realloc") (param $old i32) (param $old-size i32) (param $align i32) (param $size i32) (result i32) (local $at i32)
      (local.set $at (i32.and (i32.add (global.get $next) (i32.sub (local.get $align) (i32.const 1))) (i32.sub (i32.const 0) (local.get $align))))
      (global.set $next (i32.add (local.get $at) (local.get $size)))
      (if (i32.gt_u (global.get $next) (i32.mul (memory.size) (i32.const 65536)))
        (then (if (i32.lt_s (memory.grow (i32.add (i32.div_u (local.get $size) (i32.const 65536)) (i32.const 1))) (i32.const 0)) (then unreachable))))
      (memory.copy (local.get $at) (local.get $old) (local.get $old-size))
      (local.get $at)))
  (core instance $memory (instantiate $Memory))`;

export type Lifted = {
  /** Of the core module and of the component; in kebab-case. */
  readonly name: string;
  /** `result`: its core function gives 0 for ok and 1 for an error. */
  readonly gives?: 'nothing' | 'result' | 's32';
};

/** The interfaces that hold these functions, and those that they use, in order. */
function interfacesOf(uses: readonly HostFunction[]): readonly Interface[] {
  const wanted = new Set<string>();
  for (const name of uses) {
    const [where, resource] = FUNCTIONS[name];
    wanted.add(where ?? INTERFACES.find(({ gives }) => gives.includes(resource))?.id ?? '');
  }
  for (const { id, types } of INTERFACES.toReversed()) {
    if (!wanted.has(id)) continue;
    for (const [, name = ''] of types.matchAll(/alias outer \$C \$([a-z-]+) /g)) {
      wanted.add(INTERFACES.find(({ gives }) => gives.includes(name))?.id ?? '');
    }
  }
  return INTERFACES.filter(({ id }) => wanted.has(id));
}

/** What the component `$<label>` imports. */
export function interfacesText(uses: readonly HostFunction[], label = 'C'): string {
  return interfacesOf(uses)
    .flatMap(({ id, name, types, gives }) => {
      const functions = uses.flatMap((use) => {
        const [where, inner, type] = FUNCTIONS[use];
        return where === id ? [`(export "${inner}" (func ${type}))`] : [];
      });
      const contents = [types, ...functions].join('\n    ').replaceAll('outer $C ', `outer $${label} `);
      return [
        `(import "${name}" (instance $${id}\n    ${contents}))`,
        ...gives.map((one) => `(alias export $${id} "${one}" (type $${one}))`),
      ];
    })
    .join('\n  ');
}

/** Hands the same interfaces on to a component inside. */
export function handedText(uses: readonly HostFunction[]): string {
  return interfacesOf(uses)
    .map(({ id, name }) => `(with "${name}" (instance $${id}))`)
    .join(' ');
}

/** The imports of the component `$C`, and its core functions `$<name>` of the host. */
export function hostText(uses: readonly HostFunction[]): string {
  const functions = uses.map((name) => {
    const [where, inner] = FUNCTIONS[name];
    return where === null
      ? `(core func $${name} (canon resource.drop $${inner}))`
      : `(core func $${name} (canon lower (func $${where} "${inner}") (memory $memory "memory") (realloc (func $memory "realloc"))))`;
  });
  return [interfacesText(uses), MEMORY, ...functions].join('\n  ');
}

/** How a core module gets those functions. */
export function importText(uses: readonly HostFunction[]): string {
  return [
    '(import "memory" "memory" (memory 1))',
    '(import "memory" "realloc" (func $realloc (param i32 i32 i32 i32) (result i32)))',
    ...uses.map((name) => `(import "host" "${name}" (func $${name} ${FUNCTIONS[name][3]}))`),
  ].join('\n    ');
}

export function withText(uses: readonly HostFunction[]): string {
  return `(with "memory" (instance $memory)) (with "host" (instance ${uses.map((name) => `(export "${name}" (func $${name}))`).join(' ')}))`;
}

export function liftText(instance: string, lifted: readonly Lifted[]): string {
  const types = { nothing: '', result: '(result (result))', s32: '(result s32)' };
  return lifted
    .map(({ name, gives = 'nothing' }) => `(func (export "${name}") ${types[gives]} (canon lift (core func ${instance} "${name}")))`)
    .join('\n  ');
}

/** Writes `$length` bytes at `$at` to standard output, in as many calls as it takes. */
export const OUT_USES = ['get-stdout', 'write', 'drop-output-stream'] as const satisfies readonly HostFunction[];
export const OUT = `(func $out (param $at i32) (param $length i32) (local $stream i32) (local $part i32)
      (local.set $stream (call $get-stdout))
      (loop $next
        (local.set $part (select (local.get $length) (i32.const 4096) (i32.lt_u (local.get $length) (i32.const 4096))))
        (call $write (local.get $stream) (local.get $at) (local.get $part) (i32.const 16))
        (if (i32.load8_u (i32.const 16)) (then unreachable))
        (local.set $at (i32.add (local.get $at) (local.get $part)))
        (local.set $length (i32.sub (local.get $length) (local.get $part)))
        (br_if $next (local.get $length)))
      (call $drop-output-stream (local.get $stream)))`;

/** A component with one core module. `body` holds its functions, `data` its bytes at 32768; `$out` writes. */
export function componentText(options: {
  readonly uses?: readonly HostFunction[];
  readonly body: string;
  readonly data?: string;
  readonly lifted: readonly Lifted[];
  /** Name of the function that `wasi:cli/run` is; it gives a result. */
  readonly run?: string;
}): string {
  const uses = [...new Set<HostFunction>([...OUT_USES, ...(options.uses ?? [])])];
  const { body, data = '', lifted, run } = options;
  const command =
    run === undefined
      ? ''
      : `(func $run (result (result)) (canon lift (core func $main "${run}")))
  (instance $command (export "run" (func $run)))
  (export "wasi:cli/run@0.2.0" (instance $command))`;
  return `(component $C
  ${hostText(uses)}
  (core module $Main
    ${importText(uses)}
    (data (i32.const 32768) "${data}")
    ${OUT}
    ${body})
  (core instance $main (instantiate $Main ${withText(uses)}))
  ${liftText('$main', lifted)}
  ${command})`;
}

/** Text of a data segment. */
const escaped = (bytes: Uint8Array): string => [...bytes].map((byte) => `\\${byte.toString(16).padStart(2, '0')}`).join('');
export const at = (address: number, text: string, encoding: BufferEncoding = 'utf8'): string =>
  `(data (i32.const ${address}) "${escaped(Buffer.from(text, encoding))}")`;
export const names = (...all: readonly string[]): readonly Lifted[] => all.map((name) => ({ name }));
