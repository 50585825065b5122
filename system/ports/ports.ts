// All that the product may ask of the world. A component names the part it uses: `Pick<Ports, 'clock' | 'telemetry'>`.
import type { Bus } from './bus.ts';
import type { Clock } from './clock.ts';
import type { Keys } from './keys.ts';
import type { Network } from './network.ts';
import type { Random } from './random.ts';
import type { State } from './state.ts';
import type { Storage } from './storage.ts';
import type { Telemetry } from './telemetry.ts';
import type { Wasm } from './wasm.ts';

export type Ports = {
  readonly clock: Clock;
  readonly random: Random;
  readonly network: Network;
  readonly bus: Bus;
  readonly state: State;
  readonly storage: Storage;
  readonly wasm: Wasm;
  readonly keys: Keys;
  readonly telemetry: Telemetry;
};
