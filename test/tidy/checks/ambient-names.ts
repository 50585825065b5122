// What simulated code must not use, and what it uses instead. Lint knows the same bans (.oxlintrc.json) and shows them in the
// editor; this list is held against it by a test. The simulator's guard enforces them again while a run plays.

export type Ban = { readonly name: string; readonly instead: string };

const ICU = 'it depends on the ICU of the build';
const COLLECTED = 'when memory is collected is not decided by the seed: close things by name';
const ALONE = 'nothing runs beside the simulation';

export const BANNED_GLOBALS: readonly Ban[] = [
  { name: 'Date', instead: 'ask the clock port: monotonicMicros() for durations, civilMs() for dates' },
  { name: 'performance', instead: 'ask the clock port: monotonicMicros()' },
  { name: 'setTimeout', instead: 'use after() or sleep() of the clock port' },
  { name: 'setInterval', instead: 'use after() of the clock port, again at each firing' },
  { name: 'setImmediate', instead: 'use a promise, or after() of the clock port' },
  { name: 'globalThis', instead: 'take what you need through a port; what the language lacks stands in system/ports/ambient.d.ts' },
  { name: 'global', instead: 'take what you need through a port' },
  { name: 'process', instead: 'take settings as arguments from a composition root; end by returning or throwing' },
  { name: 'console', instead: 'use the telemetry port' },
  { name: 'crypto', instead: 'use the keys port, or a named stream of the random port' },
  { name: 'fetch', instead: 'use the network port' },
  { name: 'WebSocket', instead: 'use the network port' },
  { name: 'Buffer', instead: 'use Uint8Array' },
  { name: 'WebAssembly', instead: 'use the wasm port' },
  { name: 'Worker', instead: ALONE },
  { name: 'SharedArrayBuffer', instead: ALONE },
  { name: 'Atomics', instead: ALONE },
  { name: 'Intl', instead: `${ICU}: format and compare by hand` },
  { name: 'WeakRef', instead: COLLECTED },
  { name: 'FinalizationRegistry', instead: COLLECTED },
  { name: 'eval', instead: 'write the code out' },
];

/** Their last bits differ between architectures and versions of Node (measured); `Math.sqrt` and the integer ones are exact. */
export const BANNED_MATHEMATICS: readonly Ban[] = [
  ...'exp sin cos tan pow log2 log10 log1p expm1 tanh asin acos atan atan2 cbrt hypot sinh cosh asinh acosh atanh'
    .split(' ')
    .map((name) => ({ name, instead: `use @stdlib/math-base-special-${name}` })),
  { name: 'log', instead: 'use @stdlib/math-base-special-ln' },
  { name: 'random', instead: 'draw from a named stream of the random port' },
];

export const BANNED_METHODS: readonly Ban[] = [
  { name: 'localeCompare', instead: `${ICU}: compare by code unit (a < b)` },
  { name: 'toLocaleString', instead: `${ICU}: format by hand` },
  { name: 'toLocaleDateString', instead: `${ICU}: format by hand` },
  { name: 'toLocaleTimeString', instead: `${ICU}: format by hand` },
  { name: 'toLocaleLowerCase', instead: `${ICU}: use toLowerCase` },
  { name: 'toLocaleUpperCase', instead: `${ICU}: use toUpperCase` },
];
