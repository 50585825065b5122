// A plug-in that leaks: the scenario's name says which ambient function its one event uses. `gate:<name>` calls whatever the
// guard put a gate in front of; the others are the ways that people find around a guard.
import { createHash, createPrivateKey, generateKeyPairSync, randomBytes, sign, verify } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { promisify } from 'node:util';
import seedrandom from 'seedrandom';
import { guardedNames } from '../../../../sim/campaign/guard.main.ts';
import type { Player } from '../../../../sim/campaign/campaign.ts';
import type { PlayResult } from '../../../../scenarios/run.ts';

const capturedNow = Date.now;
const capturedTimeout = setTimeout;
const require = createRequire(import.meta.url);
const ref = new WeakRef({});
const keyPair = generateKeyPairSync('ed25519');
const fixedKey = createPrivateKey({ key: keyPair.privateKey.export({ format: 'pem', type: 'pkcs8' }), format: 'pem' });
const ecKey = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;

const HOLDERS: Readonly<Record<string, () => object>> = {
  '': () => globalThis,
  performance: () => performance,
  process: () => process,
  'WeakRef.prototype': () => ref,
  'crypto.subtle': () => globalThis.crypto.subtle,
  'fs.promises': () => process.getBuiltinModule('node:fs/promises'),
  'dns.promises': () => process.getBuiltinModule('node:dns/promises'),
};

/** Uses what stands behind a name: calls it, or calls it as a class, or reads it. */
function use(name: string): void {
  if (name === 'Date()') return void Date();
  if (name === 'new Date()') return void new Date();
  if (name === 'import()') return void import('node:url');
  if (name.startsWith('crypto.sign')) return void sign(null, Buffer.from('x'), ecKey);
  const dot = name.lastIndexOf('.');
  const holderName = name.slice(0, Math.max(0, dot));
  const key = name.slice(dot + 1);
  const found = HOLDERS[holderName]?.() ?? (globalThis as unknown as Record<string, object>)[holderName];
  const holder = found !== undefined && key in found ? found : (process.getBuiltinModule(`node:${holderName}`) as object);
  const value = (holder as Record<string, unknown>)[key];
  if (typeof value !== 'function') return;
  if (/^[A-Z]/.test(key)) Reflect.construct(value, [undefined]);
  else Reflect.apply(value, holder, []);
}

const WAYS: Readonly<Record<string, () => unknown>> = {
  'a reference captured when the module was loaded': () => capturedNow(),
  'a captured timer': () => capturedTimeout(() => {}, 1),
  'a named import of a built-in module': () => readFileSync('/dev/null'),
  'a named import of randomness': () => randomBytes(8),
  'npm code that seeds itself': () => seedrandom(),
  'the constructor of a date': () => Reflect.construct(new Date(0).constructor as DateConstructor, []),
  'hrtime.bigint': () => process.hrtime.bigint(),
  'a promisified timer': () => promisify(setTimeout)(1),
  'a dynamic import': () => import('./leaky.ts'),
  'a require': () => require('node:url'),
  'caught and hidden': () => {
    try {
      return Math.random();
    } catch {
      return 0;
    }
  },
  'a floating promise': () => void Promise.reject(new Error('nobody looks')),
  'after an await': async () => {
    await Promise.resolve();
    return Math.random();
  },
};

const ALLOWED: Readonly<Record<string, () => unknown>> = {
  'a date that is given': () => new Date(0).toISOString(),
  'a synchronous digest': () => createHash('sha256').update('x').digest('hex'),
  'a signature with Ed25519': () => verify(null, Buffer.from('x'), keyPair.publicKey, sign(null, Buffer.from('x'), fixedKey)),
  'a line on the console': () => console.debug(''),
  'a microtask': () => queueMicrotask(() => {}),
  'a copy': () => structuredClone({ a: [1] }),
};

function held(text: string | null): PlayResult {
  return { verdict: 'held', goals: [], trouble: text, records: 0, lastRecords: [], simulatedMicros: 0 };
}

export async function createPlayer(): Promise<Player> {
  return {
    async drive(kernel, job) {
      const name = job.scenario.name;
      if (name === 'names') return held(JSON.stringify({ gates: guardedNames(), ways: Object.keys(WAYS), allowed: Object.keys(ALLOWED) }));
      await new Promise<void>((resolve) => {
        kernel.after(5, null, 'leak', () => {
          kernel.after(1, null, 'done', resolve);
          if (name.startsWith('gate:')) use(name.slice('gate:'.length));
          else void (WAYS[name] ?? ALLOWED[name])?.();
        });
      });
      return held(null);
    },
  };
}
