// Makes a component of a core module, as component toolchains do: imports the interfaces that the SDK's component.ts calls, lowers their
// functions, and lifts `run` as wasi:cli/run. The module brings memory and allocator, which those functions need before the module has
// been made: it gets a table of calls first, and the table is filled afterwards.
import { core, Bytes, name, vector } from './binary.ts';

/** A type of an interface: a primitive, one that was named before, or one made of others. */
type Type =
  | keyof typeof PRIMITIVES
  | { readonly named: string }
  | { readonly own: string }
  | { readonly borrow: string }
  | { readonly list: Type }
  | { readonly option: Type }
  | { readonly ok: Type | null; readonly error: Type | null }
  | { readonly variant: readonly (readonly [string, Type | null])[] }
  | { readonly levels: readonly string[] };

type Call = {
  readonly name: string;
  readonly parameters: readonly (readonly [string, Type])[];
  readonly result: Type | null;
  /** Of the lowered function: `i` is i32, `l` is i64. */
  readonly core: readonly [parameters: string, results: string];
};

type Interface = {
  readonly name: string;
  /** Resources of earlier interfaces. */
  readonly uses: readonly string[];
  readonly resources: readonly string[];
  readonly types: readonly (readonly [string, Type])[];
  readonly calls: readonly Call[];
};

const PRIMITIVES = { string: 0x73, u64: 0x77, u8: 0x7d } as const;

const STREAM_ERROR: Type = { named: 'stream-error' };
const STORE_ERROR: Type = {
  variant: [
    ['no-such-store', null],
    ['access-denied', null],
    ['other', 'string'],
  ],
};
const MESSAGING_ERROR: Type = {
  variant: [
    ['timeout', null],
    ['connection', 'string'],
    ['permission-denied', 'string'],
    ['other', 'string'],
  ],
};
const BYTES: Type = { list: 'u8' };

const INTERFACES: readonly Interface[] = [
  { name: 'wasi:io/error@0.2.0', uses: [], resources: ['error'], types: [], calls: [] },
  {
    name: 'wasi:io/streams@0.2.0',
    uses: ['error'],
    resources: ['input-stream', 'output-stream'],
    types: [
      [
        'stream-error',
        {
          variant: [
            ['last-operation-failed', { own: 'error' }],
            ['closed', null],
          ],
        },
      ],
    ],
    calls: [
      {
        name: '[method]input-stream.blocking-read',
        parameters: [
          ['self', { borrow: 'input-stream' }],
          ['len', 'u64'],
        ],
        result: { ok: BYTES, error: STREAM_ERROR },
        core: ['ili', ''],
      },
      {
        name: '[method]output-stream.blocking-write-and-flush',
        parameters: [
          ['self', { borrow: 'output-stream' }],
          ['contents', BYTES],
        ],
        result: { ok: null, error: STREAM_ERROR },
        core: ['iiii', ''],
      },
    ],
  },
  {
    name: 'wasi:cli/stdin@0.2.0',
    uses: ['input-stream'],
    resources: [],
    types: [],
    calls: [{ name: 'get-stdin', parameters: [], result: { own: 'input-stream' }, core: ['', 'i'] }],
  },
  {
    name: 'wasi:cli/stdout@0.2.0',
    uses: ['output-stream'],
    resources: [],
    types: [],
    calls: [{ name: 'get-stdout', parameters: [], result: { own: 'output-stream' }, core: ['', 'i'] }],
  },
  {
    name: 'wasi:keyvalue/store@0.2.0-draft2',
    uses: [],
    resources: ['bucket'],
    types: [['error', STORE_ERROR]],
    calls: [
      {
        name: 'open',
        parameters: [['identifier', 'string']],
        result: { ok: { own: 'bucket' }, error: { named: 'error' } },
        core: ['iii', ''],
      },
    ],
  },
  {
    name: 'wasi:keyvalue/atomics@0.2.0-draft2',
    uses: ['bucket'],
    resources: ['cas'],
    types: [
      ['error', STORE_ERROR],
      [
        'cas-error',
        {
          variant: [
            ['store-error', { named: 'error' }],
            ['cas-failed', { own: 'cas' }],
          ],
        },
      ],
    ],
    calls: [
      {
        name: '[static]cas.new',
        parameters: [
          ['bucket', { borrow: 'bucket' }],
          ['key', 'string'],
        ],
        result: { ok: { own: 'cas' }, error: { named: 'error' } },
        core: ['iiii', ''],
      },
      {
        name: '[method]cas.current',
        parameters: [['self', { borrow: 'cas' }]],
        result: { ok: { option: BYTES }, error: { named: 'error' } },
        core: ['ii', ''],
      },
      {
        name: 'swap',
        parameters: [
          ['cas', { own: 'cas' }],
          ['value', BYTES],
        ],
        result: { ok: null, error: { named: 'cas-error' } },
        core: ['iiii', ''],
      },
    ],
  },
  {
    name: 'wasi:messaging/types@0.2.0-draft',
    uses: [],
    resources: ['client', 'message'],
    types: [['error', MESSAGING_ERROR]],
    calls: [
      {
        name: '[static]client.connect',
        parameters: [['name', 'string']],
        result: { ok: { own: 'client' }, error: { named: 'error' } },
        core: ['iii', ''],
      },
      { name: '[constructor]message', parameters: [['data', BYTES]], result: { own: 'message' }, core: ['ii', 'i'] },
    ],
  },
  {
    name: 'wasi:messaging/producer@0.2.0-draft',
    uses: ['client', 'message'],
    resources: [],
    types: [['error', MESSAGING_ERROR]],
    calls: [
      {
        name: 'send',
        parameters: [
          ['c', { borrow: 'client' }],
          ['topic', 'string'],
          ['message', { own: 'message' }],
        ],
        result: { ok: null, error: { named: 'error' } },
        core: ['iiiii', ''],
      },
    ],
  },
  {
    name: 'wasi:logging/logging@0.1.0-draft',
    uses: [],
    resources: [],
    types: [['level', { levels: ['trace', 'debug', 'info', 'warn', 'error', 'critical'] }]],
    calls: [
      {
        name: 'log',
        parameters: [
          ['level', { named: 'level' }],
          ['context', 'string'],
          ['message', 'string'],
        ],
        result: null,
        core: ['iiiii', ''],
      },
    ],
  },
];

