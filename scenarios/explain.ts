// A scenario in full, for people: every default filled in, every unit resolved, what happens when, and what it is held to.
// Speaks the words and units of the file. Pure; laying the rows out is for the caller.
import { SPREAD_NODE } from '../system/domain/deployment.ts';
import type { ModuleLimits } from '../system/domain/module.ts';
import { createGoals, createInvariants, type Goal } from './goals/goals.ts';
import { modelText } from './guest-model.ts';
import { impairmentText } from './impairments.ts';
import type { FaultSpec, LatencyLaw, OperationSpec, PlatformSpec, Scenario, StepSpec, TimeSpec } from './scenario.ts';
import { clockText } from './node-clock.ts';
import { batteryText, thermalText } from './power.ts';
import { isRecord } from './shape.ts';
import { workloadRow } from './workload-row.ts';
import { writeDistance, writeDuration, writeRatio, writeSize, writeShift } from './units.ts';

/** Bound: rows of one table; the resolved scenario as JSON has all of them. */
const ROWS_MAX = 60;

export type Fields = Readonly<Record<string, unknown>>;

export type Row = {
  readonly cells: readonly string[];
  /** What the file does not say, and its default: `replicas 1`. */
  readonly filled: readonly string[];
  readonly isFault: boolean;
};
export type Section = { readonly title: string; readonly head: readonly string[]; readonly rows: readonly Row[] };

/** What an example asks for when a push says nothing. */
export type ExampleDefaults = { readonly capabilities: readonly string[]; readonly limits: ModuleLimits };

/** A step or the end of the work, with the earliest and latest times of its beginning and end. */
export type Appointment = {
  readonly kind: string;
  readonly text: string;
  readonly microsMin: number;
  readonly microsMax: number;
  /** Null for what has no length. All faults end when the quiet phase begins. */
  readonly endMicrosMin: number | null;
  readonly endMicrosMax: number | null;
  /** Position in the file; null for what the runner does on its own. */
  readonly step: number | null;
};

export type Claim = { readonly name: string; readonly claim: string };

/** `[name, value, stands in the file]` */
export type Said = readonly [name: string, value: string, given: boolean];

/**
 * `written` is the file as plain values, to tell what it says from what is a default; `examples` what a push takes from its
 * example guest.
 */
export function explainScenario(scenario: Scenario, written: unknown, examples: ReadonlyMap<string, ExampleDefaults>): readonly Section[] {
  const file: Fields = isRecord(written) ? written : {};
  return [
    { title: 'Time', head: [], rows: timeRows(scenario, file) },
    { title: 'Platform', head: [], rows: platformRows(scenario.platform, isRecord(file['platform']) ? file['platform'] : {}) },
    fleetSection(scenario),
    linksSection(scenario),
    cellsSection(scenario),
    vehiclesSection(scenario),
    { title: 'Timetable', head: [], rows: timetableRows(scenario, file, examples) },
    { title: 'Workload', head: [], rows: scenario.workload.map((one, i) => workloadRow(one, fieldsAt(file, 'workload', i))) },
    { title: 'Observed', head: [], rows: observedRows(scenario) },
    { title: 'Goals of this scenario', head: [], rows: claimsOf(createGoals(scenario)).map(({ name, claim }) => row([name, claim])) },
    {
      title: 'Invariants of every run',
      head: [],
      rows: claimsOf(createInvariants(scenario)).map(({ name, claim }) => row([name, claim])),
    },
  ].filter(({ rows }) => rows.length > 0);
}

/** What a scenario is held to, in words. */
export function explainClaims(scenario: Scenario): { readonly goals: readonly Claim[]; readonly invariants: readonly Claim[] } {
  return { goals: claimsOf(createGoals(scenario)), invariants: claimsOf(createInvariants(scenario)) };
}

