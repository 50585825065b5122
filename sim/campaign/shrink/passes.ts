// The ways to make a scenario smaller, in the order in which they are tried: first what takes most away. Each way is a list of
// small changes that can be made together, in any number; whether what comes out is a scenario, and still fails, is found out
// by others.
import { FAULT_KINDS } from '../../../scenarios/scenario.ts';
import { isRecord } from '../../../scenarios/shape.ts';
import { stepKindOf } from '../../../scenarios/steps.ts';
import { written, writtenMicros } from '../draw/dice.ts';
import { changed, microsOf, millisOf, timeOf, without, type Document, type Fields, type Item, type ListName } from './document.ts';

export type Change = (document: Document) => Document;
export type Pass = {
  readonly name: string;
  /** `endMs`: when the last run that failed was over. */
  readonly changes: (document: Document, endMs: number) => readonly Change[];
};

/**
 * First what makes every later run shorter, then what takes most away, last what only tidies. A run in which too little time was
 * left fails too, for a reason of its own: with `keepsQuiet` the quiet phase keeps its length.
 */
export function passesFor({ keepsQuiet }: { readonly keepsQuiet: boolean }): readonly Pass[] {
  return keepsQuiet ? PASSES : [CUT, QUIET, ...PASSES];
}

export function isFault({ fields }: Item): boolean {
  return (FAULT_KINDS as readonly string[]).includes(stepKindOf(fields));
}

const MS_PER_S = 1_000;
const DURATIONS = [
  [3, 4],
  [1, 2],
  [1, 4],
] as const;

/** Fields of which a scenario may say nothing. */
const OPTIONS: Readonly<Partial<Record<ListName, readonly string[]>>> = {
  nodes: [
    'architecture',
    'cores',
    'memory',
    'fuelPerMicro',
    'start',
    'isaFeatures',
    'hardware',
    'faultDomain',
    'location',
    'thermal',
    'battery',
    'clock',
  ],
  links: ['loss', 'latency', 'bandwidth', 'burstLoss', 'duplication', 'reordering', 'corruption'],
  cells: ['loss', 'bandwidth', 'edge'],
  vehicles: ['hysteresis', 'interruption'],
  steps: [
    'spread',
    'whenUnreachable',
    'whenNearer',
    'by',
    'concurrency',
    'needs',
    'limits',
    'version',
    'result',
    'deliveries',
    'ackWait',
    'backoff',
    'backoffMax',
    'replicas',
    'capabilities',
  ],
  workload: ['shape', 'burst', 'curve', 'data', 'attempts', 'end'],
};
const HEAD_OPTIONS = ['platform', 'observe', 'observeState', 'tags'] as const;

/** What comes after the failure had no part in it. */
const CUT: Pass = { name: 'cut', changes: (_, endMs) => [shortenedTo(Math.ceil(endMs / MS_PER_S) * MS_PER_S)] };
const QUIET: Pass = { name: 'quiet', changes: () => [quietFor(12_000), quietFor(3_000)] };

/** A scenario has a goal; this one holds wherever anything happens. */
const LEAST_GOAL: Item = { key: -1, fields: { happens: { record: 'controller.started', atLeast: 1 } } };

const PASSES: readonly Pass[] = [
  { name: 'goals', changes: () => [(document) => ({ ...document, goals: [LEAST_GOAL] })] },
  { name: 'faults', changes: ({ steps }) => steps.filter(isFault).map(removing('steps')) },
  { name: 'deployments', changes: (document) => namesOf(document, 'deploy').map(withoutDeployment) },
  { name: 'nodes', changes: ({ nodes }) => nodes.map(({ fields }) => withoutMachine(String(fields['node']))) },
  { name: 'duration', changes: durations },
  { name: 'workload', changes: ({ workload }) => workload.map(removing('workload')) },
  { name: 'goals', changes: ({ goals }) => goals.map(removing('goals')) },
  { name: 'commands', changes: ({ steps }) => steps.filter((step) => !isFault(step)).map(removing('steps')) },
  { name: 'zones', changes: ({ zones }) => zones.map(({ fields }) => withoutZone(String(fields['zone']))) },
  { name: 'events', changes: ({ workload }) => workload.flatMap(({ key }) => [rarer(key), sooner(key)]) },
  { name: 'vehicles', changes: ({ vehicles }) => vehicles.map(({ fields }) => withoutVehicle(String(fields['vehicle']))) },
  { name: 'cells', changes: ({ cells }) => cells.map(removing('cells')) },
  { name: 'links', changes: ({ links }) => links.map(removing('links')) },
  { name: 'options', changes: options },
];

function removing(list: ListName): (item: Item) => Change {
  return ({ key }) =>
    (document) =>
      without(document, list, (item) => item.key === key);
}

function namesOf({ steps }: Document, kind: string): readonly string[] {
  return [...new Set(steps.flatMap(({ fields }) => (stepKindOf(fields) === kind ? [String(fields[kind])] : [])))];
}

/** With its module where nobody else runs it, its triggers and their events, and the goals about it. */
function withoutDeployment(name: string): Change {
  return (document) => {
    const kinds = ['deploy', 'trigger', 'scale', 'rollback', 'push'];
    const subjects = new Set(
      document.steps.flatMap(({ fields }) =>
        stepKindOf(fields) === 'trigger' && (fields['deployment'] ?? fields['trigger']) === name ? [fields['on']] : [],
      ),
    );
    const isAbout = ({ fields }: Item): boolean => {
      const kind = stepKindOf(fields);
      return kinds.includes(kind) && (fields['deployment'] ?? fields[kind]) === name;
    };
    const goalIsAbout = ({ fields }: Item): boolean =>
      Object.values(fields).some((of) => isRecord(of) && (of['deployment'] === name || subjects.has(of['subject'])));
    const rest = without(without(document, 'steps', isAbout), 'goals', goalIsAbout);
    return without(rest, 'workload', ({ fields }) => subjects.has(fields['subject']));
  };
}

