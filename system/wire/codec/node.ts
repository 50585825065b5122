// Codec of what a node answers on its own endpoint. Requests are empty; decoders accept any bytes and never throw.
import type { AgentStatus, NodeStatus } from '../../domain/node-service.ts';
import { NODE_PHASES } from '../../domain/node-service.ts';
import type { Epoch, ModuleName, NodeId } from '../../domain/identifiers.ts';
import type { Outcome } from '../../domain/outcome.ts';
import { MetricsReplySchema, StatusReplySchema, type AgentStatus as WireAgent } from '../generated/wasmmatrix/v1/node_pb.js';
import { decodeWith, encodeWith, instanceId, name, oneOf, optional, orNull, text, whole, wrong } from './fields.ts';

/** Bound: instances of one node in an answer. */
const INSTANCES_MAX = 65_536;
/** Bound: characters of a page of metrics. */
const METRICS_LENGTH_MAX = 4 * 1_024 * 1_024;

function agentTo({ isConnected, isLeaseHeld, instances, uptimeMs, ...rest }: AgentStatus) {
  return {
    ...rest,
    connected: isConnected,
    leaseHeld: isLeaseHeld,
    instances: instances.map(({ epoch, isDraining, ...each }) => ({ ...each, epoch: BigInt(epoch), draining: isDraining })),
    uptimeMs: BigInt(uptimeMs),
  };
}

function agentFrom(agent: WireAgent): AgentStatus {
  const { instances, guestsOpen, guestsMax } = agent;
  if (instances.length > INSTANCES_MAX) wrong('agent.instances', `at most ${INSTANCES_MAX} of them, found ${instances.length}`);
  return {
    node: name<'NodeId'>(agent.node, 'agent.node') satisfies NodeId,
    agentVersion: text(agent.agentVersion, 'agent.agent_version'),
    isConnected: agent.connected,
    isLeaseHeld: agent.leaseHeld,
    instances: instances.map(({ instance, epoch, module, version, draining }) => ({
      instance: instanceId(instance, 'agent.instances.instance'),
      epoch: whole(epoch, 'agent.instances.epoch') as Epoch,
      module: name<'ModuleName'>(module, 'agent.instances.module') satisfies ModuleName,
      version,
      isDraining: draining,
    })),
    guestsOpen,
    guestsMax,
    uptimeMs: whole(agent.uptimeMs, 'agent.uptime_ms'),
  };
}

export function encodeNodeStatus({ phase, agent }: NodeStatus): Uint8Array {
  return encodeWith(StatusReplySchema, { phase, ...optional('agent', agent === null ? null : agentTo(agent)) });
}

export function decodeNodeStatus(bytes: Uint8Array): Outcome<NodeStatus> {
  return decodeWith(StatusReplySchema, bytes, ({ phase, agent }) => ({
    phase: oneOf(phase, 'phase', NODE_PHASES),
    agent: orNull(agent, agentFrom),
  }));
}

export function encodeNodeMetrics(page: string): Uint8Array {
  return encodeWith(MetricsReplySchema, { text: page });
}

export function decodeNodeMetrics(bytes: Uint8Array): Outcome<string> {
  return decodeWith(MetricsReplySchema, bytes, ({ text: page }) => text(page, 'text', METRICS_LENGTH_MAX));
}
