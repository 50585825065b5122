// P5: what a guest may do, by the capabilities of the version that it is of.
import { grantsPublish, grantsState, parseCapability, type Capability } from '../../system/domain/capability.ts';
import { consumerOf } from '../../system/domain/deployment.ts';
import { DEAD_LETTER_PREFIX } from '../../system/domain/event.ts';
import type { Subject } from '../../system/domain/identifiers.ts';
import type { Scenario } from '../scenario.ts';
import { goalOf, Ledger, type Goal } from './goal.ts';
import { deploymentOf, DeploymentsInForce, VersionsPushed } from './in-force.ts';

/** Bound: guests of which the version is remembered. */
const GUESTS_KEPT_MAX = 4_096;

/** P5: no guest effect without a capability of its version that covers it. */
export function capabilities(scenario: Scenario): Goal {
  const ledger = new Ledger('P5', 'No guest has an effect that no capability of its version covers.');
  const inForce = new DeploymentsInForce(scenario);
  const versions = new VersionsPushed(scenario);
  /** What guests ran as, the number of their version, by instance and what they ran for. Bound: GUESTS_KEPT_MAX, the oldest is forgotten. */
  const guests = new Map<string, Set<number>>();
  const results = new Map<string, Set<string>>();
  /** Of all versions of a module together: where it is not known which one a guest was of. */
  const granted = new Map<string, Capability[]>();
  for (const step of scenario.steps) {
    if (step.do === 'trigger' && step.spec.result !== null) {
      const subjects = results.get(step.spec.deployment) ?? new Set();
      subjects.add(step.spec.result);
      results.set(step.spec.deployment, subjects);
    }
    if (step.do === 'trigger') {
      const subjects = results.get(step.spec.deployment) ?? new Set();
      subjects.add(`${DEAD_LETTER_PREFIX}.${consumerOf(step.spec.name)}`);
      results.set(step.spec.deployment, subjects);
    }
    if (step.do === 'push' && step.accepted)
      granted.set(step.module, [...(granted.get(step.module) ?? []), ...capabilitiesOf(step.capabilities ?? [])]);
  }
  const grantsOf = (instance: string, correlation: string | null): readonly Capability[] => {
    const modules = [...new Set(inForce.sofar(deploymentOf(instance)).map(({ module }) => module as string))];
    const ran = guests.get(`${instance} ${correlation}`);
    const known = ran === undefined ? [] : modules.flatMap((module) => [...ran].map((version) => versions.capabilitiesOf(module, version)));
    if (known.length > 0 && !known.includes(null)) return capabilitiesOf(known.flatMap((texts) => texts ?? []));
    return modules.flatMap((module) => granted.get(module) ?? []);
  };
  return goalOf(ledger, (record) => {
    inForce.observe(record);
    versions.observe(record);
    switch (record.kind) {
      case 'invocation.started': {
        const key = `${record.fields.instance} ${record.correlation}`;
        guests.set(key, (guests.get(key) ?? new Set()).add(record.fields.version));
        if (guests.size > GUESTS_KEPT_MAX) guests.delete(guests.keys().next().value ?? '');
        break;
      }
      case 'state.written': {
        const { instance, key } = record.fields;
        if (instance === null) break;
        ledger.expect(
          grantsState(grantsOf(instance, record.correlation), 'state-write', key),
          record,
          () => `Instance ${instance} wrote state ${key} without a capability that covers it.`,
        );
        break;
      }
      case 'event.accepted': {
        const { instance, subject } = record.fields;
        if (instance === null) break;
        ledger.expect(
          results.get(deploymentOf(instance))?.has(subject) === true ||
            grantsPublish(grantsOf(instance, record.correlation), subject as Subject),
          record,
          () => `Instance ${instance} published on ${subject} without a capability that covers it.`,
        );
        break;
      }
      case 'capability.refused':
        ledger.checks += 1;
        break;
      default:
    }
  });
}

function capabilitiesOf(texts: readonly string[]): readonly Capability[] {
  return texts.map(parseCapability).filter((capability) => capability !== null);
}
