// The emulated nodes of a run: who is one, and how each is made.
import { join } from 'node:path';
import type { ForeignNode, ForeignNodes } from '../local/local.ts';
import { nodeSettings } from '../local/local.ts';
import { EmulatedMachine } from './emulated.ts';
import type { MachineImage } from './images.ts';
import { fromInside, nodeAddresses } from './machine.ts';
import type { ForeignArchitecture } from '../debian/debian.ts';

const MEMORY_MIB = 512;
/**
 * A run passes so many times slower when it has emulated machines: one boots in about fifteen seconds where a process starts in one,
 * and the budget of a run allows ten of its own (`EMULATED_SLACK_MICROS`).
 */
const PACE_FACTOR = 2;

/** What emulated machines may add to any budget of time beyond what processes do: one boot. */
export const EMULATED_SLACK_MICROS = 10_000_000;

export type EmulatedNodesOptions = {
  readonly chosen: ReadonlyMap<string, ForeignArchitecture>;
  /** One for each architecture that was chosen. */
  readonly images: ReadonlyMap<ForeignArchitecture, MachineImage>;
};

export function createEmulatedNodes({ chosen, images }: EmulatedNodesOptions): ForeignNodes {
  return {
    what: 'emulated machines',
    has: (node) => chosen.has(node),
    outside: fromInside,
    paceFactor: chosen.size === 0 ? 1 : PACE_FACTOR,
    create({ node, folder, joinToken, ingressPort, keepaliveMs, hooks }): ForeignNode {
      const architecture = chosen.get(node.node);
      const image = architecture === undefined ? undefined : images.get(architecture);
      if (image === undefined) throw new Error(`${node.node} is to be emulated, and there is no image for it`);
      const settings = Object.entries(nodeSettings(node)).map(([name, value]) => [
        `WASMMATRIX_${name.toUpperCase().replaceAll('-', '_')}`,
        value,
      ]);
      return new EmulatedMachine({
        name: node.node,
        folder: join(folder, 'machines'),
        image,
        memoryMib: MEMORY_MIB,
        joinToken,
        zone: node.zone,
        environment: {
          ...(Object.fromEntries(settings) as Record<string, string>),
          ...nodeAddresses(ingressPort),
          WASMMATRIX_KEEPALIVE: `${keepaliveMs}ms`,
        },
        hooks,
      });
    },
  };
}
