// What agent and controller say to each other on the agent's one stream. The controller sends desired state, never deltas:
// a message that is lost or refused is repaired by the next. Every message to an agent carries term and revision, and an
// agent refuses lower ones than it has seen (architecture §5).
import type { Capability } from './capability.ts';
import type { ErrorCode } from './errors.ts';
import type {
  ConsumerName,
  DeploymentName,
  Digest,
  Endpoint,
  Epoch,
  Incarnation,
  InstanceId,
  ModuleName,
  NodeId,
  Subject,
  Term,
  TriggerName,
} from './identifiers.ts';
import type { GuestLine } from './logs.ts';
import type { ModuleManifest, Signature, SignedArtefact, TrustedKey } from './module.ts';
import type { GeoPoint, LatencyReport, NodeFacts, NodeLoad } from './node.ts';

/** Methods of the controller's endpoint. */
export const SESSION_METHOD = '/wasmmatrix.v1.Agent/Session';
export const FETCH_METHOD = '/wasmmatrix.v1.Agent/FetchArtefact';

/** What an agent is running, as it says at the start of a session and whenever it changes. */
export type InstanceReport = {
  readonly instance: InstanceId;
  readonly epoch: Epoch;
  readonly state: 'running' | 'failed' | 'stopped';
  readonly version: number;
  readonly cause: string;
  readonly code: ErrorCode | null;
};

export type AgentMessage =
  | {
      readonly kind: 'hello';
      readonly facts: NodeFacts;
      readonly joinToken: string;
      /** Drawn anew at each start of the agent: tells a restart from a reconnection. */
      readonly bootId: string;
      /** Null before the first welcome of this boot. */
      readonly incarnation: Incarnation | null;
      readonly instances: readonly InstanceReport[];
      /** Digests of artefacts it holds compiled and verified. */
      readonly artefacts: readonly Digest[];
    }
  | {
      readonly kind: 'heartbeat';
      readonly sequence: number;
      readonly load: NodeLoad;
      /** All that are known where one is new in this session, or none was said for a third of `MEASURED_FOR_MS`; empty says nothing. */
      readonly latencies: readonly LatencyReport[];
    }
  | { readonly kind: 'instance'; readonly report: InstanceReport }
  | {
      /** A security record (R3.5, R8.2): something was refused on the node. */
      readonly kind: 'refusal';
      readonly code: ErrorCode;
      readonly subject: string;
      readonly message: string;
    }
  /** The node is somewhere else than it said last (R1.5). */
  | { readonly kind: 'moved'; readonly location: GeoPoint }
  | {
      readonly kind: 'logs';
      readonly lines: readonly GuestLine[];
      /** Lines of each instance that were lost since the message before. */
      readonly dropped: readonly { readonly instance: InstanceId; readonly lines: number }[];
    };

/** A module version that an agent holds ready: desired, or kept warm for a rollback (R2.2). */
export type ModuleGrant = {
  readonly version: number;
  readonly manifest: ModuleManifest;
  readonly signature: Signature;
  readonly artefact: SignedArtefact;
};

export type TriggerBinding = {
  readonly trigger: TriggerName;
  readonly consumer: ConsumerName;
  readonly result: Subject | null;
  readonly ackWaitMs: number;
};

export type Assignment = {
  readonly instance: InstanceId;
  readonly epoch: Epoch;
  readonly deployment: DeploymentName;
  readonly module: ModuleName;
  readonly version: number;
  readonly grants: readonly Capability[];
  readonly concurrency: number;
  readonly triggers: readonly TriggerBinding[];
  /** False: goes on when the lease lapses (`whenUnreachable: stay`). */
  readonly movable: boolean;
};

/** What the node had been given and is to say that it is gone, even if it never heard of it. */
export type Withdrawn = { readonly instance: InstanceId; readonly epoch: Epoch; readonly version: number };

export type Landmark = { readonly node: NodeId; readonly endpoint: Endpoint };

export type ControllerMessage =
  | {
      readonly kind: 'welcome';
      readonly term: Term;
      readonly incarnation: Incarnation;
      readonly heartbeatIntervalMs: number;
      /** Counted from the sending of the hello or heartbeat that is answered, on the agent's own monotonic clock. */
      readonly leaseMs: number;
      /** The controller's own key (it signs artefacts) and the authors' keys. */
      readonly controllerKey: TrustedKey;
    }
  | { readonly kind: 'refused'; readonly code: ErrorCode; readonly message: string; readonly next: string }
  | { readonly kind: 'heartbeat-ack'; readonly term: Term; readonly sequence: number; readonly leaseMs: number }
  | {
      /** The whole desired state of the node. */
      readonly kind: 'desired';
      readonly term: Term;
      readonly revision: number;
      readonly trust: readonly TrustedKey[];
      readonly modules: readonly ModuleGrant[];
      readonly assignments: readonly Assignment[];
      readonly landmarks: readonly Landmark[];
      /** Each until the node has said that it is gone. */
      readonly withdrawn: readonly Withdrawn[];
    };

/** A part of an artefact: fetches are resumable by offset (R3.4). */
export type FetchRequest = { readonly artefact: Digest; readonly offset: number; readonly bytesMax: number };
export type FetchReply = { readonly sizeBytes: number; readonly offset: number; readonly bytes: Uint8Array };
