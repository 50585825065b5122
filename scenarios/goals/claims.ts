// The goals that a scenario names, with their parameters. Each is one claim in words; which there are is this table.
import type { Subject, SubjectFilter } from '../../system/domain/identifiers.ts';
import { matchesSubject } from '../../system/domain/subject.ts';
import type { Scenario } from '../scenario.ts';
import { BUDGET } from './budget.ts';
import { countedOnce } from './counted-once.ts';
import { artefactRefused, capabilityRefused, happens, refused } from './counting.ts';
import { drained } from './draining.ts';
import { near, tracked } from './driving.ts';
import {
  countOf,
  describeBudget,
  describeMicros,
  goalOf,
  Ledger,
  percentile,
  STOPPED_IN_ORDER,
  textOf,
  type Goal,
  type GoalDefinition,
  type GoalParameters,
} from './goal.ts';
import { Following } from './following.ts';
import { Identifiers } from './identifiers.ts';
import { deploymentOf, DeploymentsInForce } from './in-force.ts';
import { Kept, ServedLast } from './kept.ts';
import { Losses } from './losses.ts';
import { TEMPORAL } from './temporal.ts';

/** Events whose published subject matches `subject` get a result in time, counted from their first publication. */
function answered(parameters: GoalParameters, scenario: Scenario, slackMicros: number): Goal {
  const filter = textOf(parameters, 'subject') as SubjectFilter;
  const within = countOf(parameters, 'within');
  const percent = countOf(parameters, 'percentile', 100);
  const ledger = new Ledger(
    'answered',
    `Of the accepted events on ${filter}, ${percent} % have a result within ${describeBudget(within, slackMicros)} of being published, and all have one by the end.`,
  );
  const results = new Set<string>();
  for (const step of scenario.steps) if (step.do === 'trigger' && step.spec.result !== null) results.add(step.spec.name);
  /** Accepted events without a result, when they were published first, and when the broker had them. */
  const waiting = new Map<string, { readonly since: number; readonly accepted: number }>();
  /** Events that the broker has and whose publisher does not know it, and since when it has. Bound: publications under way. */
  const onTheWire = new Map<string, number>();
  /** Of these, those that it lost before their publisher knew. */
  const gone = new Set<string>();
  const losses = new Losses();
  const answered = new Identifiers();
  /** Results that overtook the acknowledgement of their event. */
  const early = new Map<string, number>();
  /** Events of other subjects, whose results are none of these. */
  const others = new Identifiers();
  const micros: number[] = [];
  return goalOf(
    ledger,
    (record) => {
      const lost = losses.observe(record);
      if (lost !== null) {
        for (const [event, { accepted }] of waiting) if (accepted > lost) waiting.delete(event);
        for (const [event, accepted] of onTheWire) {
          if (accepted <= lost) continue;
          onTheWire.delete(event);
          gone.add(event);
        }
      }
      if (record.kind === 'event.accepted' || record.kind === 'event.duplicate') {
        const { event, subject } = record.fields;
        gone.delete(event);
        const isPublished = record.kind === 'event.duplicate' || record.fields.instance === null;
        if (
          isPublished &&
          matchesSubject(filter, subject as Subject) &&
          !onTheWire.has(event) &&
          !waiting.has(event) &&
          !answered.has(event)
        )
          onTheWire.set(event, record.micros);
      }
      if (record.kind === 'workload.published' && !matchesSubject(filter, record.fields.subject as Subject)) {
        others.add(record.fields.event);
        early.delete(record.fields.event);
      } else if (record.kind === 'workload.published') {
        if (record.fields.outcome !== 'accepted') return;
        // The record is written when the acknowledgement arrives; the event left `micros` earlier.
        const since = record.micros - record.fields.micros;
        const result = early.get(record.fields.event);
        early.delete(record.fields.event);
        const accepted = onTheWire.get(record.fields.event) ?? record.micros;
        onTheWire.delete(record.fields.event);
        if (result === undefined && gone.delete(record.fields.event)) return;
        if (result === undefined) waiting.set(record.fields.event, { since, accepted });
        else if (answered.add(record.fields.event)) micros.push(result - since);
      }
      if (record.kind === 'workload.result' && results.has(record.fields.trigger)) {
        const { source } = record.fields;
        const asked = waiting.get(source);
        if (asked !== undefined) {
          waiting.delete(source);
          answered.add(source);
          micros.push(record.micros - asked.since);
        } else if (!answered.has(source) && !others.has(source)) early.set(source, record.micros);
      }
    },
    (end) => {
      for (const event of waiting.keys()) {
        ledger.expectByEnd(false, end, () => `Event ${event} was accepted and has no result by the end.`);
      }
      const worst = percentile(micros, percent);
      ledger.expectByEnd(micros.length > 0, end, () => `No event on ${filter} was answered at all.`);
      ledger.checks += micros.length;
      if (worst !== null) {
        ledger.figures['answered'] = micros.length;
        ledger.figures['p50Micros'] = percentile(micros, 50) ?? 0;
        ledger.figures['p99Micros'] = percentile(micros, 99) ?? 0;
        ledger.expect(
          worst <= within + slackMicros,
          { source: 'testbed', micros: end.micros },
          () =>
            `${percent} % of ${micros.length} events on ${filter} were answered within ${describeMicros(worst)}; the limit is ${describeBudget(within, slackMicros)}.`,
          null,
        );
      }
    },
  );
}

