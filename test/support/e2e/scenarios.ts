// Small scenario files that users might write: one that holds, and what is done to it to make it fail in one way each.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** A goal as a line of YAML. */
const GOALS = {
  holds: 'answered: { subject: questions.plain, within: 1s }',
  /** Broken by the first event, for good. */
  broken: 'happens: { record: event.accepted, atMost: 0 }',
  /** Could still come true, and does not before the end. */
  late: 'running: { deployment: echo, atLeast: 50 }',
  /** One thing that happens in each run, and one that happens in none. */
  somewhere: 'sometimes: { record: workload.result }\n  - sometimes: { state: snapshot-restored }',
} as const;

export type Goal = keyof typeof GOALS;

/** Writes a scenario and returns its path. */
export function writeScenario(folder: string, name: string, goal: Goal, duration = '10s'): string {
  const file = join(folder, `${name}.scenario.yaml`);
  writeFileSync(
    file,
    `question: Is every question answered?
requirements: [P11]
duration: ${duration}
quiet: 8s
fleet: vehicle-and-cloud
steps:
  - { at: 2s, push: echo }
  - { at: 2500ms, deploy: echo, origin: cloud/eu-west, replicas: 1 }
  - { at: 3s, trigger: echo, on: questions.plain, result: answers.echo }
workload:
  - { name: questions, subject: questions.plain, from: cloud/eu-west, start: 5s, every: 500ms, shape: poisson }
observe: ["answers.>"]
goals:
  - ${GOALS[goal]}
`,
  );
  return file;
}
