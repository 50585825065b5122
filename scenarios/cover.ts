// Which scenarios say most about an architecture for the time they take: a choice that has between them everything that the whole
// catalogue is made of. Greedy, which is the usual answer to covering a set: each time the scenario that adds most for its cost.
// It knows what scenarios are made of, and not what they show; the same catalogue gives the same choice.
import type { Scenario } from './scenario.ts';

const SECOND_MICROS = 1_000_000;
const MS_PER_SECOND = 1_000;
/** Events of the kernel for each second of a node, for each of its heartbeats, and for each event of a workload, as measured over the catalogue. */
const STEPS_PER_NODE_SECOND = 20;
const STEPS_PER_HEARTBEAT = 5;
const STEPS_PER_EVENT = 25;

/** In the order of `scenarios`. */
export function coverOf(scenarios: readonly Scenario[]): readonly Scenario[] {
  const left = new Set(scenarios.flatMap(partsOf));
  const chosen = new Set<Scenario>();
  while (left.size > 0) {
    const [best] = scenarios
      .map((scenario) => ({ scenario, gain: new Set(partsOf(scenario).filter((part) => left.has(part))).size / stepsOf(scenario) }))
      .toSorted((a, b) => b.gain - a.gain);
    if (best === undefined) break;
    chosen.add(best.scenario);
    for (const part of partsOf(best.scenario)) left.delete(part);
  }
  return scenarios.filter((scenario) => chosen.has(scenario));
}

/** Words for what a scenario is made of: kinds of faults, commands, guests, ways, machines and load. Goals are judged, not simulated. */
export function partsOf({ fleet, steps, workload, observeState }: Scenario): readonly string[] {
  const parts: string[] = [];
  for (const step of steps) {
    parts.push(step.do === 'fault' ? `fault ${step.fault.kind}` : `step ${step.do}`);
    if (step.at.kind === 'between') parts.push('drawn time');
    if (step.do !== 'push') continue;
    parts.push(`guest ${step.model === null ? step.example : 'modelled'}`, `signing ${step.signing}`);
    if (step.model !== null) parts.push(`fuel ${step.model.fuel.law}`, ...step.model.calls.map(({ call }) => `modelled ${call}`));
  }
  for (const { latency, loss, impairments } of fleet.links) {
    parts.push(`law ${latency.law}`, ...impairments.map(({ kind }) => `way with ${kind}`));
    if (loss[0] > 0) parts.push('way with loss');
  }
  for (const { latency } of fleet.cells) parts.push(`law ${latency.law} over the air`);
  for (const { architecture, thermal, battery, clock } of fleet.nodes) {
    parts.push(`architecture ${architecture}`);
    if (thermal !== null) parts.push('heat');
    if (battery !== null) parts.push('battery');
    if (clock !== null) parts.push('wrong clock');
  }
  if (fleet.vehicles.length > 0) parts.push('vehicles');
  for (const { shape, curve, trace } of workload) parts.push(curve !== null ? 'curve' : trace !== null ? 'trace' : `load ${shape}`);
  if (observeState.length > 0) parts.push('state');
  return [...new Set(parts)];
}

/** About how many events of the kernel a run has, which is what its time goes with. */
export function stepsOf({ fleet, platform, workload, durationMicros, quietMicros }: Scenario): number {
  const events = workload.reduce((total, { startMicros, endMicros, everyMicros, shape, burstEvents, trace }) => {
    if (trace !== null) return total + trace.length;
    return total + ((Math.min(endMicros, durationMicros) - startMicros) / everyMicros) * (shape === 'burst' ? burstEvents : 1);
  }, 0);
  const nodeSeconds = (fleet.nodes.length * (durationMicros + quietMicros)) / SECOND_MICROS;
  const heartbeats = (nodeSeconds * MS_PER_SECOND) / platform.heartbeatIntervalMs;
  return 1 + nodeSeconds * STEPS_PER_NODE_SECOND + heartbeats * STEPS_PER_HEARTBEAT + events * STEPS_PER_EVENT;
}
