// Why a scenario cannot be played with the devices that there are: each node for its own reason.
import { describe, expect, it } from 'vitest';
import { parseInventory } from '../../../hardware/devices/inventory.ts';
import { refusalOf } from '../../../hardware/local/cast.main.ts';
import { loadScenario } from '../../../scenarios/load.ts';
import type { Scenario } from '../../../scenarios/scenario.ts';
import { fleetLibrary } from '../../../sim/campaign/library.main.ts';

function scenarioOf(...faults: readonly string[]): Scenario {
  const text = `
question: Is the reason the one of this node?
requirements: [H2.2]
duration: 5s
quiet: 2s
fleet:
  controller: { zone: cloud/a }
  zones:
    - { zone: cloud/a, location: [50, 8] }
  nodes:
    - { node: one, zone: cloud/a }
    - { node: two, zone: cloud/a }
steps:
  - { at: 100ms, push: echo }
  - { at: 300ms, deploy: echo, origin: cloud/a, replicas: 1 }
${faults.map((fault) => `  - { at: 1s, ${fault}, for: 1s }`).join('\n')}
goals:
  - running: { deployment: echo, atLeast: 1 }
`;
  const loaded = loadScenario({ file: 'mixed.scenario.yaml', text }, fleetLibrary);
  if (!loaded.ok) throw new Error(loaded.error.message);
  return loaded.value;
}

const INVENTORY = parseInventory(
  'devices.yaml',
  JSON.stringify({ devices: [{ name: 'bench-1', host: 'h', user: 'u', architecture: 'x86_64', zone: 'lab' }] }),
);
if (!INVENTORY.ok) throw new Error(INVENTORY.error.message);
const OFFER = { world: 'devices', devices: INVENTORY.value, machinesMax: 2, processesMax: null } as const;

describe('a scenario of which no node can be a device', () => {
  it.each([
    [
      ['disk-full: one', 'disk-full: two'],
      'the disk of one, two is to be filled, which is not done to one. Play it with --target local or qemu.',
    ],
    [
      ['clock-step: one, by: 2s', 'clock-step: two, by: 2s'],
      'the clock of one, two is to be wrong, which is not done to one. Play it with --target qemu.',
    ],
    [
      ['disk-full: one', 'clock-step: two, by: 2s'],
      'the disk of one is to be filled, and the clock of two is to be wrong, which is not done to one. Play it with --target qemu.',
    ],
  ])('is refused for what is done to each: %j', (faults, why) => {
    expect(refusalOf(scenarioOf(...faults), OFFER)).toContain(`No node of mixed can be a device: ${why}`);
  });
});