const COMPONENT = [0x00, 0x61, 0x73, 0x6d, 0x0d, 0x00, 0x01, 0x00];
const SECTION = { coreModule: 1, coreInstance: 2, instance: 5, alias: 6, type: 7, canon: 8, import: 10, export: 11 } as const;
/** Kinds of what is named in an alias or export. */
const CORE_FUNCTION = [0x00, 0x00] as const;
const CORE_TABLE = [0x00, 0x01] as const;
const CORE_MEMORY = [0x00, 0x02] as const;

/** The type of one interface, in an index space of its own. */
class InstanceType {
  readonly #declarations: Bytes[] = [];
  readonly #names = new Map<string, number>();
  #types = 0;

  constructor({ uses, resources, types, calls }: Interface, outer: ReadonlyMap<string, number>) {
    for (const used of uses) {
      const index = outer.get(used);
      if (index === undefined) throw new Error(`no interface before this one has the resource ${used}`);
      this.#declarations.push(new Bytes().byte(0x02, 0x03, 0x02).number(1).number(index));
      this.#named(used, new Bytes().byte(0x03, 0x00).number(this.#types++));
    }
    for (const resource of resources) this.#named(resource, new Bytes().byte(0x03, 0x01));
    for (const [label, type] of types) this.#named(label, new Bytes().byte(0x03, 0x00).number(this.#define(type)));
    for (const { name: label, parameters, result } of calls) {
      const labels = vector(parameters.map(([parameter, type]) => new Bytes().text(parameter).bytes(this.#value(type))));
      const given = result === null ? new Bytes().byte(0x01, 0x00) : new Bytes().byte(0x00).bytes(this.#value(result));
      const index = this.#declare(new Bytes().byte(0x40).bytes(labels).bytes(given));
      this.#declarations.push(new Bytes().byte(0x04).bytes(name(label)).byte(0x01).number(index));
    }
  }

  encode(): Bytes {
    return new Bytes().byte(0x42).bytes(vector(this.#declarations));
  }

  #declare(type: Bytes): number {
    this.#declarations.push(new Bytes().byte(0x01).bytes(type));
    return this.#types++;
  }

  /** An exported type: from here on it is called by its export. */
  #named(label: string, bound: Bytes): void {
    this.#declarations.push(new Bytes().byte(0x04).bytes(name(label)).bytes(bound));
    this.#names.set(label, this.#types++);
  }

  #value(type: Type): Bytes {
    if (typeof type === 'string') return new Bytes().byte(PRIMITIVES[type]);
    return new Bytes().signed('named' in type ? this.#index(type.named) : this.#define(type));
  }

  #index(label: string): number {
    const index = this.#names.get(label);
    if (index === undefined) throw new Error(`no type before this one is called ${label}`);
    return index;
  }

  #maybe(type: Type | null): Bytes {
    return type === null ? new Bytes().byte(0x00) : new Bytes().byte(0x01).bytes(this.#value(type));
  }

  #define(type: Type): number {
    if (typeof type === 'string') return this.#declare(new Bytes().byte(PRIMITIVES[type]));
    if ('named' in type) return this.#index(type.named);
    if ('own' in type) return this.#declare(new Bytes().byte(0x69).number(this.#index(type.own)));
    if ('borrow' in type) return this.#declare(new Bytes().byte(0x68).number(this.#index(type.borrow)));
    if ('list' in type) return this.#declare(new Bytes().byte(0x70).bytes(this.#value(type.list)));
    if ('option' in type) return this.#declare(new Bytes().byte(0x6b).bytes(this.#value(type.option)));
    if ('levels' in type) return this.#declare(new Bytes().byte(0x6d).bytes(vector(type.levels.map((level) => new Bytes().text(level)))));
    if ('variant' in type) {
      const cases = type.variant.map(([label, payload]) => new Bytes().text(label).bytes(this.#maybe(payload)).byte(0x00));
      return this.#declare(new Bytes().byte(0x71).bytes(vector(cases)));
    }
    const [ok, error] = [this.#maybe(type.ok), this.#maybe(type.error)];
    return this.#declare(new Bytes().byte(0x6a).bytes(ok).bytes(error));
  }
}

/** Sections one after the other; what they define is counted. */
class Component {
  readonly #out = new Bytes().byte(...COMPONENT);
  readonly #counts = new Map<string, number>();

  section(id: number, contents: Bytes): void {
    this.#out.byte(id).number(contents.length).bytes(contents);
  }

  /** A section with one item, and the item's place among its kind. */
  define(id: number, kind: string, item: Bytes): number {
    this.section(id, id === SECTION.coreModule ? item : vector([item]));
    const index = this.#counts.get(kind) ?? 0;
    this.#counts.set(kind, index + 1);
    return index;
  }

  module(bytes: Uint8Array): number {
    return this.define(SECTION.coreModule, 'core module', new Bytes().raw(bytes));
  }

  instantiate(module: number, given: readonly (readonly [string, number])[]): number {
    const args = given.map(([label, instance]) => new Bytes().text(label).byte(0x12).number(instance));
    return this.define(SECTION.coreInstance, 'core instance', new Bytes().byte(0x00).number(module).bytes(vector(args)));
  }

  bundle(exports: readonly (readonly [string, readonly [number, number], number])[]): number {
    const items = exports.map(([label, [, kind], index]) => new Bytes().text(label).byte(kind).number(index));
    return this.define(SECTION.coreInstance, 'core instance', new Bytes().byte(0x01).bytes(vector(items)));
  }

  coreAlias(instance: number, label: string, kind: readonly [number, number]): number {
    return this.define(
      SECTION.alias,
      `core ${kind[1]}`,
      new Bytes()
        .byte(...kind, 0x01)
        .number(instance)
        .text(label),
    );
  }

  finish(): Uint8Array {
    return this.#out.finish();
  }
}

/** The component around a core module that exports `memory`, `realloc` and `run`, and imports what the interfaces above have. */
export function componentOf(main: Uint8Array): Uint8Array {
  const component = new Component();
  const resources = new Map<string, number>();
  const calls = INTERFACES.flatMap((one) => one.calls.map((call) => ({ of: one.name, call })));
  const functions: number[] = [];
  for (const one of INTERFACES) {
    const type = component.define(SECTION.type, 'type', new InstanceType(one, resources).encode());
    const instance = component.define(SECTION.import, 'instance', name(one.name).byte(0x05).number(type));
    for (const resource of one.resources) {
      const alias = new Bytes().byte(0x03, 0x00).number(instance).text(resource);
      resources.set(resource, component.define(SECTION.alias, 'type', alias));
    }
    for (const { name: label } of one.calls) {
      functions.push(component.define(SECTION.alias, 'function', new Bytes().byte(0x01, 0x00).number(instance).text(label)));
    }
  }
  const table = component.instantiate(component.module(core.table(calls.map(({ call }) => call.core))), []);
  const early = calls.map((_, i) => component.coreAlias(table, String(i), CORE_FUNCTION));
  const given = INTERFACES.filter((one) => one.calls.length > 0).map((one) => {
    const own = calls.flatMap(({ of, call }, i) => (of === one.name ? [[call.name, CORE_FUNCTION, early[i] ?? 0] as const] : []));
    return [one.name, component.bundle(own)] as const;
  });
  const instance = component.instantiate(component.module(main), given);
  const memory = component.coreAlias(instance, 'memory', CORE_MEMORY);
  const realloc = component.coreAlias(instance, 'realloc', CORE_FUNCTION);
  const run = component.coreAlias(instance, 'run', CORE_FUNCTION);
  const options = vector([new Bytes().byte(0x03).number(memory), new Bytes().byte(0x04).number(realloc)]);
  const lowered = functions.map((index) =>
    component.define(SECTION.canon, `core ${CORE_FUNCTION[1]}`, new Bytes().byte(0x01, 0x00).number(index).bytes(options)),
  );
  const late = component.bundle([
    ['table', CORE_TABLE, component.coreAlias(table, 'table', CORE_TABLE)],
    ...lowered.map((index, i) => [String(i), CORE_FUNCTION, index] as const),
  ]);
  component.instantiate(component.module(core.filling(calls.map(({ call }) => call.core))), [['', late]]);
  const outcome = component.define(SECTION.type, 'type', new Bytes().byte(0x6a, 0x00, 0x00));
  const type = component.define(SECTION.type, 'type', new Bytes().byte(0x40, 0x00, 0x00).signed(outcome));
  const lifted = component.define(SECTION.canon, 'function', new Bytes().byte(0x00, 0x00).number(run).byte(0x00).number(type));
  const command = component.define(
    SECTION.instance,
    'instance',
    new Bytes().byte(0x01).bytes(vector([name('run').byte(0x01).number(lifted)])),
  );
  component.section(SECTION.export, vector([name('wasi:cli/run@0.2.0').byte(0x05).number(command).byte(0x00)]));
  return component.finish();
}
