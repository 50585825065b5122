// Who may ask the broker and the state store for what. Operators may do everything. A node acts for the instances that are
// placed on it, each within what it was deployed for: it takes and settles events of its triggers, publishes and writes what its
// module was granted, and touches no consumer. Whoever is neither publishes and reads.
// Surprising: a placement counts here once it is durable, as a fence does, so that a node is not refused before it is replaced.
import { grantsPublish, grantsState, type Capability } from '../domain/capability.ts';
import type { Admission, BusCall } from '../domain/broker.ts';
import { TRIGGER_CONSUMER_PREFIX, type TriggerSpec } from '../domain/deployment.ts';
import { TRIGGER_HEADER, type BusEvent, type FencingToken } from '../domain/event.ts';
import type { ConsumerName, Epoch, InstanceId, NodeId, TriggerName } from '../domain/identifiers.ts';
import { ok, rejected, type Outcome } from '../domain/outcome.ts';
import type { InstanceRecord } from '../deployments/deployments.ts';
import { grantsOf } from '../modules/modules.ts';
import { isOperator, type ControllerConfig } from './config.ts';
import type { ControllerState } from './state.ts';

const NODE_PREFIX = 'node/';
/** Bound: holders of forgotten instances that are not worth looking for. */
const SPARE_MAX = 1_024;

type Holder = { readonly epoch: Epoch; readonly node: NodeId | null };

/** The newest durable placement of each instance. Bound: twice the instances that the state remembers, and `SPARE_MAX`. */
export class Holders {
  readonly #byInstance = new Map<InstanceId, Holder>();

  /** Lets go of instances that nobody remembers any more, when they are most of them: what acts for those is refused anyway. */
  prune(remembered: ReadonlyMap<InstanceId, unknown>): void {
    if (this.#byInstance.size <= 2 * remembered.size + SPARE_MAX) return;
    for (const id of this.#byInstance.keys()) if (!remembered.has(id)) this.#byInstance.delete(id);
  }

  get size(): number {
    return this.#byInstance.size;
  }

  place({ instance, epoch }: FencingToken, node: NodeId | null): void {
    if (epoch > (this.#byInstance.get(instance)?.epoch ?? 0)) this.#byInstance.set(instance, { epoch, node });
  }

  find(instance: InstanceId): Holder | undefined {
    return this.#byInstance.get(instance);
  }
}

export type AuthorityOptions = {
  readonly config: ControllerConfig;
  readonly state: ControllerState;
  readonly holders: Holders;
};

export class Authority {
  readonly #options: AuthorityOptions;

  constructor(options: AuthorityOptions) {
    this.#options = options;
  }

  admissionOf(peer: string): Admission {
    if (isOperator(this.#options.config, peer)) return () => ok();
    if (!peer.startsWith(NODE_PREFIX)) return (call) => checkPublisher(peer, call);
    return (call) => this.#checkNode(peer.slice(NODE_PREFIX.length) as NodeId, call);
  }

  #checkNode(node: NodeId, call: BusCall): Outcome<void> {
    if (call.kind === 'consumer')
      return refuse(`node/${node}`, `change consumer ${call.consumer}`, 'The controller makes and deletes the consumers of triggers.');
    const { fence } = call;
    if (fence === null)
      return refuse(
        `node/${node}`,
        `${describe(call)} for no instance`,
        'A node acts for an instance that is placed on it: give its fencing token.',
      );
    const { instance: id, epoch } = fence;
    const holder = this.#options.holders.find(id);
    const instance = this.#options.state.deployments.instances.get(id);
    if (holder === undefined || instance === undefined || epoch > holder.epoch) return this.#refuseHolder(node, call, fence);
    // The fence says that it was superseded, and tells of the attempt.
    if (epoch < holder.epoch) return ok();
    if (holder.node !== node) return this.#refuseHolder(node, call, fence);
    return this.#checkScope(node, call, instance);
  }

  #checkScope(node: NodeId, call: Exclude<BusCall, { readonly kind: 'consumer' }>, instance: InstanceRecord): Outcome<void> {
    switch (call.kind) {
      case 'fetch':
      case 'settle':
        return this.#findTrigger(call.consumer)?.deployment === instance.deployment
          ? ok()
          : refuse(
              `node/${node}`,
              `${describe(call)} for ${instance.id}`,
              `No trigger of deployment ${instance.deployment} has this consumer.`,
            );
      case 'publish':
        return this.#isResult(call.event, instance) || this.#isGranted(instance, (grants) => grantsPublish(grants, call.event.subject))
          ? ok()
          : refuse(
              `node/${node}`,
              `${describe(call)} for ${instance.id}`,
              `Module ${instance.module} was not granted this subject, and no trigger of ${instance.deployment} sends its results there.`,
            );
      case 'put':
        return this.#isGranted(instance, (grants) => grantsState(grants, 'state-write', call.key))
          ? ok()
          : refuse(`node/${node}`, `${describe(call)} for ${instance.id}`, `Module ${instance.module} was not granted this key.`);
    }
  }

  #findTrigger(consumer: ConsumerName): TriggerSpec | undefined {
    if (!consumer.startsWith(TRIGGER_CONSUMER_PREFIX)) return undefined;
    return this.#options.state.events.triggers.get(consumer.slice(TRIGGER_CONSUMER_PREFIX.length) as TriggerName);
  }

  #isResult({ headers, subject }: BusEvent, instance: InstanceRecord): boolean {
    const trigger = this.#options.state.events.triggers.get(headers[TRIGGER_HEADER] as TriggerName);
    return trigger !== undefined && trigger.deployment === instance.deployment && trigger.result === subject;
  }

  /** By any version of its module: during a rollout invocations finish with the version that they began with. */
  #isGranted(instance: InstanceRecord, isCovered: (grants: readonly Capability[]) => boolean): boolean {
    const { modules } = this.#options.state;
    const versions = modules.versions.get(instance.module) ?? [];
    const current = versions[instance.version - 1];
    if (current !== undefined && isCovered(grantsOf(modules, current))) return true;
    return versions.some((version) => version !== current && isCovered(grantsOf(modules, version)));
  }

  #refuseHolder(node: NodeId, call: BusCall, { instance, epoch }: FencingToken): Outcome<void> {
    return refuse(
      `node/${node}`,
      `${describe(call)} for ${instance} in epoch ${epoch}`,
      `This instance is not placed on ${node} in this epoch.`,
    );
  }
}

function checkPublisher(peer: string, call: BusCall): Outcome<void> {
  if (call.kind === 'publish' && call.fence === null) return ok();
  return refuse(peer, describe(call), 'It is neither a node nor an operator, and may publish and read only.');
}

function describe(call: BusCall): string {
  switch (call.kind) {
    case 'publish':
      return `publish on ${call.event.subject}`;
    case 'consumer':
      return `change consumer ${call.consumer}`;
    case 'fetch':
      return `fetch from ${call.consumer}`;
    case 'settle':
      return `settle a delivery of ${call.consumer}`;
    case 'put':
      return `write ${call.key}`;
  }
}

function refuse(peer: string, what: string, why: string): Outcome<void> {
  return rejected('WM_NODE_REFUSED', {
    message: `${peer} may not ${what}. ${why}`,
    next: 'Nothing, if the node was just given other work. Otherwise find out who has its certificate.',
    detail: { peer },
  });
}
