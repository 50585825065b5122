// What applying something would do: the same checks, the same entries and the same placing, on a copy of the head state that
// nobody commits. So the plan is the apply, as long as nothing else happens. Leaves the turn as often as placing does.
import type { DeploymentSpec, TriggerSpec } from '../domain/deployment.ts';
import type { OperatorAnswer, OperatorQuery } from '../domain/operator.ts';
import { assert, ok, rejected, type Outcome } from '../domain/outcome.ts';
import type { DeploymentPlan, FieldChange, InstanceAction, InstancePlan, PlanAction, TriggerPlan } from '../domain/plan.ts';
import { instancesOf, type DeploymentRecord, type InstanceRecord } from '../deployments/deployments.ts';
import type { Clock } from '../ports/clock.ts';
import type { Keys } from '../ports/keys.ts';
import { planCommand } from './commands.ts';
import { Head } from './head.ts';
import type { Placing } from './placing.ts';
import type { ControllerState, Entry } from './state.ts';

/** Bound: deployments and triggers of one plan. */
const PLANNED_MAX = 256;
/** Bound: plans that are worked on at a time. */
export const PLANS_MAX = 4;
/** Bound: instances that one plan lists; of more the number is told. */
const INSTANCES_LISTED_MAX = 1_000;
/** Bound: characters of the value of a field. */
const VALUE_LENGTH_MAX = 1_024;

type PlanQuery = Extract<OperatorQuery, { readonly kind: 'plan' }>;
type PlanAnswer = Extract<OperatorAnswer, { readonly kind: 'plan' }>;

export type PlanningOptions = {
  readonly head: Head;
  readonly placing: Placing;
  readonly keys: Pick<Keys, 'keyIdOf'>;
  readonly clock: Pick<Clock, 'civilMs' | 'sleep'>;
};

export async function plan({ head, placing, keys, clock }: PlanningOptions, query: PlanQuery): Promise<Outcome<PlanAnswer>> {
  const asked = query.deployments.length + query.triggers.length;
  if (asked > PLANNED_MAX) {
    return rejected('WM_ARGUMENT', {
      message: `A plan of ${asked} specifications was asked for.`,
      next: `Plan at most ${PLANNED_MAX} at a time.`,
    });
  }
  const before = head.state;
  const copy = copyOf(head);
  const trial = placing.onTrial(copy);
  const atMs = clock.civilMs();
  const { term } = before;
  const earlier = { deployments: new Map(before.deployments.deployments), triggers: new Map(before.events.triggers) };
  const instances = new Map(before.deployments.instances);
  const deployments: DeploymentPlan[] = [];
  let listed = 0;
  for (const spec of query.deployments) {
    const entries = planCommand(copy.state, { kind: 'deployment-apply', spec }, keys, atMs);
    if (!entries.ok) return entries;
    copy.commit(entries.value);
    for (trial.run(); trial.isUnfinished; trial.run()) await clock.sleep(0);
  }
  const triggers: TriggerPlan[] = [];
  for (const spec of query.triggers) {
    const entries = planCommand(copy.state, { kind: 'trigger-apply', spec }, keys, atMs);
    if (!entries.ok) return entries;
    copy.commit(entries.value);
    triggers.push(planOfTrigger(earlier.triggers.get(spec.name) ?? null, spec));
  }
  for (const spec of query.deployments) {
    const changed = instancesOf(copy.state.deployments, spec.name).flatMap((after) =>
      planOfInstance(instances.get(after.id) ?? null, after, trial),
    );
    const shown = changed.slice(0, Math.max(0, INSTANCES_LISTED_MAX - listed));
    listed += shown.length;
    const now = copy.state.deployments.deployments.get(spec.name);
    assert(now !== undefined, `deployment ${spec.name} is there after it was applied`);
    const fields = changesOf(fieldsOfDeployment(earlier.deployments.get(spec.name) ?? null), fieldsOfDeployment(now));
    const action = actionOf(earlier.deployments.has(spec.name), fields);
    deployments.push({ name: spec.name, action, version: now.version, fields, instances: shown, instancesChanged: changed.length });
  }
  return ok({ kind: 'plan', term, deployments, triggers });
}

