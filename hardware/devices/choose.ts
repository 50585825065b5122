// Which nodes of a scenario are physical devices: the pairs that fit best come first. A node and a device fit by architecture, then by
// special hardware, then by zone; of what fits alike, nodes that faults name come first. Whose disk is to be filled stays a process, and
// whose clock is to be wrong a process or an emulated machine: that is done to no device. Pure.
import type { FaultSpec, NodeSpec, Scenario } from '../../scenarios/scenario.ts';
import { isWithinZone } from '../../system/domain/identifiers.ts';
import type { Device } from './inventory.ts';

export type ChosenDevices = {
  /** By the name of the node. */
  readonly devices: ReadonlyMap<string, Device>;
  /** Nodes whose disk is to be filled. */
  readonly kept: readonly string[];
  /** Nodes whose clock is to be wrong, and whose disk is not to be filled. */
  readonly skewed: readonly string[];
};

type ClockFault = Extract<FaultSpec, { readonly kind: 'clock-step' | 'clock-drift' | 'clock-freeze' }>;

function isClockFault(fault: FaultSpec): fault is ClockFault {
  return fault.kind === 'clock-step' || fault.kind === 'clock-drift' || fault.kind === 'clock-freeze';
}

export function chooseDevices({ fleet, steps }: Scenario, devices: readonly Device[]): ChosenDevices {
  const faults = steps.flatMap((step) => (step.do === 'fault' ? [step.fault] : []));
  const named = new Set(faults.flatMap((fault) => ('machine' in fault ? [fault.machine] : 'a' in fault ? [fault.a, fault.b].flat() : [])));
  const filled: ReadonlySet<string> = new Set(faults.flatMap((fault) => (fault.kind === 'disk-full' ? [fault.machine] : [])));
  const chosen = new Map<string, Device>();
  // No device's clock is made wrong; a machine's can be, where there are any.
  const skewed: ReadonlySet<string> = new Set(faults.flatMap((fault) => (isClockFault(fault) ? [fault.machine] : [])));
  let [nodes, free] = [fleet.nodes.filter(({ node }) => !filled.has(node) && !skewed.has(node)), devices];
  while (nodes.length > 0 && free.length > 0) {
    const [best] = free
      .flatMap((device) => nodes.map((node) => ({ device, node, rank: rankOf(node, device, named) })))
      .sort((a, b) => a.rank - b.rank);
    if (best === undefined) break;
    chosen.set(best.node.node, best.device);
    nodes = nodes.filter((node) => node !== best.node);
    free = free.filter((device) => device !== best.device);
  }
  const names = fleet.nodes.map(({ node }) => node as string);
  return {
    devices: chosen,
    kept: names.filter((node) => filled.has(node)),
    skewed: names.filter((node) => skewed.has(node) && !filled.has(node)),
  };
}

/** The less, the better; each question weighs more than all after it. */
function rankOf(node: NodeSpec, device: Device, named: ReadonlySet<string>): number {
  const lacks = [
    node.architecture !== device.architecture,
    node.hardware.some((item) => !hardwareOf(device).includes(item)),
    // What is rare is kept for whoever needs it.
    hardwareOf(device).some((item) => !node.hardware.includes(item)),
    !isWithinZone(node.zone, device.zone) && !isWithinZone(device.zone, node.zone),
    !named.has(node.node),
  ];
  return lacks.reduce((rank, isLacking) => rank * 2 + (isLacking ? 1 : 0), 0);
}

function hardwareOf({ flags }: Device): readonly string[] {
  const flag = '--hardware=';
  return flags.flatMap((one) => (one.startsWith(flag) ? one.slice(flag.length).split(',') : []));
}
