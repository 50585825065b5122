// Which of a scenario's steps is in force: a deployment may be applied more than once, and a module is pushed in versions, each with
// capabilities of its own. Goals judge a decision by what was in force when it was made, not by the last word of the scenario. While a
// command is under way nobody outside knows whether it counts already, so both do.
import type { DeploymentSpec } from '../../system/domain/deployment.ts';
import type { RunRecord } from '../record.ts';
import type { Scenario, StepSpec } from '../scenario.ts';
import { Kept } from './kept.ts';
import { Losses } from './losses.ts';

/** Steps of commands by the command's identifier, which is the correlation of what the controller records of it. */
class Commanded {
  /** Bound: commands of a run. */
  readonly #steps = new Map<string, number>();

  observe(record: RunRecord): void {
    if (record.kind === 'operator.commanded' && record.fields.step !== null) this.#steps.set(record.fields.id, record.fields.step);
  }

  of(id: string | null): number | null {
    return (id === null ? undefined : this.#steps.get(id)) ?? null;
  }
}

export class DeploymentsInForce {
  readonly #steps: readonly StepSpec[];
  readonly #commanded = new Commanded();
  /** Of each deployment the first spec: the only one of most. */
  readonly #first = new Map<string, DeploymentSpec>();
  readonly #now = new Map<string, DeploymentSpec>();
  /** Commanded and not answered, by the command. Bound: commands wait for each other, so one. */
  readonly #underWay = new Map<string, DeploymentSpec>();
  /** Every one that was commanded so far. */
  readonly #ever = new Map<string, readonly DeploymentSpec[]>();
  /** Of these nobody knows what is in force: it may be any that ever was, until one is applied again. */
  readonly #inDoubt = new Set<string>();
  /** As under way, by the command's identifier, except that it is known again as it was when a copy was taken. */
  readonly #unanswered = new Map<string, string>();
  readonly #kept = new Kept([this.#now, this.#inDoubt, this.#unanswered]);

  constructor({ steps }: Scenario) {
    this.#steps = steps;
    for (const step of steps) if (step.do === 'deploy' && !this.#first.has(step.spec.name)) this.#first.set(step.spec.name, step.spec);
  }

  observe(record: RunRecord): void {
    this.#commanded.observe(record);
    if (this.#kept.observe(record) !== null) this.#doubt();
    switch (record.kind) {
      case 'operator.commanded': {
        const spec = this.#specOf(record.fields.id);
        if (spec === null) return;
        this.#underWay.set(record.fields.id, spec);
        this.#unanswered.set(record.fields.id, spec.name);
        this.#ever.set(spec.name, [...(this.#ever.get(spec.name) ?? []), spec]);
        return;
      }
      case 'deployment.applied':
        return this.#apply(record.correlation);
      case 'operator.answered':
        if (record.fields.outcome === 'done') this.#apply(record.fields.id);
        // One whose outcome is unknown may still be carried out.
        if (record.fields.outcome === 'unknown') return;
        this.#underWay.delete(record.fields.id);
        this.#unanswered.delete(record.fields.id);
        return;
      default:
    }
  }

  /** What a decision may go by now; empty for a deployment that no step makes. */
  of(deployment: string): readonly DeploymentSpec[] {
    if (this.#inDoubt.has(deployment)) return this.sofar(deployment);
    const now = this.#now.get(deployment) ?? this.#first.get(deployment);
    const underWay = [...this.#underWay.values()].filter((spec) => spec.name === deployment && spec !== now);
    return now === undefined ? underWay : [now, ...underWay];
  }

  /** What a node may go by, which hears of it later, and of which a guest may be at work for long. */
  sofar(deployment: string): readonly DeploymentSpec[] {
    const first = this.#first.get(deployment);
    return this.#ever.get(deployment) ?? (first === undefined ? [] : [first]);
  }

  /** A copy has what was in force when it was taken, and may have what was under way then. */
  #doubt(): void {
    for (const name of this.#ever.keys()) if (!this.#now.has(name)) this.#inDoubt.add(name);
    for (const name of this.#unanswered.values()) this.#inDoubt.add(name);
    this.#unanswered.clear();
    for (const [id, { name }] of this.#underWay) this.#unanswered.set(id, name);
  }

  #apply(id: string | null): void {
    const spec = this.#specOf(id);
    if (spec === null) return;
    this.#now.set(spec.name, spec);
    this.#inDoubt.delete(spec.name);
  }

  #specOf(id: string | null): DeploymentSpec | null {
    const step = this.#steps[this.#commanded.of(id) ?? -1];
    return step?.do === 'deploy' ? step.spec : null;
  }
}

export class VersionsPushed {
  readonly #steps: readonly StepSpec[];
  readonly #commanded = new Commanded();
  /** By module and version. */
  readonly #pushes = new Map<string, readonly string[]>();
  readonly #losses = new Losses();

  constructor({ steps }: Scenario) {
    this.#steps = steps;
  }

  observe(record: RunRecord): void {
    this.#commanded.observe(record);
    this.#losses.observe(record);
    if (record.kind !== 'module.stored') return;
    const step = this.#steps[this.#commanded.of(record.correlation) ?? -1];
    const { module, version } = record.fields;
    if (step?.do !== 'push') return;
    const key = `${module} ${version}`;
    // After a loss a number is given again, and guests of its first version may still be at work.
    const before = this.#losses.any ? (this.#pushes.get(key) ?? []) : [];
    this.#pushes.set(key, [...before, ...(step.capabilities ?? [])]);
  }

  /** Capabilities of a version; null where it was stored and nobody told, as before a crash. */
  capabilitiesOf(module: string, version: number): readonly string[] | null {
    return this.#pushes.get(`${module} ${version}`) ?? null;
  }
}

export function deploymentOf(instance: string): string {
  return instance.slice(0, instance.lastIndexOf('/'));
}
