// What a drained node may still have: nothing new, and after a while nothing of what may go elsewhere.
import type { RunRecord } from '../record.ts';
import type { Scenario } from '../scenario.ts';
import { countOf, describeBudget, describeMicros, goalOf, Ledger, textOf, type Goal, type GoalParameters } from './goal.ts';

/** From the mark `draining` to the end of it, or to a new start of the node's agent. */
export function drained(parameters: GoalParameters, scenario: Scenario, slackMicros: number): Goal {
  const node = textOf(parameters, 'node');
  const within = countOf(parameters, 'within');
  const ledger = new Ledger(
    'drained',
    `While ${node} is drained it is given nothing, and what it has is served elsewhere within ${describeBudget(within, slackMicros)}.`,
  );
  const staying = new Set<string>();
  for (const step of scenario.steps) if (step.do === 'deploy' && step.spec.whenUnreachable === 'stay') staying.add(step.spec.name);
  /** Instances that the controller has on the node. */
  const held = new Set<string>();
  let since: number | null = null;
  let drains = 0;
  const checkTime = (record: { readonly source: string; readonly micros: number }): void => {
    if (since === null || held.size === 0 || record.micros - since <= within + slackMicros) return;
    const [instance = ''] = held;
    ledger.expect(
      false,
      record,
      () =>
        `Instance ${instance} is still on ${node} ${describeMicros(record.micros - (since ?? 0))} after ${node} began to drain: the drain is ignored.`,
      node,
    );
  };
  const change = (record: Extract<RunRecord, { kind: 'instance.state' }>): void => {
    const { instance, deployment, from, to, node: at } = record.fields;
    const isHere = at === node && (to === 'assigned' || to === 'running');
    if (!isHere || staying.has(deployment)) {
      held.delete(instance);
      return;
    }
    // One that is told another version while it waits to be moved is not new here.
    const isNew = !held.has(instance) && from === 'pending';
    ledger.expect(since === null || !isNew, record, () => `Instance ${instance} was placed on ${node}, which is drained.`, node);
    held.add(instance);
  };
  return goalOf(
    ledger,
    (record) => {
      checkTime(record);
      if (record.kind === 'instance.state') change(record);
      if (record.kind === 'node.enrolled' && record.fields.node === node) since = null;
      if (record.kind !== 'node.status' || record.fields.node !== node) return;
      if (record.fields.to === 'draining') {
        since ??= record.micros;
        drains += 1;
      } else if (record.fields.to === 'healthy') since = null;
    },
    (end) => ledger.expectByEnd(drains > 0, end, () => `${node} was never drained: the scenario tested nothing.`),
  );
}
