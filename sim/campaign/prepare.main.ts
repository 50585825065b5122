// What has to be there before the first run of a campaign: the engine, built where it is missing, and the example guests.
import process from 'node:process';
import { EngineBuildError, ensureEngine } from '../../hardware/wasm/build/build.ts';
import { createProgressPrinter } from '../../hardware/wasm/build/progress.ts';
import { openEngine } from '../../hardware/wasm/native/native.ts';
import manifest from '../../package.json' with { type: 'json' };
import { buildExamples, ExampleBuildError } from '../../scenarios/examples/build.ts';
import { codeOf, wordsOf } from './output.main.ts';
import type { ScenarioSettings } from './scenario.main.ts';
import { refuse } from './teller.main.ts';

/** Builds what is missing: the engine on the first run of a machine, the example guests. */
export async function prepare(quiet: boolean): Promise<ScenarioSettings | null> {
  try {
    const engine = await ensureEngine(quiet ? {} : { onProgress: createProgressPrinter(process.stderr) });
    const unusable = engineTrouble(engine);
    if (unusable !== null) {
      refuse([
        `WM_ENGINE_BUILD (failed): The engine ${engine} cannot be loaded: ${unusable}. Remove it, or what WASMMATRIX_ENGINE names, and repeat.`,
      ]);
      return null;
    }
    const examples = await buildExamples();
    return {
      engine,
      examples: [...examples].map(([name, example]) => ({
        name,
        file: example.wasmPath,
        capabilities: example.manifest.capabilities,
        limits: example.manifest.limits,
      })),
      version: manifest.version,
      stopWhenBroken: true,
    };
  } catch (error) {
    if (error instanceof EngineBuildError) refuse([`${error.code}: ${error.message}`]);
    else if (error instanceof ExampleBuildError) refuse([`WM_GUEST_BUILD (failed): ${error.message}`]);
    else if (codeOf(error) !== null)
      refuse([
        `WM_GUEST_BUILD (failed): The example guests could not be made: ${wordsOf(error)}. XDG_CACHE_HOME names the folder they are kept in.`,
      ]);
    else throw error;
    return null;
  }
}

/** Why a library is no engine; null when it is one. Each worker loads it again, and could only die of it. */
function engineTrouble(engine: string): string | null {
  try {
    openEngine(engine);
    return null;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
