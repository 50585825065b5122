// What a node answers on its own endpoint: how it is, to operators and to itself; that it is there, to every other node.
import type { Epoch, InstanceId, ModuleName, NodeId } from './identifiers.ts';

export const PING_METHOD = '/wasmmatrix.v1.Node/Ping';
export const STATUS_METHOD = '/wasmmatrix.v1.Node/Status';
export const METRICS_METHOD = '/wasmmatrix.v1.Node/Metrics';
/** The agent gives up its work in order and takes no more; the process and this endpoint stay. */
export const STOP_METHOD = '/wasmmatrix.v1.Node/Stop';
export const START_METHOD = '/wasmmatrix.v1.Node/Start';

export type InstanceServed = {
  readonly instance: InstanceId;
  readonly epoch: Epoch;
  readonly module: ModuleName;
  readonly version: number;
  /** It takes no more events, and finishes those that it has. */
  readonly isDraining: boolean;
};

export type AgentStatus = {
  readonly node: NodeId;
  readonly agentVersion: string;
  /** The controller has welcomed this node, and the session stands. */
  readonly isConnected: boolean;
  readonly isLeaseHeld: boolean;
  readonly instances: readonly InstanceServed[];
  readonly guestsOpen: number;
  readonly guestsMax: number;
  /** Since the agent was started; a stop and a start begin it anew. */
  readonly uptimeMs: number;
};

export const NODE_PHASES = ['starting', 'running', 'stopping', 'stopped'] as const;
export type NodePhase = (typeof NODE_PHASES)[number];

/** `agent` is null while there is none. */
export type NodeStatus = { readonly phase: NodePhase; readonly agent: AgentStatus | null };
