// What the processes of a run are told of the scenario, as the command line's settings.
import type { NodeSpec, PlatformSpec } from '../../scenarios/scenario.ts';

export function timesOf(platform: PlatformSpec): readonly string[] {
  return [
    '--heartbeat',
    `${platform.heartbeatIntervalMs}ms`,
    '--suspect',
    `${platform.suspectAfterMs}ms`,
    '--unavailable',
    `${platform.unavailableAfterMs}ms`,
    '--lease',
    `${platform.leaseMs}ms`,
    '--queue',
    String(platform.queueEventsMax),
  ];
}

/** What an agent is told of its node, by the names of its settings. */
export function nodeSettings(node: NodeSpec): Readonly<Record<string, string>> {
  return {
    name: node.node,
    zone: node.zone,
    'fault-domain': node.faultDomain,
    location: `${node.location.latitude},${node.location.longitude}`,
    cores: String(node.cores),
    memory: `${node.memoryBytes}B`,
    speed: String(node.fuelPerMicro),
    ...(node.hardware.length === 0 ? {} : { hardware: node.hardware.join(',') }),
  };
}

/** In one piece each: negative degrees would look like a flag. */
export function factsOf(node: NodeSpec): readonly string[] {
  return Object.entries(nodeSettings(node)).map(([name, value]) => `--${name}=${value}`);
}
