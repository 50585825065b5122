// A scenario of the user's as the ground of drawn runs: its fleet, its work and its operators' steps stay; its faults and the
// goals that count on them give way to drawn faults and to what must stand in the end whatever broke.
import { parse } from 'yaml';
import { stepKindOf } from '../../../scenarios/steps.ts';
import { SIM_FAULT_KINDS } from '../../faults/faults.ts';
import { written, type Fields } from './dice.ts';
import type { Base, Ground } from './draw.ts';

/** Goals about how things stand in the end, which no fault excuses, and those that ask for something in some run only. */
const KEPT_GOALS: readonly string[] = ['running', 'version-everywhere', 'counted-once', 'sometimes'];
const MICROS_PER_MS = 1_000;
const QUIET_MICROS_LEAST = 30_000_000;

export function baseOf({ scenario, text }: Base): Ground {
  const { question: _, requirements: __, tags: ___, description: ____, ...document } = parse(text) as Fields;
  const steps = (document['steps'] as readonly Fields[]).filter(
    (step) => !(SIM_FAULT_KINDS as readonly string[]).includes(stepKindOf(step)),
  );
  const kept = (document['goals'] as readonly Fields[]).filter((goal) => KEPT_GOALS.includes(Object.keys(goal)[0] ?? ''));
  const deployed = scenario.steps.flatMap((step) => (step.do === 'deploy' ? [step.spec.name] : []))[0];
  const least =
    deployed === undefined ? { happens: { record: 'controller.started', atLeast: 1 } } : { running: { deployment: deployed, atLeast: 0 } };
  const { fleet, durationMicros, quietMicros } = scenario;
  return {
    document: {
      ...document,
      quiet: written(Math.max(quietMicros, QUIET_MICROS_LEAST) / MICROS_PER_MS),
      steps,
      goals: kept.length === 0 ? [least] : kept,
    },
    site: {
      zones: fleet.zones.map(({ zone }) => zone),
      controllerZone: fleet.controller.zone,
      nodes: fleet.nodes.map(({ node, zone, startMicros, architecture }) => ({ node, zone, late: startMicros > 0, architecture })),
    },
    durationMs: Math.floor(durationMicros / MICROS_PER_MS),
    redeployMs: null,
    calmMs: Math.min(5_000, Math.floor(durationMicros / MICROS_PER_MS / 4)),
  };
}
