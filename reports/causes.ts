// What led to a record, as far as records say it: they carry no pointer to a cause, but they name events, instances, nodes,
// commands and faults, and each kind follows from few others. For each record the nearest earlier one that it can follow from
// is taken. A chain ends where the record names nothing further; it never guesses from the order alone.
import type { RunRecord } from '../scenarios/record.ts';
import type { RecordKind } from '../system/domain/telemetry.ts';
import { parts, type Place } from './targets.ts';

/** Bound: records of a chain that is told. */
export const CHAIN_RECORDS_MAX = 12;

type Fields = Readonly<Record<string, unknown>>;
/** Fields of which cause and effect have the same value: its name in the effect, and in the cause where that differs. */
type Shared = string | readonly [effect: string, cause: string];
/**
 * What can part the node of the effect from the controller: a fault between them, or either of them being off or frozen. The nearest that is
 * not over.
 */
type PartingRule = { readonly parts: 'node'; readonly when?: Fields };
type NamedRule = {
  readonly kinds: readonly RecordKind[];
  readonly same: readonly Shared[];
  /** Values that the effect must have for the rule to apply. */
  readonly when?: Fields;
  /** Values that the cause must have. */
  readonly where?: Fields;
  /** Values that the cause must not have. */
  readonly unless?: Fields;
  /** With the same values these undo the cause: where one of them is nearer, the rule finds nothing. */
  readonly undone?: readonly RecordKind[];
};

const CONTROLLER = 'controller';
const EVENT = ['event'] as const;
const INSTANCE = ['instance'] as const;
const NODE = ['node'] as const;
const MACHINE_OF_NODE = [['node', 'machine']] as const;
type Rule = NamedRule | PartingRule;

const FAULT_OF_MACHINE: NamedRule = { kinds: ['fault.begun'], same: [['machine', 'target']] };
const FETCHED: readonly NamedRule[] = [
  { kinds: ['artefact.fetched'], same: ['node', 'artefact'] },
  { kinds: ['agent.desired'], same: NODE },
];

