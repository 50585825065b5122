// Which nodes of a scenario are physical devices, and how the times of a device are placed among this machine's.
import { describe, expect, it } from 'vitest';
import { chooseDevices } from '../../../hardware/devices/choose.ts';
import { DeviceClock } from '../../../hardware/devices/clock.ts';
import { parseInventory, type Device } from '../../../hardware/devices/inventory.ts';
import { catalogueFiles, readScenarios } from '../../../sim/campaign/library.main.ts';
import { nameOf } from '../../../scenarios/load.ts';
import type { NodeSpec, Scenario } from '../../../scenarios/scenario.ts';

function scenarioOf(name: string): Scenario {
  const [scenario] = readScenarios(catalogueFiles().filter((file) => nameOf(file) === name)).scenarios;
  if (scenario === undefined) throw new Error(name);
  return scenario;
}

function devicesOf(...entries: readonly Readonly<Record<string, unknown>>[]): readonly Device[] {
  const text = JSON.stringify({ devices: entries.map((entry) => ({ host: 'h', user: 'u', zone: 'lab', ...entry })) });
  const inventory = parseInventory('devices.yaml', text);
  if (!inventory.ok) throw new Error(inventory.error.message);
  return inventory.value;
}

const chosenOf = (scenario: Scenario, devices: readonly Device[]): readonly (readonly [string, string])[] =>
  [...chooseDevices(scenario, devices).devices].map(([node, { name }]) => [node, name]);

function withHardware(scenario: Scenario, node: string, hardware: readonly string[]): Scenario {
  const nodes = scenario.fleet.nodes.map((one): NodeSpec => (one.node === node ? { ...one, hardware } : one));
  return { ...scenario, fleet: { ...scenario.fleet, nodes } };
}

describe('the nodes of a scenario that are devices', () => {
  it('have the architecture of the device where the file has such a node, and those that faults name come first', () => {
    // a-2, b-2 and c-1 are aarch64 or riscv64 there; faults are about a-1 and b-1.
    const scenario = scenarioOf('node-failure');
    const architectureOf = (name: string): string | undefined => scenario.fleet.nodes.find(({ node }) => node === name)?.architecture;
    const chosen = chosenOf(scenario, devicesOf({ name: 'board', architecture: 'riscv64' }, { name: 'server', architecture: 'x86_64' }));
    expect(chosen.map(([node, device]) => [device, architectureOf(node)])).toEqual(
      expect.arrayContaining([
        ['board', 'riscv64'],
        ['server', 'x86_64'],
      ]),
    );
    expect(chosen.find(([, device]) => device === 'server')?.[0]).toBe('a-1');
  });

  it('are each one device, and no more than there are of either', () => {
    const scenario = scenarioOf('node-failure');
    const many = devicesOf(...Array.from({ length: 9 }, (_, i) => ({ name: `d-${i}`, architecture: 'x86_64' })));
    const chosen = chosenOf(scenario, many);
    expect(chosen.length).toBe(scenario.fleet.nodes.length);
    expect(new Set(chosen.map(([, device]) => device)).size).toBe(chosen.length);
    expect(chosenOf(scenario, many.slice(0, 1)).length).toBe(1);
  });

  it('with special hardware are the devices that have it, which are kept for them', () => {
    const scenario = withHardware(scenarioOf('node-failure'), 'b-1', ['can']);
    const devices = devicesOf(
      { name: 'with', architecture: 'x86_64', settings: { hardware: 'gpu,can' } },
      { name: 'without', architecture: 'x86_64' },
    );
    const chosen = chosenOf(scenario, devices);
    expect(chosen).toContainEqual(['b-1', 'with']);
    expect(chosen.length).toBe(2);
  });

  it('are in the zone of the device where all else is equal', () => {
    const scenario = scenarioOf('node-failure');
    const other = scenario.fleet.nodes.filter(({ architecture }) => architecture === 'x86_64').at(-1)!;
    expect(chosenOf(scenario, devicesOf({ name: 'd', architecture: 'x86_64', zone: other.zone }))).toEqual([[other.node, 'd']]);
  });

  it('are none whose disk is to be filled', () => {
    const scenario = scenarioOf('node-failure');
    const at = { do: 'fault', at: { micros: 0 }, name: 'full' };
    const steps = scenario.fleet.nodes
      .slice(1)
      .map(({ node }) => ({ ...at, fault: { kind: 'disk-full', machine: node, forMicros: null } }));
    const filled = { ...scenario, steps } as unknown as Scenario;
    const { devices, kept } = chooseDevices(
      filled,
      devicesOf({ name: 'd', architecture: 'x86_64' }, { name: 'e', architecture: 'x86_64' }),
    );
    expect([...devices.keys()]).toEqual([scenario.fleet.nodes[0]?.node]);
    expect(kept).toEqual(scenario.fleet.nodes.slice(1).map(({ node }) => node));
  });
});

describe('the clock of a device', () => {
  it('is told from the fastest answer, within half of its way', () => {
    const clock = new DeviceClock();
    // Its clock is 1,000 behind. A slow answer was stamped late in it, a fast one in the middle.
    clock.hear(5_000, 5_800, 4_700);
    expect(clock.at(4_700)).toBe(5_400);
    clock.hear(6_000, 6_020, 5_010);
    expect(clock.at(5_010)).toBe(6_010);
    // The worst of what was used, so that a bad minute in the middle of a run is not forgotten.
    expect(clock.uncertaintyMicros).toBe(400);
    clock.hear(7_000, 9_000, 6_100);
    expect(clock.at(0)).toBe(1_000);
  });

  it('believes a slower answer of now rather than a faster one from which the clocks may have drifted since', () => {
    const clock = new DeviceClock();
    clock.hear(0, 2_000, 1_000);
    // Ten seconds later they may be apart by five milliseconds more.
    clock.hear(10_000_000, 10_008_000, 10_004_300);
    expect(clock.at(0)).toBe(-300);
    expect(clock.uncertaintyMicros).toBe(4_000);
    // Two seconds later by one.
    const other = new DeviceClock();
    other.hear(0, 2_000, 1_000);
    other.hear(2_000_000, 2_008_000, 2_004_300);
    expect(other.at(0)).toBe(0);
    expect(other.uncertaintyMicros).toBe(2_003);
  });

  it('forgets answers of long ago: clocks drift', () => {
    const clock = new DeviceClock();
    clock.hear(0, 2, 1);
    for (let i = 1; i <= 40; i += 1) clock.hear(i * 1_000, i * 1_000 + 100, i * 1_000 + 50 - 500);
    expect(clock.at(0)).toBe(500);
  });

  it('places a record never before the one before it, and never after it was found', () => {
    const clock = new DeviceClock();
    clock.hear(0, 1_000, 0);
    expect(clock.hostMicros(100, 10_000)).toBe(600);
    clock.hear(2_000, 2_010, 2_005);
    expect(clock.hostMicros(150, 10_000)).toBe(600);
    expect(clock.hostMicros(20_000, 15_000)).toBe(15_000);
  });
});