/** Everything that happens on purpose, in the order in which it can happen. */
export function timetableOf(scenario: Scenario): readonly Appointment[] {
  const { durationMicros, quietMicros } = scenario;
  const phase = (kind: string, text: string, micros: number): Appointment => ({
    kind,
    text,
    microsMin: micros,
    microsMax: micros,
    endMicrosMin: null,
    endMicrosMax: null,
    step: null,
  });
  const appointments = [
    ...scenario.steps.map((step, i) => appointmentOf(step, i, durationMicros)),
    phase('quiet', 'every fault is healed, the workload has ended', durationMicros),
    phase('end', 'everything must have settled', durationMicros + quietMicros),
  ];
  return appointments.sort((a, b) => a.microsMin - b.microsMin || (a.step ?? Infinity) - (b.step ?? Infinity));
}

function appointmentOf(step: StepSpec, i: number, durationMicros: number): Appointment {
  const [microsMin, microsMax] = step.at.kind === 'at' ? [step.at.micros, step.at.micros] : [step.at.microsMin, step.at.microsMax];
  const kind = step.do === 'fault' ? step.fault.kind : step.do;
  const forMicros = step.do === 'fault' ? (step.fault.forMicros ?? Infinity) : null;
  const end = (micros: number): number | null => (forMicros === null ? null : Math.min(durationMicros, micros + forMicros));
  const text = step.do === 'fault' ? faultText(step.fault) : `${step.do} ${nameOf(step)}`;
  return { kind, text, microsMin, microsMax, endMicrosMin: end(microsMin), endMicrosMax: end(microsMax), step: i };
}

function claimsOf(goals: readonly Goal[]): readonly Claim[] {
  return goals.map((goal) => {
    const { name, claim } = goal.finish({ micros: 0 });
    return { name, claim };
  });
}

function timeRows({ durationMicros, quietMicros }: Scenario, file: Fields): readonly Row[] {
  return [
    row(['duration', writeDuration(durationMicros), 'workload and faults']),
    row(['quiet', said(['', writeDuration(quietMicros), 'quiet' in file]), 'no faults; everything must settle']),
  ];
}

function platformRows(platform: PlatformSpec, file: Fields): readonly Row[] {
  const rows: readonly (readonly [name: string, value: string, meaning: string])[] = [
    ['heartbeat', writeDuration(platform.heartbeatIntervalMs * 1_000), 'interval of heartbeats'],
    ['suspect', writeDuration(platform.suspectAfterMs * 1_000), 'silence after which a node gets nothing new'],
    ['lease', writeDuration(platform.leaseMs * 1_000), 'time out of touch after which an agent stops movable work'],
    ['unavailable', writeDuration(platform.unavailableAfterMs * 1_000), 'silence after which its work is placed elsewhere'],
    ['queue', String(platform.queueEventsMax), 'events that the broker holds at most'],
  ];
  return rows.map(([name, value, meaning]) => row([name, said(['', value, name in file]), meaning]));
}

function fleetSection({ fleet }: Scenario): Section {
  const { controller, nodes, zones } = fleet;
  const rows = nodes.map((node) =>
    row([
      node.node,
      node.zone,
      node.architecture,
      String(node.cores),
      writeSize(node.memoryBytes),
      String(node.fuelPerMicro),
      writeDuration(node.startMicros),
      [
        ...node.isaFeatures,
        ...node.hardware,
        ...(node.thermal === null ? [] : [thermalText(node.thermal)]),
        ...(node.battery === null ? [] : [batteryText(node.battery)]),
        ...(node.clock === null ? [] : [clockText(node.clock)]),
        ...(node.faultDomain === `${node.zone}/${node.node}` ? [] : [`fails with ${node.faultDomain}`]),
      ].join(' '),
    ]),
  );
  return {
    title: `Fleet: ${nodes.length} node${nodes.length === 1 ? '' : 's'} in ${zones.length} zone${zones.length === 1 ? '' : 's'}, the controller in ${controller.zone}`,
    head: ['node', 'zone', 'architecture', 'cores', 'memory', 'fuel/us', 'start', 'special'],
    rows: bounded(rows),
  };
}

