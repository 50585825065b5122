// A simulated computer with an agent on it: the same program that runs elsewhere, over simulated ports.
import { createAgent } from '../../agents/agent.ts';
import type { NodeSpec } from '../../scenarios/scenario.ts';
import { createBusClient } from '../../system/bus/bus.ts';
import type { Endpoint } from '../../system/domain/identifiers.ts';
import type { GeoPoint, NodeFacts } from '../../system/domain/node.ts';
import type { CompileProfile } from '../../system/ports/wasm.ts';
import { createStateClient } from '../../system/state/state.ts';
import { Computer } from './computer.ts';
import type { ComputerOptions, ComputerPorts, World } from './computer.ts';

export type NodeOptions = {
  readonly node: NodeSpec;
  /** What its engine runs. */
  readonly profile: CompileProfile;
  readonly artefacts: NonNullable<ComputerOptions['artefacts']>;
  readonly controller: Endpoint;
  readonly joinToken: string;
  /** Of the agent that is installed when it starts. */
  readonly version: () => string;
  /** Where a node that moves is; null, or absent: it stays where it is. */
  readonly locate?: () => GeoPoint | null;
};

export function createNode(
  world: World,
  { node, profile, artefacts, controller, joinToken, version, locate = () => null }: NodeOptions,
): Computer {
  const facts: Omit<NodeFacts, 'agentVersion'> = {
    node: node.node,
    architecture: node.architecture,
    isaFeatures: node.isaFeatures,
    cores: node.cores,
    memoryBytes: node.memoryBytes,
    hardware: node.hardware,
    location: node.location,
    zone: node.zone,
    faultDomain: node.faultDomain,
    profile: profile.profile,
    target: profile.target,
    endpoint: `agent/${node.node}` as Endpoint,
  };
  const createProgram = (ports: ComputerPorts) => {
    const agentVersion = version();
    const bus = createBusClient(ports, { broker: controller });
    const state = createStateClient(ports, { store: controller });
    const moves = locate() === null ? {} : { locate };
    return createAgent(
      { ...ports, bus, state },
      { facts: { ...facts, agentVersion }, joinToken, controller, version: agentVersion, ...moves },
    );
  };
  return new Computer(world, {
    name: node.node,
    role: 'node',
    identity: `node/${node.node}`,
    zone: node.zone,
    cores: node.cores,
    fuelPerMicro: node.fuelPerMicro,
    profile,
    profiles: [],
    artefacts,
    createProgram,
  });
}
