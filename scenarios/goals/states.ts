// States that a run may get into and that are worth getting into: what `sometimes` and `never` name, and what coverage counts.
// One watch follows all of them over the records of one run. Each is said at the record that completes it.
// Bound: EVENTS_KEPT_MAX events are remembered; what else is kept is no more than machines, commands and guests that are open.
import type { RunRecord } from '../record.ts';

/** Bound: events whose first node is remembered; the oldest is forgotten. */
const EVENTS_KEPT_MAX = 4_096;
/** As many kinds of fault at once are no longer one thing going wrong. */
const OVERLAPPING_KINDS = 3;

/** By name, what happens in words: the end of a sentence that begins with "In some run". */
export const STATES = {
  'lease-lapsed-over-guest': 'a lease lapses while a guest runs under it',
  'leases-lapsed-everywhere': 'no agent holds a lease any more',
  'guest-cut-off': 'a machine stops while a guest runs on it',
  'guest-outlives-node': 'a node is given up while a guest still runs on it',
  'work-without-controller': 'a guest starts on a node that has lost its session',
  'event-run-elsewhere': 'an event that one node began and did not finish begins on another',
  'delivery-dead-lettered': 'a delivery is dead-lettered',
  'stale-effect-refused': 'an effect of a former placement is refused',
  'queue-full': 'the broker refuses an event at its bound',
  'publication-repeated': 'an event is published again and known by its identifier',
  'snapshot-restored': 'a controller starts from a snapshot and the rest of its journal',
  'controller-lost-midcommand': 'the controller stops while a command waits for its answer',
  'controller-lost-midrollback': 'the controller stops between accepting a rollback and issuing it',
  'command-in-doubt': 'an operator cannot know whether a command was carried out',
  'two-nodes-down': 'two nodes are off or frozen at once',
  'every-node-given-up': 'every node that was ever enrolled is unavailable',
  'node-taken-back': 'a node that was given up is taken back',
  'node-lost-while-draining': 'a node is given up while it drains',
  'placement-impossible': 'an instance finds no node that can take it',
  'instance-failed': 'an instance fails on its node',
  'artefact-refused': 'an agent refuses an artefact',
  'artefact-fetched-again': 'an agent fetches an artefact that it has fetched before',
  'faults-overlap': `faults of ${OVERLAPPING_KINDS} kinds are active at once`,
} as const;

export type StateName = keyof typeof STATES;

export const STATE_NAMES = Object.keys(STATES) as readonly StateName[];

export function isState(name: string): name is StateName {
  return Object.hasOwn(STATES, name);
}

const NONE: readonly StateName[] = [];

export class StateWatch {
  /** Guests that run, `trigger event instance`, by node. */
  readonly #guests = new Map<string, Set<string>>();
  readonly #sessionless = new Set<string>();
  readonly #leases = new Set<string>();
  #leaseholders = 0;
  /** By `trigger event`, the node that began it and did not complete it. */
  readonly #begun = new Map<string, string>();
  readonly #commands = new Set<string>();
  readonly #rollbacks = new Set<string>();
  readonly #down = new Set<string>();
  /** Nodes that were told to drain and are not taken back, suspect meanwhile or not. */
  readonly #draining = new Set<string>();
  /** Nodes by the status that the controller gave them last. */
  readonly #status = new Map<string, string>();
  readonly #fetched = new Set<string>();
  readonly #faults = new Map<string, string>();
  #isOver = false;