/** For each kind, what it can follow from; the first rule that finds something counts. */
const RULES: { readonly [K in RecordKind]?: readonly Rule[] } = {
  'event.accepted': [{ kinds: ['invocation.started'], same: ['instance', 'correlation'] }],
  'event.duplicate': [{ kinds: ['event.accepted'], same: EVENT }],
  'event.delivered': [
    { kinds: ['event.retried'], same: ['consumer', 'event'] },
    { kinds: ['event.accepted'], same: EVENT },
  ],
  'event.acknowledged': [
    { kinds: ['invocation.finished'], same: ['event', 'instance', 'attempt'] },
    { kinds: ['event.delivered'], same: ['consumer', 'event'] },
  ],
  'event.retried': [
    { kinds: ['invocation.finished'], same: ['event', 'attempt'], unless: { outcome: 'completed' } },
    { kinds: ['event.delivered'], same: ['consumer', 'event'] },
  ],
  'event.deadlettered': [
    { kinds: ['invocation.finished'], same: EVENT, unless: { outcome: 'completed' } },
    { kinds: ['event.delivered'], same: ['consumer', 'event'] },
  ],
  'invocation.started': [{ kinds: ['event.delivered'], same: ['event', 'instance', 'attempt'] }],
  'invocation.finished': [{ kinds: ['invocation.started'], same: ['node', 'event', 'attempt'] }],
  'capability.refused': [{ kinds: ['invocation.started'], same: ['node', 'instance', 'correlation'] }],
  'state.written': [{ kinds: ['invocation.started'], same: ['instance', 'correlation'] }],
  'workload.published': [{ kinds: ['event.accepted', 'event.refused', 'event.duplicate'], same: EVENT }],
  'workload.result': [{ kinds: ['event.delivered', 'event.accepted'], same: EVENT }],
  'effect.fenced': [{ kinds: ['fence.raised'], same: INSTANCE }],
  'fence.raised': [
    { kinds: ['instance.state'], same: ['instance', 'epoch'] },
    { kinds: ['node.status'], same: ['micros'], where: { to: 'unavailable' } },
  ],
  'instance.serving': [
    { kinds: ['instance.state'], same: ['instance', 'node', 'epoch'] },
    { kinds: ['agent.desired'], same: NODE },
  ],
  'instance.ended': [
    { kinds: ['instance.state'], same: INSTANCE },
    { kinds: ['agent.lease'], same: NODE, where: { state: 'lapsed' } },
  ],
  'instance.state': [
    { kinds: ['instance.serving'], same: ['instance', 'node', 'epoch'], when: { to: 'running' } },
    { kinds: ['placement.decided', 'placement.refused'], same: ['instance', 'micros'] },
    { kinds: ['node.status'], same: ['micros'], when: { to: 'pending' }, where: { to: 'unavailable' } },
    { kinds: ['instance.ended'], same: INSTANCE },
    { kinds: ['deployment.applied', 'deployment.deleted', 'rollback.accepted'], same: ['deployment'] },
  ],
  'placement.decided': [
    { kinds: ['instance.state'], same: ['instance', 'micros'], where: { to: 'pending' } },
    { kinds: ['deployment.applied', 'node.status', 'node.enrolled'], same: ['micros'] },
    { kinds: ['placement.refused', 'instance.state'], same: INSTANCE },
  ],
  'placement.refused': [{ kinds: ['instance.state'], same: INSTANCE }],
  'node.status': [
    { kinds: ['node.enrolled', 'agent.started'], same: NODE, when: { to: 'healthy' } },
    { kinds: ['node.status'], same: NODE, when: { to: 'unavailable' }, where: { to: 'suspect' } },
    { parts: 'node' },
  ],
  'node.enrolled': [{ kinds: ['agent.session', 'agent.started'], same: NODE }],
  'agent.session': [
    { kinds: ['agent.started'], same: NODE, when: { state: 'connected', attempt: 0 } },
    { parts: 'node', when: { state: 'lost' } },
    { kinds: ['agent.session', 'agent.started'], same: NODE },
  ],
  'agent.lease': [{ kinds: ['agent.session'], same: NODE }],
  'agent.started': [{ kinds: ['machine.started'], same: MACHINE_OF_NODE }],
  'agent.desired': [{ kinds: ['agent.session'], same: NODE, where: { state: 'connected' } }],
  'artefact.fetched': [{ kinds: ['agent.desired'], same: NODE }],
  'artefact.loaded': FETCHED,
  'artefact.refused': FETCHED,
  'controller.started': [{ kinds: ['machine.started'], same: [], where: { role: 'controller' } }],
  'fault.ended': [{ kinds: ['fault.begun'], same: ['fault'] }],
  'machine.stopped': [{ ...FAULT_OF_MACHINE, undone: ['fault.ended'] }],
  'machine.paused': [FAULT_OF_MACHINE],
  'machine.resumed': [{ kinds: ['machine.paused'], same: ['machine'] }],
  'machine.started': [
    { kinds: ['fault.ended'], same: [['machine', 'target'], 'micros'] },
    { kinds: ['machine.stopped'], same: ['machine'] },
  ],
  'command.accepted': [{ kinds: ['operator.commanded'], same: ['id'] }],
  'command.refused': [{ kinds: ['operator.commanded'], same: ['id'] }],
  'command.acknowledged': [{ kinds: ['command.accepted'], same: ['id'] }],
  'operator.answered': [
    { kinds: ['command.acknowledged', 'command.refused'], same: ['id'] },
    { kinds: ['operator.commanded'], same: ['id'] },
  ],
  'rollback.issued': [{ kinds: ['rollback.accepted'], same: ['deployment'] }],
  'artefact.signed': [{ kinds: ['module.stored'], same: ['module', 'version'] }],
};

