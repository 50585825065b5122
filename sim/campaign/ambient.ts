// What the process offers that simulated code must not use while an event runs, and the port to use instead (H1.4).
// Left out on purpose: `queueMicrotask` and promises (deterministic), `console` (says things, decides nothing), synchronous
// hashing and Ed25519 (a function of their input), `process.env` (lint keeps it out of the product).

export type AmbientRule = {
  /** A path from `globalThis`, or from a built-in module: `node:timers/promises.scheduler`. */
  readonly holder: string;
  /** How the holder is called in messages. */
  readonly called: string;
  /** Names of functions, classes or accessors; `functions`: every function of the holder that is no class. */
  readonly names: readonly string[] | 'functions';
  readonly except?: readonly string[];
  /** What to use instead, in words. */
  readonly use: string;
};

const CLOCK = 'clock.monotonicMicros() or clock.civilMs() of the clock port';
const TIMERS = 'clock.after() or clock.sleep() of the clock port';
const RANDOM = 'a named stream of the random port';
const KEYS = 'the keys port (synchronous digests and Ed25519 are allowed)';
const NETWORK = 'the network port';
const STORAGE = 'the storage port';
const NOTHING = 'nothing: simulated code may not depend on it';
const THREADS = 'the wasm port for guests; nothing else runs beside the simulation';
const ZLIB = 'the synchronous functions of zlib; this one answers from the thread pool';
const COMPRESSORS = [
  'Deflate',
  'DeflateRaw',
  'Gzip',
  'Gunzip',
  'Inflate',
  'InflateRaw',
  'Unzip',
  'BrotliCompress',
  'BrotliDecompress',
  'ZstdCompress',
  'ZstdDecompress',
];

const LOCAL_PARTS = ['FullYear', 'Year', 'Month', 'Date', 'Hours', 'Minutes', 'Seconds'];
export const LOCAL_USE = 'the UTC functions of Date, or a text with a zone; this one follows the time zone of the process';

