// Takes ambient authority away from simulated code (H1.4). Imported first in a simulation worker, before any module of the
// product: it puts a gate in front of everything `ambient.ts` names, so that captured references and npm code meet it too.
// While an event runs a gate throws WM_AMBIENT_CALL and ends the run, whether or not the throw is caught; otherwise it
// lets the call through. The kernel's own references were taken by host.main.ts, which is imported before this one acts.
import { registerHooks, syncBuiltinESMExports } from 'node:module';
import { fileURLToPath } from 'node:url';
import { Bug } from '../../system/domain/outcome.ts';
import { AMBIENT_RULES, DATE_USE, IMPORT_USE, LOCAL_USE, SIGN_USE, VERIFY_USE } from './ambient.ts';
import './host.main.ts';

type Callable = (...args: unknown[]) => unknown;

/** Simulated code used the process instead of a port. */
class AmbientCall extends Bug {}

let fail: ((error: unknown) => void) | null = null;
let armed = false;
const gates: string[] = [];

/** From here on an ambient call is refused and handed to `onRefused`. */
export function armGuard(onRefused: (error: unknown) => void): void {
  fail = onRefused;
  armed = true;
}

export function disarmGuard(): void {
  armed = false;
}

/** The play is over: nothing that happens from here on is its doing. */
export function forgetGuard(): void {
  armed = false;
  fail = null;
}

/** Whoever armed last; a rejection that nobody handles is theirs. Null outside plays. */
export function lastArmedBy(): ((error: unknown) => void) | null {
  return fail;
}

/** What has a gate, by the name that messages use. */
export function guardedNames(): readonly string[] {
  return gates;
}

function callerOf(error: Error): string {
  const frames = (error.stack ?? '').split('\n').filter((line) => /^\s+at /.test(line));
  const foreign = frames.find((line) => !line.includes(import.meta.url) && !line.includes('node:') && !line.includes('<anonymous>'));
  return foreign === undefined
    ? 'somewhere without a frame of its own'
    : foreign.trim().slice('at '.length).replaceAll(ROOT, '').replaceAll(ROOT_PATH, '');
}

const ROOT = new URL('../../', import.meta.url).href;
const ROOT_PATH = fileURLToPath(ROOT);

function refuse(what: string, use: string, caller: string | null = null): never {
  // The gate itself must not be met while the error is made.
  armed = false;
  const error = new AmbientCall('');
  error.message = `WM_AMBIENT_CALL: ${what} was used while a simulated event ran, by ${caller ?? callerOf(error)}. Use ${use}.`;
  armed = true;
  fail?.(error);
  throw error;
}

function gate(original: Callable, what: string, use: string): Callable {
  return new Proxy(original, {
    apply(target, self, args) {
      if (armed) refuse(what, use);
      return Reflect.apply(target, self, args);
    },
    construct(target, args, newTarget) {
      if (armed) refuse(`new ${what}`, use);
      return Reflect.construct(target, args, newTarget) as object;
    },
    // process.hrtime.bigint, util.promisify.custom and their like are ways around the function they hang on.
    get(target, key, receiver) {
      const value: unknown = Reflect.get(target, key, receiver);
      const own = Object.getOwnPropertyDescriptor(target, key);
      if (typeof value !== 'function' || own === undefined || own.configurable === false || key === 'prototype') return value;
      return gate(value as Callable, typeof key === 'string' ? `${what}.${key}` : `${what} (promisified)`, use);
    },
  });
}

function install(holder: object, name: string, what: string, use: string): void {
  const own = Object.getOwnPropertyDescriptor(holder, name);
  if (own === undefined || own.configurable === false) return;
  gates.push(what);
  if (own.get !== undefined) {
    const read = own.get;
    Object.defineProperty(holder, name, {
      ...own,
      get(this: unknown): unknown {
        if (armed) refuse(what, use);
        return Reflect.apply(read, this, []);
      },
    });
  } else if (typeof own.value === 'function') {
    Object.defineProperty(holder, name, { ...own, value: gate(own.value as Callable, what, use) });
  } else {
    // An object that answers for the process whenever one of its fields is read.
    const { value, enumerable = true } = own as { readonly value: unknown; readonly enumerable?: boolean };
    const get = (): unknown => (armed ? refuse(what, use) : value);
    Object.defineProperty(holder, name, { configurable: true, enumerable, get });
  }
}

