// Who is what in a run of the real world: a device, an emulated machine, a simulated node or a process; and whether the scenario can be
// played so. Asked before a device is installed on or called: what no device can change is refused first. A composition root.
import process from 'node:process';
import { lackingOf } from '../../scenarios/run.ts';
import type { Scenario } from '../../scenarios/scenario.ts';
import { knownFeatures } from '../../system/domain/isa.ts';
import type { Architecture } from '../../system/domain/node.ts';
import { describeError, ok, rejected, type Err, type Outcome } from '../../system/domain/outcome.ts';
import { chooseDevices } from '../devices/choose.ts';
import type { Device } from '../devices/devices.ts';
import { chooseRoles } from '../loop/loop.ts';
import { chooseMachines } from '../qemu/choose.ts';
import type { ForeignArchitecture } from '../qemu/qemu.ts';
import { readCpuFeatures } from '../wasm/cpu-features.ts';
import { CLOCK_FAULT_KINDS, fitScenario, LOCAL_FAULT_KINDS } from './local.ts';
import type { Fitted } from './fit.ts';

const ARCHITECTURES: Readonly<Record<string, Architecture>> = { x64: 'x86_64', arm64: 'aarch64', riscv64: 'riscv64' };

export type World = 'local' | 'qemu' | 'devices' | 'loop';

/** What a run may take. */
export type Offer = {
  readonly world: World;
  /** Those of an inventory; null: there is none. */
  readonly devices: readonly Device[] | null;
  readonly machinesMax: number;
  /** So many nodes are processes, and all others that are no machines are simulated. Null: none is simulated. */
  readonly processesMax: number | null;
};

export type Cast = {
  /** By the names of the nodes. */
  readonly devices: ReadonlyMap<string, Device>;
  /** Nodes whose disk is to be filled, and which are no devices. */
  readonly kept: readonly string[];
  /** Others whose clock is to be wrong. */
  readonly skewed: readonly string[];
  readonly machines: ReadonlyMap<string, ForeignArchitecture>;
  readonly simulated: ReadonlySet<string> | null;
};

/** WM_TARGET_TOOLS: it is none of ours. */
export function architectureHere(): Outcome<Architecture> {
  const architecture = ARCHITECTURES[process.arch];
  if (architecture !== undefined) return ok(architecture);
  return rejected('WM_TARGET_TOOLS', {
    message: `This machine's architecture (${process.arch}) is none that nodes may have.`,
    next: 'Use another machine.',
  });
}

export function castOf(scenario: Scenario, { devices, machinesMax, processesMax }: Offer): Cast {
  const { devices: there, kept, skewed } = chooseDevices(scenario, devices ?? []);
  const others = { ...scenario, fleet: { ...scenario.fleet, nodes: scenario.fleet.nodes.filter(({ node }) => !there.has(node)) } };
  const machines = chooseMachines(others, machinesMax);
  const simulated =
    processesMax === null ? null : chooseRoles(scenario.fleet, new Set([...machines.keys(), ...there.keys()]), processesMax).simulated;
  return { devices: there, kept, skewed, machines, simulated };
}

/** `featuresOf`: the ISA features of a device, by its node. */
export function fitCast(
  scenario: Scenario,
  { devices, machines, simulated }: Cast,
  featuresOf: (node: string, device: Device) => readonly string[],
): Outcome<Fitted> {
  const here = architectureHere();
  if (!here.ok) return here;
  const architecture = here.value;
  return fitScenario(scenario, {
    architecture,
    isaFeatures: readCpuFeatures(architecture),
    emulated: new Map([...machines].map(([node, its]) => [node, { architecture: its, isaFeatures: knownFeatures(its) }])),
    devices: new Map(
      [...devices].map(([node, device]) => [
        node,
        { device: device.name, architecture: device.architecture, isaFeatures: featuresOf(node, device) },
      ]),
    ),
    simulated,
  });
}

/** Why a scenario cannot be played with what is offered, whatever features of their architecture the devices have; null: it can. */
export function refusalOf(scenario: Scenario, offer: Offer): string | null {
  const cast = castOf(scenario, offer);
  const faultKinds = [...LOCAL_FAULT_KINDS, ...(cast.machines.size === 0 ? [] : CLOCK_FAULT_KINDS)];
  const lacking = lackingOf({ world: offer.world, faultKinds, fleetFeatures: [] }, scenario);
  if (lacking !== null) return lacking;
  if (offer.devices !== null && cast.devices.size === 0) return describeError(noneFits(scenario, cast).error);
  const fitted = fitCast(scenario, cast, (_, { architecture }) => knownFeatures(architecture));
  return fitted.ok ? null : describeError(fitted.error);
}

function noneFits({ name }: Scenario, { kept, skewed }: Cast): Err {
  const why = [
    ...(kept.length === 0 ? [] : [`the disk of ${kept.join(', ')} is to be filled`]),
    ...(skewed.length === 0 ? [] : [`the clock of ${skewed.join(', ')} is to be wrong`]),
  ];
  return rejected('WM_FAULT_UNSUPPORTED', {
    message: `No node of ${name} can be a device: ${why.join(', and ')}, which is not done to one.`,
    next: skewed.length === 0 ? 'Play it with --target local or qemu.' : 'Play it with --target qemu.',
  });
}
