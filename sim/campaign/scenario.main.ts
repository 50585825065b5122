// The player of scenarios: composes the simulated world, the real controller and agents and the real engine in a worker
// thread, and lets scenarios/run.ts drive them. A composition root: the only place where the simulator meets node:*.
import { readFileSync } from 'node:fs';
import { nodeCrypto } from '../../hardware/keys/keys.ts';
import { openEngine } from '../../hardware/wasm/native/native.ts';
import { SynchronousEngine } from '../../hardware/wasm/wasm.ts';
import type { MachineSummary } from '../../scenarios/record.ts';
import { playScenario } from '../../scenarios/run.ts';
import type { FleetSpec } from '../../scenarios/scenario.ts';
import type { Architecture } from '../../system/domain/node.ts';
import { createSimTestbed, type SimExample } from '../testbed.ts';
import type { Player } from './player.ts';

/** Plain data that the command hands to each worker. */
export type ScenarioSettings = {
  /** Library of the engine addon. */
  readonly engine: string;
  readonly examples: readonly {
    readonly name: string;
    readonly file: string;
    readonly capabilities: readonly string[];
    readonly limits: { readonly fuelMax: number; readonly memoryBytesMax: number; readonly outputBytesMax: number };
  }[];
  /** What agents say of themselves. */
  readonly version: string;
  /** Ends a run at the first goal that is broken for good. */
  readonly stopWhenBroken: boolean;
};

/** Largest memory and most guests at once, over all simulated nodes of one run. */
export const ENGINE_PROFILE = {
  memoryReservationBytes: 64 * 1024 * 1024,
  memoryGuardBytes: 64 * 1024,
  memoryBytesMax: 64 * 1024 * 1024,
  tableElementsMax: 10_000,
  poolSlots: 1_000,
  target: null,
  cpuFeatures: [],
  optimise: 'speed',
} as const;

export async function createPlayer(given: unknown): Promise<Player> {
  const settings = given as ScenarioSettings;
  const engine = new SynchronousEngine(openEngine(settings.engine).createEngine(ENGINE_PROFILE));
  const examples = new Map<string, SimExample>(
    settings.examples.map(({ name, file, capabilities, limits }) => [
      name,
      { bytes: new Uint8Array(readFileSync(file)), capabilities, ...limits },
    ]),
  );
  return {
    drive(kernel, job, sink) {
      const testbed = createSimTestbed(kernel, { engine, crypto: nodeCrypto, examples, agentVersion: settings.version });
      const { name, fleet } = job.scenario;
      sink.header({ run: { scenario: name, seed: job.seed, world: 'sim', fleet: machinesOf(fleet, 'x86_64') } });
      return playScenario(testbed, job.scenario, {
        onRecord: (record) => sink.record(record),
        cancelled: () => false,
        stopWhenBroken: settings.stopWhenBroken,
      });
    },
  };
}

/** `architecture` is that of the controller, which no scenario names. */
export function machinesOf(fleet: FleetSpec, architecture: Architecture): readonly MachineSummary[] {
  const { zone, location } = fleet.controller;
  return [
    { machine: 'controller', role: 'controller', zone, architecture, ...location },
    ...fleet.nodes.map((node): MachineSummary => ({
      machine: node.node,
      role: 'node',
      zone: node.zone,
      architecture: node.architecture,
      ...node.location,
    })),
  ];
}
