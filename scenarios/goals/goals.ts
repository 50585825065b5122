// The door: the invariants that every run is held to, and the goals that a scenario names.
import type { Scenario } from '../scenario.ts';
import { capabilities } from './capabilities.ts';
import { CLAIMS } from './claims.ts';
import { fencing, onDemandEvents } from './events.ts';
import { failureAndRecovery, registration } from './fleet-health.ts';
import type { Goal } from './goal.ts';
import { lifecycle, proximity, resources } from './placement.ts';
import { retries } from './retries.ts';
import { signatures, versions } from './supply-chain.ts';

export { CLAIMS } from './claims.ts';
export { CONDITIONS } from './conditions.ts';
export { DURATIONS } from './durations.ts';
export { Losses } from './losses.ts';
export { Repetitions } from './repetitions.ts';
export { STATE_NAMES, STATES, StateWatch } from './states.ts';
export type { Goal, ParameterKind } from './goal.ts';

/** P1 to P8, P11, the fence and the limits of retries: checked throughout every run. `slackMicros` is what the world adds to budgets of time. */
export function createInvariants(scenario: Scenario, slackMicros = 0): readonly Goal[] {
  return [
    registration(scenario, slackMicros),
    failureAndRecovery(scenario, slackMicros),
    signatures(scenario, slackMicros),
    versions(slackMicros),
    capabilities(scenario),
    proximity(scenario),
    resources(scenario),
    lifecycle(),
    onDemandEvents(scenario),
    fencing(scenario, slackMicros),
    retries(scenario),
  ];
}

/** The goals of a loaded scenario, whose names and parameters were checked when it was loaded. */
export function createGoals(scenario: Scenario, slackMicros = 0): readonly Goal[] {
  return scenario.goals.flatMap((spec) => {
    const definition = CLAIMS[spec.goal];
    return definition === undefined ? [] : [definition.create(spec.parameters, scenario, slackMicros)];
  });
}
