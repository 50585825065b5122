// What has to be there before the first run of a campaign: the engine, built where it is missing, and the example guests.
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { castOf, refusalOf, type Offer } from '../../hardware/local/cast.main.ts';
import type { Emulation } from '../../hardware/local/play.main.ts';
import { installOn, readInventory, withProduct, type Device, type Product } from '../../hardware/devices/devices.ts';
import { chooseMachines } from '../../hardware/qemu/choose.ts';
import { prepareImage, type MachineImage } from '../../hardware/qemu/images.ts';
import type { ForeignArchitecture } from '../../hardware/qemu/qemu.ts';
import { EngineBuildError, ensureEngine } from '../../hardware/wasm/build/build.ts';
import { createProgressPrinter } from '../../hardware/wasm/build/progress.ts';
import { openEngine } from '../../hardware/wasm/native/native.ts';
import manifest from '../../package.json' with { type: 'json' };
import { buildExamples, ExampleBuildError } from '../../scenarios/examples/build.ts';
import { codeOf, wordsOf } from './output.main.ts';
import type { Scenario } from '../../scenarios/scenario.ts';
import { describeError, type Outcome } from '../../system/domain/outcome.ts';
import type { ScenarioSettings } from './scenario.main.ts';
import { EXIT_INTERRUPTED, onInterrupt, refuse } from './teller.main.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

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

/** Images of the machines that these scenarios take; minutes where nothing of them is there yet. Null: refused, and said why. */
export async function prepareMachines(scenarios: readonly Scenario[], machinesMax: number, quiet: boolean): Promise<Emulation | null> {
  const images = new Map<ForeignArchitecture, MachineImage>();
  for (const architecture of new Set(scenarios.flatMap((scenario) => [...chooseMachines(scenario, machinesMax).values()]))) {
    const image = await prepareImage(architecture, {
      say: (line) => void (quiet || process.stderr.write(`${line}\n`)),
      ...(quiet ? {} : { onProgress: createProgressPrinter(process.stderr) }),
    });
    if (!image.ok) {
      refuse([describeError(image.error)]);
      return null;
    }
    images.set(architecture, image.value);
  }
  return { machinesMax, images };
}

/**
 * The devices of an inventory, with the product on those that these scenarios take as they are to be played. One that cannot be played so is refused when
 * its turn comes, and nothing is installed for it. Null: refused, and said why, for each device.
 */
export async function prepareDevices(
  scenarios: readonly Scenario[],
  file: string,
  offers: readonly Omit<Offer, 'devices'>[],
  quiet: boolean,
): Promise<readonly Device[] | null> {
  const inventory = readInventory(file);
  if (!inventory.ok) {
    refuse([describeError(inventory.error)]);
    return null;
  }
  const devices = inventory.value;
  const plays = scenarios.flatMap((scenario) => offers.map((offer) => ({ scenario, offer: { ...offer, devices } })));
  const playable = plays.filter(({ scenario, offer }) => refusalOf(scenario, offer) === null);
  const taken = new Set(playable.flatMap(({ scenario, offer }) => [...castOf(scenario, offer).devices.values()]));
  if (taken.size === 0) return devices;
  const say = (line: string): void => void (quiet || process.stderr.write(`${line}\n`));
  const cancel = new AbortController();
  const deaf = onInterrupt((again) => {
    if (again) process.exit(EXIT_INTERRUPTED);
    cancel.abort();
  });
  const stop = cancel.signal;
  let done: readonly Outcome<string>[] = [];
  try {
    const install = (product: Product): Promise<readonly Outcome<string>[]> =>
      Promise.all([...taken].map((device) => installOn(device, product, { unlessThere: true, say, stop })));
    done = await withProduct(ROOT, install, stop);
  } catch (error) {
    // Before any device was called.
    if (!stop.aborted) throw error;
  } finally {
    deaf();
  }
  const faults = done.flatMap((outcome) => (outcome.ok ? [] : [describeError(outcome.error)]));
  if (faults.length > 0) refuse(faults);
  if (stop.aborted) process.exit(EXIT_INTERRUPTED);
  return faults.length > 0 ? null : devices;
}