/** After each crash of a node, the instances it held are served elsewhere in time. */
function failover(parameters: GoalParameters, scenario: Scenario, slackMicros: number): Goal {
  const within = countOf(parameters, 'within');
  const ledger = new Ledger(
    'failover',
    `What a node that dies was serving is served elsewhere within ${describeBudget(within, slackMicros)}.`,
  );
  const inForce = new DeploymentsInForce(scenario);
  const stays = (instance: string): boolean => inForce.of(deploymentOf(instance)).some(({ whenUnreachable }) => whenUnreachable === 'stay');
  const serving = new Map<string, string>();
  const lost = new Map<string, { readonly node: string; readonly since: number }>();
  const micros: number[] = [];
  return goalOf(
    ledger,
    (record) => {
      inForce.observe(record);
      if (record.kind === 'instance.serving') {
        const { instance, node } = record.fields;
        serving.set(instance, node);
        const gone = lost.get(instance);
        if (gone === undefined) return;
        lost.delete(instance);
        // Back before it was given up: nothing had to move.
        if (gone.node === node) return;
        micros.push(record.micros - gone.since);
        ledger.expect(
          record.micros - gone.since <= within + slackMicros,
          record,
          () =>
            `Instance ${instance} was served on ${node} ${describeMicros(record.micros - gone.since)} after ${gone.node} died; the limit is ${describeBudget(within, slackMicros)}.`,
          gone.node,
        );
      }
      // Nobody wants it any more; until then it was wanted.
      if (record.kind === 'instance.state' && record.fields.to === 'stopped') {
        const { instance } = record.fields;
        const gone = lost.get(instance);
        if (gone !== undefined)
          ledger.expect(
            record.micros - gone.since <= within + slackMicros,
            record,
            () =>
              `Instance ${instance} was served nowhere for ${describeMicros(record.micros - gone.since)} after ${gone.node} died, until it was stopped; the limit is ${describeBudget(within, slackMicros)}.`,
            gone.node,
          );
        lost.delete(instance);
        serving.delete(instance);
      }
      if (record.kind === 'instance.ended' && serving.get(record.fields.instance) === record.fields.node)
        serving.delete(record.fields.instance);
      if (record.kind === 'machine.stopped' && record.fields.role === 'node' && record.fields.cause !== STOPPED_IN_ORDER) {
        for (const [instance, node] of serving)
          if (node === record.fields.machine && !stays(instance)) lost.set(instance, { node, since: record.micros });
      }
    },
    (end) => {
      for (const [instance, gone] of lost) {
        ledger.expectByEnd(
          false,
          end,
          () => `Instance ${instance} is served nowhere since ${gone.node} died at ${describeMicros(gone.since)}.`,
          gone.node,
        );
      }
      ledger.expectByEnd(micros.length > 0, end, () => 'No instance had to move: the scenario tested nothing.');
      ledger.figures['microsMax'] = Math.max(0, ...micros);
    },
  );
}