/** With what is done to it alone; where it is one of several, with its name there. */
function withoutMachine(name: string): Change {
  return (document) =>
    changed(
      without(document, 'nodes', ({ fields }) => fields['node'] === name),
      'steps',
      ({ fields }) => {
        const kind = stepKindOf(fields);
        if (fields[kind] === name) return null;
        const next: Record<string, unknown> = { ...fields };
        for (const [field, value] of Object.entries(fields)) {
          if (!Array.isArray(value) || !value.includes(name)) continue;
          const left: readonly unknown[] = value.filter((end) => end !== name);
          if (left.length === 0) return null;
          next[field] = left;
        }
        return next;
      },
    );
}

/** What is in it moves to the controller's zone. */
function withoutZone(zone: string): Change {
  return (document) => {
    const home = isRecord(document.controller) ? String(document.controller['zone']) : '';
    if (zone === home) return document;
    const moved = (fields: Fields): Fields => {
      const next: Record<string, unknown> = { ...fields };
      for (const [field, value] of Object.entries(fields)) {
        if (value === zone && ['zone', 'origin', 'from'].includes(field)) next[field] = home;
        if (Array.isArray(value) && value.includes(zone)) next[field] = value.map((end: unknown) => (end === zone ? home : end));
        if (field === 'needs' && isRecord(value) && value['within'] === zone) next[field] = { ...value, within: home };
      }
      return next;
    };
    const rest = without(document, 'zones', ({ fields }) => fields['zone'] === zone);
    const still = without(rest, 'vehicles', ({ fields }) => fields['vehicle'] === zone);
    const apart = without(still, 'links', ({ fields }) => (fields['between'] as readonly unknown[]).includes(zone));
    return (['nodes', 'cells', 'steps', 'workload'] as const).reduce(
      (now, list) => changed(now, list, ({ fields }) => moved(fields)),
      apart,
    );
  };
}

/** It is no vehicle any more: a zone as any other, which is reached over no cell. */
function withoutVehicle(vehicle: string): Change {
  return (document) => {
    const rest = without(document, 'vehicles', ({ fields }) => fields['vehicle'] === vehicle);
    return rest.vehicles.length > 0 ? rest : { ...rest, cells: [] };
  };
}

function durations({ head }: Document): readonly Change[] {
  const durationMs = millisOf(head['duration']);
  return DURATIONS.map(([numerator, denominator]) => shortenedTo(Math.floor((durationMs * numerator) / denominator)));
}

/** Never longer than it is. */
function quietFor(quietMs: number): Change {
  return (document) =>
    'quiet' in document.head && millisOf(document.head['quiet']) <= quietMs ? document : setHead('quiet', written(quietMs))(document);
}

function shortenedTo(durationMs: number): Change {
  return (document) => {
    if (durationMs >= millisOf(document.head['duration'])) return document;
    const early = without(setHead('duration', written(durationMs))(document), 'steps', (step) => timeOf(step) > durationMs);
    return changed(early, 'workload', ({ fields }) => {
      if (millisOf(fields['start'] ?? '0s') >= durationMs) return null;
      return millisOf(fields['end'] ?? '0s') > durationMs ? { ...fields, end: written(durationMs) } : fields;
    });
  };
}

/** Half as many events in the same time. */
function rarer(key: number): Change {
  return (document) =>
    changed(document, 'workload', ({ key: own, fields }) => {
      if (own !== key) return fields;
      const { trace } = fields;
      if (Array.isArray(trace)) return { ...fields, trace: trace.filter((_, i) => i % 2 === 0) };
      return { ...fields, every: writtenMicros(2 * Math.max(1, microsOf(fields['every']))) };
    });
}

/** Over in half the time. */
function sooner(key: number): Change {
  return (document) =>
    changed(document, 'workload', (item) => {
      if (item.key !== key) return item.fields;
      const startMs = millisOf(item.fields['start'] ?? '0s');
      const endMs = millisOf(item.fields['end'] ?? document.head['duration']);
      return { ...item.fields, end: written(startMs + Math.max(1, Math.floor((endMs - startMs) / 2))) };
    });
}

function options(document: Document): readonly Change[] {
  const changes: Change[] = HEAD_OPTIONS.flatMap((field) => (field in document.head ? [setHead(field, undefined)] : []));
  for (const [list, fields] of Object.entries(OPTIONS) as readonly (readonly [ListName, readonly string[]])[]) {
    for (const field of fields) {
      for (const { key } of document[list].filter((item) => field in item.fields && !isPromised(document, item.fields, field))) {
        changes.push((now) => changed(now, list, (item) => (item.key === key ? leftOut(item.fields, field) : item.fields)));
      }
    }
  }
  return changes;
}

/** Without `whenNearer` no platform keeps what `near` asks of the deployment. */
function isPromised({ goals }: Document, fields: Fields, field: string): boolean {
  if (field !== 'whenNearer') return false;
  return goals.some(({ fields: { near } }) => isRecord(near) && near['deployment'] === fields['deploy']);
}

function setHead(field: string, value: string | undefined): Change {
  return (document) => ({
    ...document,
    head: value === undefined ? leftOut(document.head, field) : { ...document.head, [field]: value },
  });
}

function leftOut(fields: Fields, field: string): Fields {
  return Object.fromEntries(Object.entries(fields).filter(([name]) => name !== field));
}
