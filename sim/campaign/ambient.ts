// What the process offers that simulated code must not use while an event runs, and the port to use instead (H1.4).
// Left out on purpose: `queueMicrotask` and promises (deterministic), `console` (says things, decides nothing), synchronous
// hashing and Ed25519 (a function of their input), `process.env` (lint keeps it out of the product).

export type AmbientRule = {
  /** A path from `globalThis`, or a built-in module. */
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

export const AMBIENT_RULES: readonly AmbientRule[] = [
  { holder: 'Math', called: 'Math', names: ['random'], use: RANDOM },
  {
    holder: 'Performance.prototype',
    called: 'performance',
    names: ['now', 'timeOrigin', 'mark', 'measure', 'toJSON', 'eventLoopUtilization'],
    use: CLOCK,
  },
  {
    holder: 'process',
    called: 'process',
    names: ['hrtime', 'uptime', 'cpuUsage', 'threadCpuUsage', 'resourceUsage', 'memoryUsage', 'availableMemory'],
    use: CLOCK,
  },
  { holder: 'process', called: 'process', names: ['nextTick'], use: 'a promise, or clock.after() of the clock port' },
  {
    holder: 'process',
    called: 'process',
    names: ['exit', 'abort', 'kill', 'reallyExit', 'chdir'],
    use: 'an error: a simulated process ends by throwing',
  },
  { holder: 'globalThis', called: '', names: ['setTimeout', 'setInterval', 'setImmediate'], use: TIMERS },
  { holder: 'node:timers', called: 'timers', names: ['setTimeout', 'setInterval', 'setImmediate'], use: TIMERS },
  { holder: 'node:timers/promises', called: 'timers/promises', names: ['setTimeout', 'setInterval', 'setImmediate'], use: TIMERS },
  { holder: 'AbortSignal', called: 'AbortSignal', names: ['timeout'], use: TIMERS },
  { holder: 'Atomics', called: 'Atomics', names: ['wait', 'waitAsync'], use: TIMERS },
  { holder: 'globalThis', called: '', names: ['fetch', 'WebSocket', 'EventSource'], use: NETWORK },
  { holder: 'globalThis', called: '', names: ['MessageChannel', 'BroadcastChannel'], use: NETWORK },
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
  { holder: 'node:tls', called: 'tls', names: ['connect', 'createServer'], use: NETWORK },
  { holder: 'node:dgram', called: 'dgram', names: ['createSocket'], use: NETWORK },
  { holder: 'node:http', called: 'http', names: ['request', 'get', 'createServer'], use: NETWORK },
  { holder: 'node:https', called: 'https', names: ['request', 'get', 'createServer'], use: NETWORK },
  { holder: 'node:http2', called: 'http2', names: ['connect', 'createServer', 'createSecureServer'], use: NETWORK },
  { holder: 'node:dns', called: 'dns', names: 'functions', use: NETWORK },
  { holder: 'node:dns/promises', called: 'dns.promises', names: 'functions', use: NETWORK },
  {
    holder: 'node:worker_threads',
    called: 'worker_threads',
    names: ['Worker', 'MessageChannel', 'BroadcastChannel', 'receiveMessageOnPort'],
    use: THREADS,
  },
  { holder: 'node:child_process', called: 'child_process', names: 'functions', use: THREADS },
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
    ],
    use: 'the synchronous function of the same name; this one answers from the thread pool',
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
    names: ['cpus', 'freemem', 'totalmem', 'loadavg', 'uptime', 'hostname', 'networkInterfaces', 'availableParallelism', 'userInfo'],
    use: NOTHING,
  },
];

/** `Date` without arguments reads the clock; with arguments it only computes. */
export const DATE_USE = CLOCK;
/** Signing with these keys draws a nonce or runs elsewhere; Ed25519 does neither. */
export const SIGN_USE = `${KEYS}; only Ed25519, without a callback, always signs alike`;
export const IMPORT_USE = 'a static import at the top of the module: when a module is loaded is not decided by the seed';