function linksSection({ fleet }: Scenario): Section {
  // What is in a vehicle reaches everything else over its cell, whatever the distance would come to.
  const vehicles = new Set(fleet.vehicles.map(({ vehicle }) => vehicle));
  const links = fleet.links.filter(({ a, b }) => a === b || !(vehicles.has(a) || vehicles.has(b)));
  const rows = links.map(({ a, b, latency, loss, impairments }) =>
    row([
      a === b ? `within ${a}` : `${a} to ${b}`,
      lawText(latency),
      loss[0] === 0 ? 'none' : writeRatio(loss),
      impairments.map((one) => `${one.kind}: ${impairmentText(one)}`).join('; '),
    ]),
  );
  return { title: 'Links', head: ['between', 'delay one way', 'loss', 'besides'], rows: bounded(rows) };
}

function cellsSection({ fleet }: Scenario): Section {
  const rows = fleet.cells.map(({ cell, zone, location, reachMetres, latency, loss, bandwidth, edge }) =>
    row([
      cell,
      zone,
      `${location.latitude}, ${location.longitude}`,
      writeDistance(reachMetres),
      `${lawText(latency)}${edge.delayMicros === 0 ? '' : `, up to ${writeDuration(edge.delayMicros)} more`}`,
      loss[0] + edge.loss[0] === 0 ? 'none' : `${writeRatio(loss)} to ${writeRatio(edge.loss)}`,
      bandwidth === null ? 'any' : `${impairmentText(bandwidth)}, ${writeSize(edge.bytesPerS ?? bandwidth.bytesPerS)} at the edge`,
    ]),
  );
  return { title: 'Cells', head: ['cell', 'zone', 'mast', 'reach', 'delay one way', 'loss', 'room'], rows: bounded(rows) };
}

function vehiclesSection({ fleet }: Scenario): Section {
  const rows = fleet.vehicles.map(({ vehicle, path, hysteresis, interruptionMicros }) =>
    row([
      vehicle,
      path.map(({ micros, location }) => `${location.latitude}, ${location.longitude} at ${writeDuration(micros)}`).join('; '),
      `${writeRatio(hysteresis)} of the reach`,
      writeDuration(interruptionMicros),
    ]),
  );
  return { title: 'Vehicles', head: ['vehicle', 'path', 'hysteresis', 'interruption'], rows: bounded(rows) };
}

function lawText(law: LatencyLaw): string {
  switch (law.law) {
    case 'constant':
      return writeDuration(law.micros);
    case 'uniform':
      return `${writeDuration(law.microsMin)} to ${writeDuration(law.microsMax)}, uniform`;
    case 'normal':
      return `${writeDuration(law.microsMean)} ± ${writeDuration(law.microsDeviation)}, normal, at least ${writeDuration(law.microsMin)}`;
    case 'log-normal':
      return `median ${writeDuration(law.microsMedian)}, log-normal with σ ${law.sigma.toFixed(2)}, at least ${writeDuration(law.microsMin)}`;
    case 'exponential':
      return `mean ${writeDuration(law.microsMean)}, exponential, at least ${writeDuration(law.microsMin)}`;
    case 'empirical': {
      const sorted = [...law.micros].sort((a, b) => a - b);
      const at = (share: number): string => writeDuration(sorted[Math.floor(share * (sorted.length - 1))] ?? 0);
      return `median ${at(0.5)}, from ${at(0)} to ${at(1)}, ${sorted.length} measured`;
    }
  }
}

function timetableRows(scenario: Scenario, file: Fields, examples: ReadonlyMap<string, ExampleDefaults>): readonly Row[] {
  return timetableOf(scenario).map((appointment): Row => {
    const step = appointment.step === null ? null : (scenario.steps[appointment.step] ?? null);
    if (step === null) return row([writeDuration(appointment.microsMin), `${appointment.kind}: ${appointment.text}`]);
    const when = whenText(step.at);
    if (step.do === 'fault') {
      return { cells: [when, `fault ${appointment.text}, ${endText(step.fault, appointment)}`], filled: [], isFault: true };
    }
    const fields = fieldsOf(step, fieldsAt(file, 'steps', appointment.step ?? 0), examples);
    const given = fields.filter(([, , stands]) => stands).map(([name, value]) => `${name} ${value}`);
    return {
      cells: [when, [appointment.text, ...given].join(', ')],
      filled: fields.filter(([, , stands]) => !stands).map(([name, value]) => `${name} ${value}`),
      isFault: false,
    };
  });
}