/** Every instance of a deployment ends up running one version. */
function versionEverywhere(parameters: GoalParameters, scenario: Scenario, slackMicros: number): Goal {
  const deployment = textOf(parameters, 'deployment');
  const claimed = countOf(parameters, 'version');
  /** What was applied or rolled back to last: after a loss versions are counted anew, from those that are left. */
  const wanted = new Map<string, number>();
  const kept = new Kept([wanted]);
  const servedLast = new ServedLast();
  const following = new Following(scenario, slackMicros);
  const ledger = new Ledger('version-everywhere', `At the end every instance of ${deployment} runs version ${claimed}.`);
  const seen = new Map<
    string,
    { readonly state: string; readonly version: number; readonly node: string | null; readonly runs: boolean }
  >();
  return goalOf(
    ledger,
    (record) => {
      kept.observe(record);
      servedLast.observe(record);
      following.observe(record);
      if (record.kind === 'deployment.applied') wanted.set(record.fields.deployment, record.fields.version);
      if (record.kind === 'rollback.accepted') wanted.set(record.fields.deployment, record.fields.to);
      if (record.kind === 'instance.observed' && record.fields.instance.startsWith(`${deployment}/`))
        seen.set(record.fields.instance, {
          ...record.fields,
          runs: record.fields.state === 'running' || following.isOnItsWay(record.fields.instance, record.micros),
        });
    },
    (end) => {
      const version = (kept.losses.any ? wanted.get(deployment) : undefined) ?? claimed;
      ledger.expectByEnd(seen.size > 0, end, () => `Deployment ${deployment} has no instance at the end.`);
      for (const [instance, view] of seen) {
        if (view.state === 'stopped') continue;
        ledger.expectByEnd(
          view.runs && view.version === version,
          end,
          () => `Instance ${instance} is ${view.state} in version ${view.version} at the end.`,
          view.node,
        );
        ledger.expectByEnd(
          servedLast.of(instance)?.version === version,
          end,
          () => `Node ${servedLast.of(instance)?.node} last served ${instance} in version ${servedLast.of(instance)?.version}.`,
          view.node,
        );
      }
    },
  );
}

/** All instances of a deployment run at the end, optionally inside (or outside) a zone. */
function running(parameters: GoalParameters, scenario: Scenario, slackMicros: number): Goal {
  const deployment = textOf(parameters, 'deployment');
  const least = countOf(parameters, 'atLeast');
  const most = countOf(parameters, 'atMost', Number.MAX_SAFE_INTEGER);
  const zone = parameters['zone'] === undefined ? null : textOf(parameters, 'zone');
  const bounds = most === Number.MAX_SAFE_INTEGER ? `at least ${least}` : least === most ? `${least}` : `${least} to ${most}`;
  const ledger = new Ledger('running', `At the end ${bounds} instances of ${deployment} run${zone === null ? '' : ` in ${zone}`}.`);
  const zones = new Map(scenario.fleet.nodes.map((node) => [node.node as string, node.zone as string]));
  const following = new Following(scenario, slackMicros);
  let found = 0;
  return goalOf(
    ledger,
    (record) => {
      following.observe(record);
      if (record.kind !== 'instance.observed' || !record.fields.instance.startsWith(`${deployment}/`)) return;
      if (record.fields.state !== 'running' && !following.isOnItsWay(record.fields.instance, record.micros)) return;
      const at = zones.get(record.fields.node ?? '') ?? '';
      if (zone === null || at === zone || at.startsWith(`${zone}/`)) found += 1;
    },
    (end) => {
      const where = zone === null ? '' : ` in ${zone}`;
      ledger.expectByEnd(found >= least, end, () => `${found} instances of ${deployment} run${where} at the end; ${least} were due.`);
      ledger.expectByEnd(found <= most, end, () => `${found} instances of ${deployment} run${where} at the end; at most ${most} may.`);
    },
  );
}

