// The operator API: commands that change what is wanted, queries that read what is, a stream of entries to watch.
import type { DeploymentSpec, DeploymentView, InstanceView, TriggerSpec } from './deployment.ts';
import type { DeploymentName, KeyId, ModuleName, NodeId, Term, TriggerName } from './identifiers.ts';
import type { MatrixCell } from './matrix.ts';
import type { ModuleManifest, ModuleVersion, Signature, TrustedKey } from './module.ts';
import type { NodeView } from './node.ts';
import type { DeploymentPlan, TriggerPlan } from './plan.ts';
import type { EventView } from './watch.ts';

export const EXECUTE_METHOD = '/wasmmatrix.v1.Operator/Execute';
export const QUERY_METHOD = '/wasmmatrix.v1.Operator/Query';
/** A stream: a `WatchRequest`, then messages of the controller (system/domain/watch.ts). */
export const WATCH_METHOD = '/wasmmatrix.v1.Operator/Watch';
/** The same: a `LogsRequest`, then lines (system/domain/logs.ts). */
export const LOGS_METHOD = '/wasmmatrix.v1.Operator/Logs';

export type OperatorCommand =
  | { readonly kind: 'trust-add'; readonly publicKey: Uint8Array; readonly mayGrant: readonly string[]; readonly notAfterMs?: number }
  | { readonly kind: 'trust-revoke'; readonly key: KeyId }
  | {
      readonly kind: 'module-push';
      readonly manifest: ModuleManifest;
      /** Null: unsigned, which is refused and recorded. */
      readonly signature: Signature | null;
      readonly bytes: Uint8Array;
    }
  | { readonly kind: 'deployment-apply'; readonly spec: DeploymentSpec }
  | { readonly kind: 'deployment-scale'; readonly deployment: DeploymentName; readonly replicas: number }
  | { readonly kind: 'deployment-delete'; readonly deployment: DeploymentName }
  | { readonly kind: 'rollback'; readonly deployment: DeploymentName; readonly version: number }
  | { readonly kind: 'trigger-apply'; readonly spec: TriggerSpec }
  | { readonly kind: 'trigger-delete'; readonly trigger: TriggerName }
  | { readonly kind: 'node-drain'; readonly node: NodeId }
  /** It takes work again. */
  | { readonly kind: 'node-undrain'; readonly node: NodeId }
  /** Forgets a node that is gone for good. Refused while it is in touch. */
  | { readonly kind: 'node-remove'; readonly node: NodeId };

/** `id` makes a command idempotent: the same id is answered with the first reply and applied once. */
export type OperatorRequest = { readonly id: string; readonly command: OperatorCommand };

export type OperatorReply =
  | { readonly kind: 'done'; readonly sequence: number }
  | { readonly kind: 'module-stored'; readonly sequence: number; readonly module: ModuleName; readonly version: number };

export type OperatorQuery =
  | { readonly kind: 'nodes' }
  | { readonly kind: 'modules' }
  | { readonly kind: 'deployments' }
  | { readonly kind: 'instances' }
  | { readonly kind: 'trust' }
  /** The platform's recent facts, as far as they are held. */
  | { readonly kind: 'events' }
  | { readonly kind: 'matrix' }
  /** What applying these, in this order, would do now. Refused as the apply would be. */
  | { readonly kind: 'plan'; readonly deployments: readonly DeploymentSpec[]; readonly triggers: readonly TriggerSpec[] };

export type OperatorAnswer =
  | { readonly kind: 'nodes'; readonly term: Term; readonly nodes: readonly NodeView[] }
  | { readonly kind: 'modules'; readonly term: Term; readonly modules: readonly ModuleVersion[] }
  | { readonly kind: 'deployments'; readonly term: Term; readonly deployments: readonly DeploymentView[] }
  | { readonly kind: 'instances'; readonly term: Term; readonly instances: readonly InstanceView[] }
  | { readonly kind: 'trust'; readonly term: Term; readonly keys: readonly TrustedKey[] }
  | { readonly kind: 'events'; readonly term: Term; readonly events: readonly EventView[] }
  | { readonly kind: 'matrix'; readonly term: Term; readonly cells: readonly MatrixCell[] }
  | {
      readonly kind: 'plan';
      readonly term: Term;
      readonly deployments: readonly DeploymentPlan[];
      readonly triggers: readonly TriggerPlan[];
    };
