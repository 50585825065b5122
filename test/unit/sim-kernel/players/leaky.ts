// A plug-in that leaks: the scenario's name says which ambient function its one event uses. `gate:<name>` calls whatever the
// guard put a gate in front of; the others are the ways that people find around a guard.
import { ChildProcess } from 'node:child_process';
import cluster from 'node:cluster';
import * as crypto from 'node:crypto';
import * as dgram from 'node:dgram';
import * as dns from 'node:dns';
import * as fs from 'node:fs';
import * as http from 'node:http';
import { homedir } from 'node:os';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { executionAsyncId } from 'node:async_hooks';
import { DatabaseSync } from 'node:sqlite';
import { PassThrough } from 'node:stream';
import * as timers from 'node:timers';
import { scheduler } from 'node:timers/promises';
import * as tls from 'node:tls';
import { getHeapStatistics } from 'node:v8';
import * as zlib from 'node:zlib';
import { createGzip } from 'node:zlib';
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
  'Intl.DateTimeFormat.prototype': () => new Intl.DateTimeFormat('en'),
  'timers/promises.scheduler': () => scheduler,
  'Event.prototype': () => new Event('x'),
  'File.prototype': () => new File([], 'x'),
  'Blob.prototype': () => new Blob([]),
  'Date.prototype': () => new Date(0),
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
  'the time of an event': () => new Event('x').timeStamp,
  'the time of a mark': () => Reflect.construct(PerformanceMark, ['x']),
  'the time of a file': () => new File([], 'x').lastModified,
  'a blob that is read': () => new Blob(['x']).arrayBuffer(),
  'the hour of a date': () => new Date(0).getHours(),
  'the zone of the process': () => new Date(0).getTimezoneOffset(),
  'a date as text': () => `${new Date(0)}`,
  'a date of local parts': () => new Date(2030, 0, 1),
  'a date without a zone': () => new Date('2030-01-01T00:00:00'),
  'a parsed date without a zone': () => Date.parse('2030-01-01T00:00:00'),
  'the number of the process': () => process.pid,
  'the arguments of the process': () => process.argv,
  'hrtime.bigint': () => process.hrtime.bigint(),
  'a promisified timer': () => promisify(setTimeout)(1),
  'a dynamic import': () => import('./leaky.ts'),
  'a require': () => require('node:url'),
  'a scheduler of timers': () => scheduler.wait(1),
  'a scheduler that yields': () => scheduler.yield(),
  'the timing of the process': () => performance.nodeTiming.duration,
  'a delay of the event loop': () => monitorEventLoopDelay(),
  'a function that is timed': () => performance.timerify(() => {})(),
  'the clock of Intl': () => new Intl.DateTimeFormat('en').format(),
  'the parts of the clock of Intl': () => new Intl.DateTimeFormat('en').formatToParts(),
  'a stream that reads a file': () => Reflect.construct(fs.ReadStream, ['/dev/null']),
  'a stream that writes a file': () => Reflect.construct(fs.WriteStream, ['/dev/null']),
  'a server made of its class': () => new http.Server(),
  'a request made of its class': () => new http.ClientRequest('http://127.0.0.1:1/'),
  'a socket of TLS made of its class': () => new tls.TLSSocket(new PassThrough()),
  'a resolver made of its class': () => new dns.Resolver(),
  'a resolver of promises made of its class': () => new dns.promises.Resolver(),
  'a child process made of its class': () => Reflect.construct(ChildProcess, []),
  'a datagram socket made of its class': () => Reflect.construct(dgram.Socket, ['udp4']),
  'a signature made of its class': () => Reflect.construct(crypto.Sign, ['sha256']),
  'a curve made of its class': () => Reflect.construct(crypto.ECDH, ['prime256v1']),
  'a signature that is checked on another thread': () => verify(null, Buffer.from('x'), keyPair.publicKey, Buffer.alloc(64), () => {}),
  'a stream that compresses': () => createGzip(),
  'a stream that compresses, made of its class': () => Reflect.construct(zlib.Gzip, []),
  'a web stream that compresses': () => new CompressionStream('gzip'),
  'a database': () => new DatabaseSync(':memory:'),
  'the figures of the heap': () => getHeapStatistics(),
  'a processor count of the navigator': () => navigator.hardwareConcurrency,
  'an internal binding': () => (process as unknown as { binding(name: string): unknown }).binding('fs'),
  'a fork of the cluster': () => cluster.fork(),
  'a counter of the process': () => executionAsyncId(),
  'a warning': () => process.emitWarning('x'),
  'a report': () => process.report.getReport(),
  'the constrained memory': () => process.constrainedMemory(),
  'the resources': () => process.getActiveResourcesInfo(),
  'os.homedir': () => homedir(),
  'random values through webcrypto': () => crypto.webcrypto.getRandomValues(new Uint8Array(1)),
  'an identifier through the global': () => globalThis.crypto.randomUUID(),
  'an identifier through the module': () => crypto.randomUUID(),
  'a timer through the module': () => timers.setTimeout(() => {}, 1),
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
  'a date of UTC': () => [
    new Date('2030-01-01'),
    new Date('2030-01-01T00:00:00.5Z'),
    Date.parse('2030-01-01T00:00:00+01:00'),
    Date.UTC(2030, 0, 1),
  ],
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
