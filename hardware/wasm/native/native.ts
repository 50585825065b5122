// Door of the engine addon: finds or builds the native library of these sources and gives it typed. It owns nothing; one
// addon may be loaded in any number of worker threads, each with engines of its own.
import { createRequire } from 'node:module';
import { ensureEngine } from '../build/build.ts';
import type { BuildOptions } from '../build/build.ts';
import { Engine } from './engine.ts';
import type { BuildInfo, EngineError, EngineOptions, EngineProfile, NativeAddon } from './types.ts';

export { Engine, EngineModule, Guest } from './engine.ts';
export type * from './types.ts';

/** What this module throws, and nothing else. */
export function isEngineError(error: unknown): error is EngineError {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' && error.code.startsWith('WM_ENGINE_');
}

/** An artefact for another profile, or for a processor that has what this one lacks. */
export function isProfileMismatch(error: unknown): error is EngineError {
  return isEngineError(error) && error.code === 'WM_ENGINE_PROFILE_MISMATCH';
}

export interface EngineAddon {
  readonly build: BuildInfo;
  /** WM_ENGINE_PROFILE when a setting is out of range or unknown. */
  createEngine(profile: EngineProfile, options?: EngineOptions): Engine;
  /** WebAssembly's text format to binary. WM_ENGINE_INVALID; WM_ENGINE_NO_COMPILER in a build without it: that of a node, or for another machine. */
  parseText(text: string): Uint8Array;
}

/** Loads a library that exists: the path that `ensureEngine` gave, or a packaged one. Synchronous, for worker threads. */
export function openEngine(path: string): EngineAddon {
  const native = createRequire(import.meta.url)(path) as NativeAddon;
  const build = native.buildInfo();
  return {
    build,
    createEngine: (profile, options = {}) => new Engine(native, profile, options),
    parseText: (text) => {
      if (native.parseText === undefined) {
        throw Object.assign(new Error('this build of the engine does not read text'), { code: 'WM_ENGINE_NO_COMPILER' });
      }
      return native.parseText(text);
    },
  };
}

/** Builds the library when these sources were never built (about four minutes on two cores), then loads it. */
export async function loadEngine(options: BuildOptions = {}): Promise<EngineAddon> {
  return openEngine(await ensureEngine(options));
}