/** The broker's queue met its bound, refused beyond it, and never exceeded it. */
function queueBounded(parameters: GoalParameters): Goal {
  const least = countOf(parameters, 'refusedAtLeast', 1);
  const ledger = new Ledger('queue-bounded', `The broker's queue stays within its bound and refuses at least ${least} events beyond it.`);
  let refusals = 0;
  let deepest = 0;
  return goalOf(
    ledger,
    (record) => {
      if (record.kind === 'queue.depth') {
        const { queue, depth, bound } = record.fields;
        deepest = Math.max(deepest, depth);
        ledger.expect(depth <= bound, record, () => `Queue ${queue} holds ${depth} events; its bound is ${bound}.`);
      }
      if (record.kind === 'event.refused' && record.fields.code === 'WM_BUS_FULL') refusals += 1;
    },
    (end) => {
      ledger.expectByEnd(
        refusals >= least,
        end,
        () => `${refusals} events were refused at the bound; ${least} were due: the storm was no storm.`,
      );
      ledger.figures['depthMax'] = deepest;
      ledger.figures['refused'] = refusals;
    },
  );
}

export const CLAIMS: Readonly<Record<string, GoalDefinition>> = {
  answered: {
    meaning: 'Accepted events on a subject get their result in time.',
    required: { subject: 'text', within: 'duration' },
    optional: { percentile: 'percent' },
    create: answered,
  },
  failover: {
    meaning: 'What a node that dies was serving is served elsewhere in time.',
    required: { within: 'duration' },
    optional: {},
    create: failover,
  },
  refused: {
    meaning: 'Pushes are refused with a code, on record.',
    required: { code: 'text' },
    optional: { atLeast: 'count' },
    create: refused,
  },
  'artefact-refused': {
    meaning: 'Agents refuse artefacts with a code.',
    required: { code: 'text' },
    optional: { atLeast: 'count' },
    create: artefactRefused,
  },
  'capability-refused': {
    meaning: 'An operation is refused to guests without a capability.',
    required: { operation: 'text' },
    optional: { atLeast: 'count' },
    create: capabilityRefused,
  },
  'version-everywhere': {
    meaning: 'Every instance of a deployment ends up in one version.',
    required: { deployment: 'name', version: 'count' },
    optional: {},
    create: versionEverywhere,
  },
  drained: {
    meaning: 'A node that is drained is given nothing, and gives away what it has in time.',
    required: { node: 'name', within: 'duration' },
    optional: {},
    create: drained,
  },
  running: {
    meaning: 'So many instances of a deployment run at the end.',
    required: { deployment: 'name', atLeast: 'count' },
    optional: { zone: 'text', atMost: 'count' },
    create: running,
  },
  'counted-once': {
    meaning: 'A counter in state equals the number of accepted events.',
    required: { key: 'text', subject: 'text' },
    optional: {},
    create: countedOnce,
  },
  'queue-bounded': {
    meaning: 'The broker stays within its bound and refuses beyond it.',
    required: {},
    optional: { refusedAtLeast: 'count' },
    create: queueBounded,
  },
  near: {
    meaning: 'After each handover of a vehicle, a deployment is soon served in the zone of its cell.',
    required: { deployment: 'name', vehicle: 'text', within: 'duration' },
    optional: {},
    create: near,
  },
  tracked: {
    meaning: 'The registry has a node where it was a short while ago.',
    required: { node: 'name', within: 'duration' },
    optional: {},
    create: tracked,
  },
  happens: {
    meaning: 'A kind of record is written so often.',
    required: { record: 'text' },
    optional: { field: 'text', value: 'text', atLeast: 'count', atMost: 'count' },
    create: happens,
  },
  ...TEMPORAL,
  budget: BUDGET,
};