function holderOf(path: string): object | null {
  const [root = '', ...names] = path.split('.');
  const isModule = root.startsWith('node:');
  let value: unknown = isModule ? process.getBuiltinModule(root) : globalThis;
  for (const name of isModule ? names : [root, ...names])
    value = name === 'globalThis' ? value : (value as Record<string, unknown> | undefined)?.[name];
  return typeof value === 'object' || typeof value === 'function' ? value : null;
}

/** Functions of a module, its classes (which only other functions of it make useful) left out. */
function functionsOf(holder: object): string[] {
  return Object.getOwnPropertyNames(holder).filter((name) => {
    const own = Object.getOwnPropertyDescriptor(holder, name);
    return typeof own?.value === 'function' && name !== 'constructor' && !/^[A-Z]/.test(name);
  });
}

for (const rule of AMBIENT_RULES) {
  const holder = holderOf(rule.holder);
  if (holder === null) continue;
  const { except = [] } = rule;
  const names = rule.names === 'functions' ? functionsOf(holder).filter((name) => !except.includes(name)) : rule.names;
  for (const name of names) install(holder, name, rule.called === '' ? name : `${rule.called}.${name}`, rule.use);
}

const RealDate = Date;
const realNow = gate(RealDate.now, 'Date.now', DATE_USE);
/** A date alone is one of UTC, as the language has it. */
const SAYS_ITS_ZONE = /^[-+]?\d{4,6}(?:-\d\d){0,2}$|(?:Z|GMT|UTC|[-+]\d\d:?\d\d)$/i;
const isLocal = (args: readonly unknown[]): boolean =>
  args.length > 1 || (typeof args[0] === 'string' && !SAYS_ITS_ZONE.test(args[0].trim()));
const realParse = new Proxy(RealDate.parse, {
  apply(target, self, args) {
    if (armed && isLocal(args.slice(0, 1))) refuse('Date.parse without a zone', LOCAL_USE);
    return Reflect.apply(target, self, args);
  },
});
const GuardedDate = new Proxy(RealDate, {
  apply(target, self, args) {
    if (armed) refuse('Date()', DATE_USE);
    return Reflect.apply(target, self, args);
  },
  construct(target, args, newTarget) {
    if (armed && args.length === 0) refuse('new Date()', DATE_USE);
    if (armed && isLocal(args)) refuse('new Date() of local time', LOCAL_USE);
    return Reflect.construct(target, args, newTarget) as object;
  },
  get: (target, key, receiver) => (key === 'now' ? realNow : key === 'parse' ? realParse : Reflect.get(target, key, receiver)),
});
globalThis.Date = GuardedDate;
// `new (new Date(0)).constructor()` is `new Date()` by another way.
RealDate.prototype.constructor = GuardedDate;
gates.push('Date()', 'new Date()', 'Date.now');

const crypto = process.getBuiltinModule('node:crypto');
const realSign = crypto.sign as Callable;
crypto.sign = new Proxy(realSign, {
  apply(target, self, args: unknown[]) {
    if (armed) {
      const key = args[2] as { readonly asymmetricKeyType?: string; readonly key?: { readonly asymmetricKeyType?: string } } | null;
      const type = key?.asymmetricKeyType ?? key?.key?.asymmetricKeyType;
      if (typeof args[3] === 'function') refuse('crypto.sign with a callback', SIGN_USE);
      if (type !== 'ed25519') refuse(`crypto.sign with a key of type ${String(type)}`, SIGN_USE);
    }
    return Reflect.apply(target, self, args);
  },
}) as typeof crypto.sign;
gates.push('crypto.sign with a callback', 'crypto.sign with a key of type ec');
for (const name of ['verify', 'diffieHellman'] as const) {
  crypto[name] = new Proxy(crypto[name] as Callable, {
    apply(target, self, args: unknown[]) {
      if (armed && typeof args.at(-1) === 'function') refuse(`crypto.${name} with a callback`, VERIFY_USE);
      return Reflect.apply(target, self, args);
    },
  }) as never;
}

// What people print while they look for something must not end the run: the console's own use of the process is let through.
for (const name of functionsOf(console)) {
  const holder = console as unknown as Record<string, Callable>;
  holder[name] = new Proxy(holder[name] as Callable, {
    apply(target, self, args) {
      const before = armed;
      armed = false;
      try {
        return Reflect.apply(target, self, args);
      } finally {
        armed = before;
      }
    },
  });
}

registerHooks({
  resolve(specifier, context, next) {
    if (armed) refuse(`import or require of '${specifier}'`, IMPORT_USE, context.parentURL?.replaceAll(ROOT, '') ?? null);
    return next(specifier, context);
  },
});
gates.push('import()');

syncBuiltinESMExports();