function whenText(at: TimeSpec): string {
  return at.kind === 'at' ? writeDuration(at.micros) : `${writeDuration(at.microsMin)} to ${writeDuration(at.microsMax)}, drawn`;
}

function endText({ forMicros }: FaultSpec, { endMicrosMin, endMicrosMax }: Appointment): string {
  const from = writeDuration(endMicrosMin ?? 0);
  const to = writeDuration(endMicrosMax ?? 0);
  return `${forMicros === null ? 'for ever' : `for ${writeDuration(forMicros)}`}: ends at ${from === to ? from : `${from} to ${to}`}`;
}

function faultText(fault: FaultSpec): string {
  switch (fault.kind) {
    case 'broker-outage':
      return fault.kind;
    case 'broker-slow':
      return `broker-slow, ${writeDuration(fault.byMicros)} for each call`;
    case 'broker-loses-answers':
    case 'broker-repeats':
      return `${fault.kind}, ${writeRatio(fault.ratio)} of calls`;
    case 'spoil-artefact':
      return `spoil-artefact, ${fault.how}`;
    case 'upgrade':
      return `upgrade ${fault.machine} to version ${fault.version}`;
    case 'wipe':
    case 'disk-lies':
    case 'disk-rot':
      return `${fault.kind} ${fault.machine}${fault.lastCopy ? ', the last good copy included' : ''}`;
    case 'restore':
      return `restore ${fault.machine} to what it stores now, off for the last ${writeDuration(fault.offMicros)}${fault.lastCopy ? ', the last good copy included' : ''}`;
    case 'disk-slow':
      return `disk-slow ${fault.machine}, ${fault.factor} times slower`;
    case 'throttle':
      return `throttle ${fault.machine}, ${fault.factor} times slower`;
    case 'memory-pressure':
      return `memory-pressure on ${fault.machine}, ${writeSize(fault.leavesBytes)} left to guests`;
    case 'clock-step':
      return `clock-step ${fault.machine}, ${writeShift(fault.byMicros)}`;
    case 'clock-drift':
      return `clock-drift ${fault.machine}, ${fault.ppm} ppm`;
    case 'crash':
    case 'pause':
    case 'reboot':
    case 'reset-connections':
    case 'garbage':
    case 'clock-freeze':
    case 'disk-full':
      return `${fault.kind} ${fault.machine}`;
    case 'partition':
      return `partition ${fault.a.join(', ')} from ${fault.b.join(', ')}`;
    case 'clog':
    case 'swizzle':
      return `${fault.kind} ${fault.places.join(', ')}`;
    case 'half-open':
      return `half-open ${fault.a.join(', ')} with ${fault.b.join(', ')}`;
    case 'partition-one-way':
      return `partition-one-way ${fault.from.join(', ')} to ${fault.to.join(', ')}`;
    case 'latency':
      return `latency ${fault.a} to ${fault.b}, ${writeRatio(fault.factor).replace(/\/1$/, '')} times`;
    case 'loss':
      return `loss ${fault.a} to ${fault.b}, ${writeRatio(fault.loss)} of messages`;
    case 'bandwidth':
    case 'burst-loss':
    case 'duplication':
    case 'reordering':
    case 'corruption':
      return `${fault.kind} ${fault.a} to ${fault.b}, ${impairmentText(fault)}`;
    case 'forge-artefact':
      return 'forge-artefact controller';
  }
}

function nameOf(step: OperationSpec): string {
  switch (step.do) {
    case 'push':
      return step.module;
    case 'trust':
    case 'revoke':
      return step.author;
    case 'deploy':
    case 'trigger':
      return step.spec.name;
    case 'scale':
    case 'rollback':
      return step.deployment;
    case 'drain':
    case 'undrain':
      return step.node;
  }
}

