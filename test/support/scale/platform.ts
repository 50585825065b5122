// The whole platform in the simulated world, played piece by piece in this thread, for programs that measure it: the real controller
// and agents, goals, a record on the disk. Every push of the scenario has a model, so that no engine is needed.
import { nodeCrypto } from '../../../hardware/keys/keys.ts';
import { playScenario } from '../../../scenarios/run.ts';
import type { PlayResult } from '../../../scenarios/run.ts';
import type { Scenario } from '../../../scenarios/scenario.ts';
import { createNodeHost } from '../../../sim/campaign/host.main.ts';
import { FileSink } from '../../../sim/campaign/sink.main.ts';
import { createKernel } from '../../../sim/kernel/kernel.ts';
import { createSimTestbed } from '../../../sim/testbed.ts';
import type { GuestEngine } from '../../../sim/testbed.ts';
import { Bug, ok } from '../../../system/domain/outcome.ts';

/** Virtual time after its last phase in which a run must have ended. */
const OVERTIME_MICROS = 600_000_000;

/** No guest of such a run is run. */
const NO_ENGINE: GuestEngine = {
  inspect: () => ok([]),
  load: () => {
    throw new Bug('Invariant broken: a modelled guest needs no engine');
  },
};
const EXAMPLE = {
  bytes: new Uint8Array([0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0]),
  capabilities: ['state-read:counter/', 'state-write:counter/'],
  fuelMax: 100_000_000,
  memoryBytesMax: 1_048_576,
  outputBytesMax: 4_096,
};

export type PlatformRun = {
  /** Plays on until so much virtual time has passed since the start, or the run has ended: then its result. */
  playUntil(micros: number): Promise<PlayResult | null>;
  readonly steps: () => number;
};

/** `recordFile` is written as the run goes. */
export function startPlatform(scenario: Scenario, recordFile: string, seed = '0x1'): PlatformRun {
  const sink = new FileSink(recordFile);
  const kernel = createKernel({ seed, host: createNodeHost({ leave: () => sink.flush() }) });
  const testbed = createSimTestbed(kernel, {
    engine: NO_ENGINE,
    crypto: nodeCrypto,
    examples: new Map([['counter', EXAMPLE]]),
    agentVersion: '0.0.0',
  });
  let result = null as PlayResult | null;
  const drive = async (): Promise<void> => {
    result = await playScenario(testbed, scenario, {
      onRecord: (record) => sink.record(record),
      cancelled: () => false,
      stopWhenBroken: false,
    });
  };
  kernel.after(0, null, 'driver', () => kernel.own('driver', drive()));
  const microsMax = scenario.durationMicros + scenario.quietMicros + OVERTIME_MICROS;
  return {
    async playUntil(micros) {
      const end = await kernel.play({ done: () => result !== null || kernel.now() >= micros, microsMax });
      if (end.reason !== 'done') throw end.error ?? new Error(`the run ended: ${end.reason}`);
      if (result !== null) sink.close();
      return result;
    },
    steps: () => kernel.steps,
  };
}