/** A head of its own: what is committed to it is written nowhere. */
function copyOf(head: Head): Head {
  const { nodes, modules, deployments, events } = head.state;
  const state: ControllerState = {
    ...head.state,
    nodes: { nodes: new Map(nodes.nodes) },
    modules: { trust: new Map(modules.trust), versions: new Map(modules.versions), artefacts: new Map(modules.artefacts) },
    deployments: {
      ...deployments,
      retired: new Map(deployments.retired),
      deployments: new Map(deployments.deployments),
      instances: new Map(deployments.instances),
      ordinals: new Map(deployments.ordinals),
    },
    events: { triggers: new Map(events.triggers) },
  };
  const journal = { append: (_: Entry) => 0, whenDurable: () => {} };
  const copy = new Head(state, { journal, tell: () => {}, raiseFence: () => {} });
  copy.fleet.learn(head.fleet);
  // The order in which they wait decides who is placed first.
  copy.pending.clear();
  for (const id of head.pending) copy.pending.add(id);
  return copy;
}

function planOfInstance(before: InstanceRecord | null, after: InstanceRecord, trial: Placing): readonly InstancePlan[] {
  const action = actionOnInstance(before, after);
  if (action === null) return [];
  const isPlaced = action === 'create' || action === 'move' || action === 'wait';
  const decision = !isPlaced ? null : after.state === 'pending' ? trial.refusalOf(after.id) : after.decision;
  return [{ instance: after.id, action, from: before !== null && before.state !== 'stopped' ? before.node : null, decision }];
}

function actionOnInstance(before: InstanceRecord | null, after: InstanceRecord): InstanceAction | null {
  const wasWanted = before !== null && before.state !== 'stopped';
  if (after.state === 'stopped') return wasWanted ? 'stop' : null;
  if (!wasWanted) return 'create';
  if (before.state === 'pending') return after.state === 'pending' ? 'wait' : 'create';
  if (after.state === 'pending' || after.epoch !== before.epoch) return 'move';
  return after.version === before.version ? null : 'upgrade';
}

function planOfTrigger(before: TriggerSpec | null, spec: TriggerSpec): TriggerPlan {
  const fields = changesOf(before === null ? {} : flatten(before), flatten(spec));
  return { name: spec.name, deployment: spec.deployment, action: actionOf(before !== null, fields), fields };
}

function actionOf(wasThere: boolean, fields: readonly FieldChange[]): PlanAction {
  return !wasThere ? 'create' : fields.length > 0 ? 'update' : 'unchanged';
}

type Fields = Readonly<Record<string, string | null>>;

/** The version is the one that runs, not the one that was asked for. */
function fieldsOfDeployment(deployment: DeploymentRecord | null): Fields {
  return deployment === null ? {} : flatten({ ...deployment.spec, version: deployment.version });
}

function flatten(spec: DeploymentSpec | TriggerSpec): Fields {
  const { name: _, ...rest } = spec;
  return Object.fromEntries(
    Object.entries(rest).flatMap(([field, value]: [string, unknown]) =>
      isRecord(value) ? Object.entries(value).map(([inner, each]) => [`${field}.${inner}`, textOf(each)]) : [[field, textOf(value)]],
    ),
  );
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Null: it asks for nothing. */
function textOf(value: unknown): string | null {
  if (Array.isArray(value)) return value.length === 0 ? null : value.join(', ').slice(0, VALUE_LENGTH_MAX);
  return value === null ? null : String(value).slice(0, VALUE_LENGTH_MAX);
}

function changesOf(before: Fields, after: Fields): readonly FieldChange[] {
  return Object.entries(after)
    .map(([field, to]) => ({ field, from: before[field] ?? null, to }))
    .filter(({ from, to }) => from !== to);
}