export const AMBIENT_RULES: readonly AmbientRule[] = [
  { holder: 'Math', called: 'Math', names: ['random'], use: RANDOM },
  {
    holder: 'Performance.prototype',
    called: 'performance',
    names: ['now', 'timeOrigin', 'mark', 'measure', 'toJSON', 'eventLoopUtilization', 'nodeTiming', 'timerify'],
    use: CLOCK,
  },
  { holder: 'performance', called: 'performance', names: ['nodeTiming', 'timerify'], use: CLOCK },
  {
    holder: 'node:perf_hooks',
    called: 'perf_hooks',
    names: ['monitorEventLoopDelay', 'eventLoopUtilization', 'timerify', 'PerformanceObserver'],
    use: CLOCK,
  },
  { holder: 'globalThis', called: '', names: ['PerformanceMark'], use: CLOCK },
  { holder: 'Event.prototype', called: 'Event.prototype', names: ['timeStamp'], use: CLOCK },
  { holder: 'File.prototype', called: 'File.prototype', names: ['lastModified'], use: CLOCK },
  {
    holder: 'Date.prototype',
    called: 'Date.prototype',
    names: [...LOCAL_PARTS.map((part) => `get${part}`), ...LOCAL_PARTS.map((part) => `set${part}`), 'getDay', 'getTimezoneOffset'],
    use: LOCAL_USE,
  },
  {
    holder: 'Date.prototype',
    called: 'Date.prototype',
    names: ['toString', 'toDateString', 'toTimeString', 'toLocaleString', 'toLocaleDateString', 'toLocaleTimeString'],
    use: `toISOString(); this one follows the time zone of the process`,
  },
  {
    holder: 'Blob.prototype',
    called: 'Blob.prototype',
    names: ['arrayBuffer', 'bytes', 'text', 'stream'],
    use: 'the bytes themselves; a blob answers in a turn of the event loop that the seed does not decide',
  },
  {
    holder: 'Intl.DateTimeFormat.prototype',
    called: 'Intl.DateTimeFormat.prototype',
    names: ['format', 'formatToParts'],
    use: `${CLOCK}; without a date this reads the clock, and with one it follows the ICU of the build`,
  },
  {
    holder: 'process',
    called: 'process',
    names: [
      'hrtime',
      'uptime',
      'cpuUsage',
      'threadCpuUsage',
      'resourceUsage',
      'memoryUsage',
      'availableMemory',
      'constrainedMemory',
      'getActiveResourcesInfo',
      'report',
    ],
    use: CLOCK,
  },
  {
    holder: 'process',
    called: 'process',
    names: ['pid', 'ppid', 'argv', 'argv0', 'execArgv'],
    use: `${NOTHING}; it differs from process to process`,
  },
  {
    holder: 'process',
    called: 'process',
    names: ['nextTick', '_tickCallback', 'emitWarning'],
    use: 'a promise, or clock.after() of the clock port',
  },
  {
    holder: 'process',
    called: 'process',
    names: ['exit', 'abort', 'kill', 'reallyExit', 'chdir'],
    use: 'an error: a simulated process ends by throwing',
  },
  {
    holder: 'process',
    called: 'process',
    names: ['binding', '_linkedBinding', 'dlopen', 'loadEnvFile'],
    use: `${NOTHING}; these lead around every port`,
  },
  { holder: 'globalThis', called: '', names: ['setTimeout', 'setInterval', 'setImmediate'], use: TIMERS },
  { holder: 'node:timers', called: 'timers', names: ['setTimeout', 'setInterval', 'setImmediate'], use: TIMERS },
  { holder: 'node:timers/promises', called: 'timers/promises', names: ['setTimeout', 'setInterval', 'setImmediate'], use: TIMERS },
  {
    holder: 'node:timers/promises.scheduler.__proto__',
    called: 'timers/promises.scheduler',
    names: ['wait', 'yield'],
    use: TIMERS,
  },
  { holder: 'AbortSignal', called: 'AbortSignal', names: ['timeout'], use: TIMERS },
  { holder: 'Atomics', called: 'Atomics', names: ['wait', 'waitAsync'], use: TIMERS },
  { holder: 'globalThis', called: '', names: ['fetch', 'WebSocket', 'EventSource'], use: NETWORK },
  { holder: 'globalThis', called: '', names: ['MessageChannel', 'BroadcastChannel'], use: NETWORK },
  { holder: 'globalThis', called: '', names: ['CompressionStream', 'DecompressionStream'], use: ZLIB },
  { holder: 'Navigator.prototype', called: 'navigator', names: ['hardwareConcurrency', 'language', 'languages', 'platform'], use: NOTHING },
  {
    holder: 'globalThis',
    called: '',
    names: ['FinalizationRegistry', 'WeakRef'],
    use: `${NOTHING} (when memory is collected is not decided by the seed); close things by name`,
  },
  {
    holder: 'WeakRef.prototype',
    called: 'WeakRef.prototype',
    names: ['deref'],
    use: `${NOTHING} (when memory is collected is not decided by the seed)`,
  },
  {
    holder: 'WebAssembly',
    called: 'WebAssembly',
    names: ['compile', 'instantiate', 'compileStreaming', 'instantiateStreaming'],
    use: 'the wasm port',
  },
  { holder: 'Crypto.prototype', called: 'crypto', names: ['getRandomValues', 'randomUUID'], use: RANDOM },
  {
    holder: 'SubtleCrypto.prototype',
    called: 'crypto.subtle',
    names: 'functions',
    use: `${KEYS}; crypto.subtle answers from the thread pool`,
  },
  {
    holder: 'node:crypto',
    called: 'crypto',
    names: ['randomBytes', 'randomInt', 'randomUUID', 'randomFill', 'randomFillSync', 'pseudoRandomBytes', 'prng', 'rng'],
    use: RANDOM,
  },
  {
    holder: 'node:crypto',
    called: 'crypto',
    names: [
      'generateKeyPair',
      'generateKeyPairSync',
      'generateKey',
      'generateKeySync',
      'generatePrime',
      'generatePrimeSync',
      'checkPrime',
      'pbkdf2',
      'scrypt',
      'hkdf',
      'argon2',
      'createSign',
      'createECDH',
      'createDiffieHellman',
      'createDiffieHellmanGroup',
      'Sign',
      'ECDH',
      'DiffieHellman',
      'DiffieHellmanGroup',
      'getDiffieHellman',
      'publicEncrypt',
      'encapsulate',
      'setEngine',
      'secureHeapUsed',
    ],
    use: `${KEYS}; this one draws random numbers or answers from the thread pool`,
  },
  { holder: 'node:fs', called: 'fs', names: 'functions', use: STORAGE },
  { holder: 'node:fs/promises', called: 'fs.promises', names: 'functions', use: STORAGE },
  { holder: 'node:net', called: 'net', names: ['connect', 'createConnection', 'createServer'], use: NETWORK },
  { holder: 'node:net', called: 'net', names: ['Socket', 'Server'], use: NETWORK },
  { holder: 'node:tls', called: 'tls', names: ['connect', 'createServer', 'TLSSocket', 'Server'], use: NETWORK },
  { holder: 'node:dgram', called: 'dgram', names: ['createSocket', 'Socket'], use: NETWORK },
  { holder: 'node:http', called: 'http', names: ['request', 'get', 'createServer', 'ClientRequest', 'Server'], use: NETWORK },
  { holder: 'node:https', called: 'https', names: ['request', 'get', 'createServer', 'Server'], use: NETWORK },
  { holder: 'node:http2', called: 'http2', names: ['connect', 'createServer', 'createSecureServer'], use: NETWORK },
  { holder: 'node:dns', called: 'dns', names: 'functions', use: NETWORK },
  { holder: 'node:dns', called: 'dns', names: ['Resolver'], use: NETWORK },
  { holder: 'node:dns/promises', called: 'dns.promises', names: ['Resolver'], use: NETWORK },
  { holder: 'node:dns/promises', called: 'dns.promises', names: 'functions', use: NETWORK },
  {
    holder: 'node:worker_threads',
    called: 'worker_threads',
    names: ['Worker', 'MessageChannel', 'BroadcastChannel', 'receiveMessageOnPort'],
    use: THREADS,
  },
  { holder: 'node:child_process', called: 'child_process', names: 'functions', use: THREADS },
  { holder: 'node:child_process', called: 'child_process', names: ['ChildProcess'], use: THREADS },
  { holder: 'node:cluster', called: 'cluster', names: ['fork', 'setupPrimary'], use: THREADS },
  { holder: 'node:sqlite', called: 'sqlite', names: ['DatabaseSync', 'backup'], use: STORAGE },
  { holder: 'node:fs', called: 'fs', names: ['ReadStream', 'WriteStream', 'FileReadStream', 'FileWriteStream'], use: STORAGE },
  { holder: 'node:v8', called: 'v8', names: 'functions', except: ['serialize', 'deserialize'], use: NOTHING },
  {
    holder: 'node:async_hooks',
    called: 'async_hooks',
    names: ['executionAsyncId', 'triggerAsyncId', 'createHook'],
    use: `${NOTHING}; the process counts on from run to run`,
  },
  {
    holder: 'node:zlib',
    called: 'zlib',
    names: [
      'deflate',
      'deflateRaw',
      'gzip',
      'gunzip',
      'inflate',
      'inflateRaw',
      'unzip',
      'brotliCompress',
      'brotliDecompress',
      'zstdCompress',
      'zstdDecompress',
      ...COMPRESSORS,
      ...COMPRESSORS.map((name) => `create${name}`),
    ],
    use: ZLIB,
  },
  {
    holder: 'node:vm',
    called: 'vm',
    names: ['createContext', 'runInNewContext', 'runInContext', 'Script'],
    use: `${NOTHING}; another context brings its own Date and Math.random`,
  },
  {
    holder: 'node:os',
    called: 'os',
    names: 'functions',
    use: NOTHING,
  },
];

/** `Date` without arguments reads the clock; with arguments it only computes. */
export const DATE_USE = CLOCK;
/** Signing with these keys draws a nonce or runs elsewhere; Ed25519 does neither. */
export const SIGN_USE = `${KEYS}; only Ed25519, without a callback, always signs alike`;
export const VERIFY_USE = `${KEYS}; without a callback: with one the answer comes from the thread pool`;
export const IMPORT_USE = 'a static import at the top of the module: when a module is loaded is not decided by the seed';
