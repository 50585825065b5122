// Scenario files as texts, and loading them as the command line does.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { loadScenario, type FleetLibrary } from '../../../scenarios/load.ts';
import type { Scenario } from '../../../scenarios/scenario.ts';
import { describeError, type Outcome } from '../../../system/domain/outcome.ts';

export const SCENARIOS = fileURLToPath(new URL('../../../scenarios/', import.meta.url));
export const CATALOGUE = `${SCENARIOS}catalogue/`;

const FILE = 'scenarios/catalogue/small.scenario.yaml';

/** A small scenario without mistakes; its lines are what the tests of mistakes change. */
export const SMALL = `question: Does it answer?
requirements: [P1, R2.1]
tags: [calm]
duration: 10s
fleet:
  controller: { zone: cloud/a }
  zones:
    - { zone: cloud/a, location: [50, 8] }
    - { zone: cloud/b, location: [51, 9] }
  links:
    - { between: [cloud/a, cloud/b], latency: 2ms, loss: 1/100 }
  nodes:
    - { node: a, count: 2, zone: cloud/a }
    - { node: b-1, zone: cloud/b, architecture: aarch64, hardware: [can] }
platform: { queue: 100 }
steps:
  - { at: 1s, push: echo }
  - { at: 2s, deploy: echo, origin: cloud/a }
  - { at: 3s, trigger: echo, on: "questions.*", result: answers.echo }
  - { between: [5s, 6s], crash: a-1, for: 2s }
workload:
  - { name: questions, subject: questions.plain, from: cloud/b, start: 4s, every: 100ms }
observe: ["answers.>"]
goals:
  - answered: { subject: questions.plain, within: 2s }
  - happens: { record: node.status, atMost: 4 }
`;

export const NO_FLEETS: FleetLibrary = () => null;

export function loadText(text: string, library: FleetLibrary = NO_FLEETS, file: string = FILE): Outcome<Scenario> {
  return loadScenario({ file, text }, library);
}

/** The scenario of a text without mistakes; with any, the test fails with all of them. */
export function mustLoad(text: string, library: FleetLibrary = NO_FLEETS): Scenario {
  const loaded = loadText(text, library);
  if (!loaded.ok) throw new Error(describeError(loaded.error));
  return loaded.value;
}

/** The fleets of the catalogue. */
export const fleetsOnDisk: FleetLibrary = (name) => {
  const file = `${SCENARIOS}fleets/${name}.yaml`;
  try {
    return { file, text: readFileSync(file, 'utf8') };
  } catch {
    return null;
  }
};
