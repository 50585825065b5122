// Jobs for the campaign's own tests: a scenario that is nothing but a name, which the players of this folder understand.
import type { PlayJob } from '../../../sim/campaign/campaign.ts';
import type { Scenario } from '../../../scenarios/scenario.ts';
import type { ZonePath } from '../../../system/domain/identifiers.ts';

export function emptyScenario(name: string): Scenario {
  return {
    name,
    file: `${name}.scenario.yaml`,
    question: `Does ${name} hold?`,
    description: '',
    requirements: ['H1'],
    tags: [],
    fleet: {
      controller: { zone: 'cloud' as ZonePath, location: { latitude: 0, longitude: 0 } },
      zones: [],
      links: [],
      cells: [],
      vehicles: [],
      nodes: [],
    },
    platform: { heartbeatIntervalMs: 500, suspectAfterMs: 1_500, unavailableAfterMs: 3_000, leaseMs: 2_000, queueEventsMax: 100 },
    steps: [],
    workload: [],
    observe: [],
    observeState: [],
    goals: [],
    durationMicros: 10_000_000,
    quietMicros: 1_000_000,
  };
}

export function jobOf(name: string, seed = '0x1', changes: Partial<PlayJob> = {}): PlayJob {
  return {
    scenario: emptyScenario(name),
    seed,
    verify: false,
    recordFile: null,
    reproduce: `wasmmatrix run ${name} --seed ${seed}`,
    ...changes,
  };
}

export function playerUrl(file: string): URL {
  return new URL(`./players/${file}`, import.meta.url);
}