function fieldsOf(step: OperationSpec, file: Fields, examples: ReadonlyMap<string, ExampleDefaults>): readonly Said[] {
  const field = (name: string, value: string): Said => [name, value, name in file];
  switch (step.do) {
    case 'push':
      return pushFields(step, file, examples.get(step.example) ?? null);
    case 'deploy': {
      const { spec } = step;
      const needs = isRecord(file['needs']) ? file['needs'] : {};
      const need = (name: string, value: string): Said => [name, value, name in needs];
      const { architectures, isaFeatures, hardware, within, memoryBytes, cpuMillis } = spec.requirements;
      return [
        field('module', spec.module),
        field('version', spec.version === null ? 'newest' : String(spec.version)),
        field('origin', spec.origin),
        field('replicas', String(spec.replicas)),
        field('spread', spec.spread === SPREAD_NODE ? 'node' : spec.spread === 0 ? 'none' : String(spec.spread)),
        field('whenUnreachable', spec.whenUnreachable),
        field('whenNearer', spec.whenNearer ?? 'stay'),
        field('concurrency', String(spec.concurrency)),
        need('architectures', list(architectures, 'any')),
        need('isaFeatures', list(isaFeatures, 'none')),
        need('hardware', list(hardware, 'none')),
        need('within', within ?? 'anywhere'),
        need('memory', writeSize(memoryBytes)),
        need('cpu', `${cpuMillis} thousandths of a core`),
      ];
    }
    case 'trigger': {
      const { spec } = step;
      return [
        field('on', spec.subject),
        field('deployment', spec.deployment),
        field('result', spec.result ?? 'nowhere'),
        field('deliveries', String(spec.deliveriesMax)),
        field('ackWait', writeDuration(spec.ackWaitMs * 1_000)),
        field('backoff', writeDuration(spec.backoffMs * 1_000)),
        field('backoffMax', writeDuration(spec.backoffMsMax * 1_000)),
      ];
    }
    case 'trust':
      return [field('for', step.forMicros === null ? 'until it is revoked' : writeDuration(step.forMicros))];
    case 'revoke':
      return [];
    case 'scale':
      return [field('replicas', String(step.replicas))];
    case 'rollback':
      return [field('version', String(step.version))];
    case 'drain':
    case 'undrain':
      return [];
  }
}

function pushFields(step: Extract<OperationSpec, { do: 'push' }>, file: Fields, example: ExampleDefaults | null): readonly Said[] {
  const limits = isRecord(file['limits']) ? file['limits'] : {};
  const capabilities = step.capabilities ?? example?.capabilities ?? null;
  const limit = (name: string, value: number | undefined, write: (value: number) => string): Said => [
    name,
    value === undefined ? "the example's" : write(value),
    name in limits,
  ];
  return [
    ['example', step.example, 'example' in file],
    ['capabilities', capabilities === null ? "the example's" : list(capabilities, 'none'), 'capabilities' in file],
    limit('fuel', step.limits.fuelMax ?? example?.limits.fuelMax, String),
    limit('memory', step.limits.memoryBytesMax ?? example?.limits.memoryBytesMax, writeSize),
    limit('output', step.limits.outputBytesMax ?? example?.limits.outputBytesMax, writeSize),
    ...(step.model === null ? [] : [['model', modelText(step.model), true] as const]),
    ['by', step.author, 'by' in file],
    ['signing', step.signing, 'signing' in file],
    ['accepted', String(step.accepted), 'accepted' in file],
  ];
}

function observedRows({ observe, observeState }: Scenario): readonly Row[] {
  return [
    ...(observe.length > 0 ? [row(['events', observe.join(' ')])] : []),
    ...(observeState.length > 0 ? [row(['state', observeState.join(' ')])] : []),
  ];
}

function row(cells: readonly string[]): Row {
  return { cells, filled: [], isFault: false };
}

function bounded(rows: readonly Row[]): readonly Row[] {
  return rows.length <= ROWS_MAX ? rows : [...rows.slice(0, ROWS_MAX), row([`and ${rows.length - ROWS_MAX} more; --json has all`])];
}

/** A default stands in parentheses. */
function said([, value, given]: Said): string {
  return given ? value : `(${value})`;
}

function fieldsAt(file: Fields, name: string, i: number): Fields {
  const entries = file[name];
  const entry: unknown = Array.isArray(entries) ? entries[i] : null;
  return isRecord(entry) ? entry : {};
}

function list(words: readonly string[], none: string): string {
  return words.length === 0 ? none : words.join(' ');
}
