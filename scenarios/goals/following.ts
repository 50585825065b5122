// Instances that follow their work (`whenNearer: move`) move whenever another node has become nearer, in the quiet of the end too: one
// that the last look finds on its way is as good as running.
import type { RunRecord } from '../record.ts';
import type { Scenario } from '../scenario.ts';

/** How long the way may take: the new node hears of it, and fetches the artefact. */
const MOVE_MICROS = 2_000_000;

export class Following {
  readonly #followers = new Set<string>();
  readonly #slackMicros: number;
  /** When each instance of theirs stopped running to be placed anew. Bound: instances. */
  readonly #since = new Map<string, number>();

  constructor({ steps }: Scenario, slackMicros: number) {
    for (const step of steps) if (step.do === 'deploy' && step.spec.whenNearer === 'move') this.#followers.add(step.spec.name);
    this.#slackMicros = slackMicros;
  }

  observe(record: RunRecord): void {
    if (record.kind !== 'instance.state' || !this.#followers.has(record.fields.deployment)) return;
    const { instance, from, to } = record.fields;
    if (from === 'running' && to === 'pending') this.#since.set(instance, record.micros);
    else if (from !== 'pending' || to !== 'assigned') this.#since.delete(instance);
  }

  /** Whether it has left its node a short while before `micros` and goes to another. */
  isOnItsWay(instance: string, micros: number): boolean {
    return micros - (this.#since.get(instance) ?? -Infinity) <= MOVE_MICROS + this.#slackMicros;
  }
}