/** Position of the record that the one at `at` follows from; null when records name none. */
export function causeOf(records: readonly RunRecord[], at: number): number | null {
  const effect = records[at];
  if (effect === undefined) return null;
  for (const rule of RULES[effect.kind] ?? []) {
    if (!hasAll(effect.fields, rule.when ?? {})) continue;
    const found = 'parts' in rule ? nearestParting(records, at, valueOf(effect, rule.parts)) : nearest(records, at, effect, rule);
    if (found !== null) return found;
  }
  if (effect.correlation === null) return null;
  for (let i = at - 1; i >= 0; i--) if (records[i]?.correlation === effect.correlation) return i;
  return null;
}

/** Positions of the record and of what led to it, cause before effect: at most `CHAIN_RECORDS_MAX`, the nearest ones. */
export function chainTo(records: readonly RunRecord[], at: number): readonly number[] {
  const chain: number[] = [];
  for (
    let i: number | null = records[at] === undefined ? null : at;
    i !== null && chain.length < CHAIN_RECORDS_MAX;
    i = causeOf(records, i)
  )
    chain.unshift(i);
  return chain;
}

function nearest(records: readonly RunRecord[], at: number, effect: RunRecord, rule: NamedRule): number | null {
  const { undone = [] } = rule;
  for (let i = at - 1; i >= 0; i--) {
    const record = records[i] as RunRecord;
    const undoes = undone.includes(record.kind);
    if (!undoes && !rule.kinds.includes(record.kind)) continue;
    if (!rule.same.every((shared) => isShared(effect, record, shared))) continue;
    if (undoes) return null;
    if (!hasAll(record.fields, rule.where ?? {})) continue;
    if (rule.unless !== undefined && hasAll(record.fields, rule.unless)) continue;
    return i;
  }
  return null;
}

function nearestParting(records: readonly RunRecord[], at: number, node: unknown): number | null {
  if (typeof node !== 'string') return null;
  const ends = [placeOf(records, at, node), placeOf(records, at, CONTROLLER)] as const;
  /** Faults that ended before, and when; machines that were on again. */
  const ended = new Map<string, number>();
  const back = new Set<string>();
  for (let i = at - 1; i >= 0; i--) {
    const record = records[i] as RunRecord;
    switch (record.kind) {
      case 'fault.ended':
        ended.set(record.fields.fault, record.micros);
        break;
      case 'fault.begun':
        // One that is over as soon as it begins, such as connections that are reset, was never undone.
        if ((ended.get(record.fields.fault) ?? record.micros) === record.micros && parts(record.fields.target, ...ends)) return i;
        break;
      case 'machine.started':
      case 'machine.resumed':
        back.add(record.fields.machine);
        break;
      case 'machine.stopped':
      case 'machine.paused': {
        const { machine } = record.fields;
        if ((machine === node || machine === CONTROLLER) && !back.has(machine)) return i;
        break;
      }
      default:
    }
  }
  return null;
}

/** With the zone in which it started last. */
function placeOf(records: readonly RunRecord[], at: number, machine: string): Place {
  for (let i = at - 1; i >= 0; i--) {
    const record = records[i] as RunRecord;
    if (record.kind === 'machine.started' && record.fields.machine === machine) return { machine, zone: record.fields.zone };
  }
  return { machine, zone: '' };
}

function isShared(effect: RunRecord, cause: RunRecord, shared: Shared): boolean {
  const [mine, theirs] = typeof shared === 'string' ? [shared, shared] : shared;
  const value = valueOf(effect, mine);
  return value !== undefined && value !== null && value === valueOf(cause, theirs);
}

/** `micros` is when it was recorded, not a field of that name. */
function valueOf(record: RunRecord, name: string): unknown {
  if (name === 'correlation') return record.correlation;
  if (name === 'micros') return record.micros;
  const fields: Fields = record.fields;
  return fields[name];
}

function hasAll(fields: Fields, wanted: Fields): boolean {
  return Object.entries(wanted).every(([name, value]) => fields[name] === value);
}