  /** States that this record completes. Records come in the order of the run. */
  next(record: RunRecord): readonly StateName[] {
    // At the end everything is stopped, which is none of what a run got into.
    if (this.#isOver) return NONE;
    switch (record.kind) {
      case 'run.phase':
        this.#isOver = record.fields.phase === 'end';
        return NONE;
      case 'machine.started':
      case 'machine.resumed':
        this.#down.delete(record.fields.machine);
        return NONE;
      case 'machine.paused':
        return record.fields.machine === 'controller' ? NONE : this.#fell(record.fields.machine);
      case 'machine.stopped':
        return record.fields.role === 'controller' ? this.#controllerStopped() : this.#nodeStopped(record.fields.machine);
      case 'fault.begun':
        this.#faults.set(record.fields.fault, record.fields.kind);
        return when('faults-overlap', new Set(this.#faults.values()).size >= OVERLAPPING_KINDS);
      case 'fault.ended':
        this.#faults.delete(record.fields.fault);
        return NONE;
      case 'operator.commanded':
        this.#commands.add(record.fields.id);
        return NONE;
      case 'operator.answered':
        this.#commands.delete(record.fields.id);
        return when('command-in-doubt', record.fields.outcome === 'unknown');
      case 'rollback.accepted':
        this.#rollbacks.add(record.fields.deployment);
        return NONE;
      case 'rollback.issued':
        this.#rollbacks.delete(record.fields.deployment);
        return NONE;
      case 'controller.started':
        // Without a snapshot every record of the journal is read, and each has an entry at least.
        return when('snapshot-restored', record.fields.entries < record.fields.sequence);
      case 'node.enrolled':
        return this.#became(record.fields.node, 'healthy');
      case 'node.status':
        return this.#became(record.fields.node, record.fields.to);
      case 'instance.state':
        return when('instance-failed', record.fields.to === 'failed');
      case 'placement.refused':
        return ['placement-impossible'];
      case 'agent.session':
        if (record.fields.state === 'lost') this.#sessionless.add(record.fields.node);
        else this.#sessionless.delete(record.fields.node);
        return NONE;
      case 'agent.lease':
        return this.#lease(record.fields.node, record.fields.state === 'held');
      case 'artefact.fetched': {
        const copy = `${record.fields.node} ${record.fields.artefact}`;
        const again = this.#fetched.has(copy);
        this.#fetched.add(copy);
        return when('artefact-fetched-again', again);
      }
      case 'artefact.refused':
        return ['artefact-refused'];
      case 'invocation.started':
        return this.#began(record.fields);
      case 'invocation.finished': {
        const { node, trigger, event, instance, outcome } = record.fields;
        this.#guests.get(node)?.delete(`${trigger} ${event} ${instance}`);
        if (outcome === 'completed') this.#begun.delete(`${trigger} ${event}`);
        return NONE;
      }
      case 'event.deadlettered':
        return ['delivery-dead-lettered'];
      case 'event.refused':
        return when('queue-full', record.fields.code === 'WM_BUS_FULL');
      case 'event.duplicate':
        return ['publication-repeated'];
      case 'effect.fenced':
        return ['stale-effect-refused'];
      default:
        return NONE;
    }
  }

  #fell(node: string): readonly StateName[] {
    this.#down.add(node);
    return when('two-nodes-down', this.#down.size >= 2);
  }

  #nodeStopped(node: string): readonly StateName[] {
    const cutOff = (this.#guests.get(node)?.size ?? 0) > 0;
    this.#guests.delete(node);
    this.#sessionless.delete(node);
    this.#leases.delete(node);
    return [...when('guest-cut-off', cutOff), ...this.#fell(node)];
  }

  #controllerStopped(): readonly StateName[] {
    const rollingBack = this.#rollbacks.size > 0;
    this.#rollbacks.clear();
    return [...when('controller-lost-midcommand', this.#commands.size > 0), ...when('controller-lost-midrollback', rollingBack)];
  }

  #became(node: string, status: string): readonly StateName[] {
    const before = this.#status.get(node);
    this.#status.set(node, status);
    if (status === 'draining') this.#draining.add(node);
    if (status === 'healthy') this.#draining.delete(node);
    if (status !== 'unavailable') return when('node-taken-back', before === 'unavailable');
    return [
      ...when('node-lost-while-draining', this.#draining.delete(node)),
      ...when('guest-outlives-node', (this.#guests.get(node)?.size ?? 0) > 0),
      ...when(
        'every-node-given-up',
        [...this.#status.values()].every((other) => other === 'unavailable'),
      ),
    ];
  }

  #lease(node: string, isHeld: boolean): readonly StateName[] {
    if (isHeld) {
      this.#leases.add(node);
      this.#leaseholders = Math.max(this.#leaseholders, this.#leases.size);
      return NONE;
    }
    const wasHeld = this.#leases.delete(node);
    return [
      ...when('lease-lapsed-over-guest', (this.#guests.get(node)?.size ?? 0) > 0),
      ...when('leases-lapsed-everywhere', wasHeld && this.#leases.size === 0 && this.#leaseholders > 1),
    ];
  }

  #began({ node, trigger, event, instance }: Extract<RunRecord, { kind: 'invocation.started' }>['fields']): readonly StateName[] {
    const guests = this.#guests.get(node) ?? new Set<string>();
    this.#guests.set(node, guests.add(`${trigger} ${event} ${instance}`));
    const work = `${trigger} ${event}`;
    const before = this.#begun.get(work);
    this.#begun.set(work, node);
    if (this.#begun.size > EVENTS_KEPT_MAX) this.#begun.delete(this.#begun.keys().next().value ?? '');
    return [
      ...when('event-run-elsewhere', before !== undefined && before !== node),
      ...when('work-without-controller', this.#sessionless.has(node)),
    ];
  }
}

function when(state: StateName, isSo: boolean): readonly StateName[] {
  return isSo ? [state] : NONE;
}
