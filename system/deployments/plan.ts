// What a command or a report of an agent changes: state in, entries out.
import type { DeploymentSpec } from '../domain/deployment.ts';
import { instanceIdOf, type DeploymentName, type Incarnation, type NodeId } from '../domain/identifiers.ts';
import { assert } from '../domain/outcome.ts';
import type { InstanceReport } from '../domain/session.ts';
import { instancesOf, type DeploymentEntry, type DeploymentsState, type InstanceEntry } from './state.ts';
import { holdsNode, instanceStateIs, type InstanceRecord } from './instance.ts';

type Entries = readonly (DeploymentEntry | InstanceEntry)[];

/** A changed origin, requirement or spread places every instance anew; a changed version is served where they are. */
function placesAnew(before: DeploymentSpec, after: DeploymentSpec): boolean {
  return (
    before.origin !== after.origin ||
    before.spread !== after.spread ||
    before.module !== after.module ||
    JSON.stringify(before.requirements) !== JSON.stringify(after.requirements)
  );
}

/** A failed instance starts over with a new version; one that has a node is told. */
function changeVersion(instance: InstanceRecord, version: number, atMs: number, cause: string): readonly InstanceEntry[] {
  if (holdsNode(instance))
    return instance.version === version ? [] : [{ kind: 'instance-told', instance: instance.id, version, atMs, cause }];
  return instanceStateIs(instance, 'failed') ? [{ kind: 'instance-unplaced', instance: instance.id, atMs, cause }] : [];
}

export function planApply(state: DeploymentsState, spec: DeploymentSpec, version: number, atMs: number): Entries {
  const before = state.deployments.get(spec.name);
  const revision = (before?.revision ?? 0) + 1;
  const cause = `revision ${revision}`;
  const entries: (DeploymentEntry | InstanceEntry)[] = [{ kind: 'deployment-applied', spec, version, revision }];
  const anew = before !== undefined && placesAnew(before.spec, spec);
  const known = instancesOf(state, spec.name);
  for (let ordinal = 0; ordinal < Math.max(spec.replicas, known.length); ordinal++) {
    const instance = known[ordinal];
    if (ordinal >= spec.replicas) {
      if (instance !== undefined && !instanceStateIs(instance, 'stopped'))
        entries.push({ kind: 'instance-stopped', instance: instance.id, atMs, cause: `${cause}: scaled to ${spec.replicas}` });
    } else if (instance === undefined || instanceStateIs(instance, 'stopped')) {
      entries.push({
        kind: 'instance-created',
        instance: instanceIdOf(spec.name, ordinal),
        deployment: spec.name,
        module: spec.module,
        ordinal,
        atMs,
        cause,
      });
    } else if (anew && !instanceStateIs(instance, 'pending')) {
      entries.push({ kind: 'instance-unplaced', instance: instance.id, atMs, cause: `${cause}: placed anew` });
    } else {
      entries.push(...changeVersion(instance, version, atMs, `${cause}: version ${version}`));
    }
  }
  return entries;
}

export function planRollback(state: DeploymentsState, name: DeploymentName, version: number, atMs: number): Entries {
  const before = state.deployments.get(name);
  assert(before !== undefined, `deployment ${name} exists when a rollback is planned`);
  const revision = before.revision + 1;
  const cause = `revision ${revision}: rolled back to version ${version}`;
  return [
    { kind: 'deployment-rolled-back', deployment: name, version, revision },
    ...instancesOf(state, name).flatMap((instance) => changeVersion(instance, version, atMs, cause)),
  ];
}

export function planDelete(state: DeploymentsState, name: DeploymentName, atMs: number): Entries {
  const stops = instancesOf(state, name)
    .filter((instance) => !instanceStateIs(instance, 'stopped'))
    .map((instance): InstanceEntry => ({ kind: 'instance-stopped', instance: instance.id, atMs, cause: 'its deployment was deleted' }));
  return [...stops, { kind: 'deployment-deleted', deployment: name }];
}

/** A node is gone for good: what it had, and what waits for it, may go anywhere; what was stopped there is. */
export function planLetGo(state: DeploymentsState, node: NodeId, atMs: number): readonly InstanceEntry[] {
  const entries: InstanceEntry[] = [];
  for (const instance of state.instances.values()) {
    const common = { instance: instance.id, atMs, cause: `node ${node} was removed` };
    if (instance.node === node && !instanceStateIs(instance, 'stopped')) entries.push({ ...common, kind: 'instance-unplaced' });
    else if (instance.node === node || instance.boundTo === node) entries.push({ ...common, kind: 'instance-released' });
  }
  return entries;
}

/** What a report changes. Reports of another epoch, incarnation or version than the current are of the past: nothing. */
export function planReport(
  state: DeploymentsState,
  node: NodeId,
  incarnation: Incarnation,
  report: InstanceReport,
  atMs: number,
): readonly InstanceEntry[] {
  const instance = state.instances.get(report.instance);
  if (instance === undefined || instance.node !== node || instance.nodeIncarnation !== incarnation || instance.epoch !== report.epoch)
    return [];
  const common = { instance: instance.id, atMs };
  if (instanceStateIs(instance, 'stopped')) {
    return report.state === 'running' ? [] : [{ ...common, kind: 'instance-released', cause: 'its node stopped it' }];
  }
  if (report.version !== instance.version || !holdsNode(instance)) return [];
  switch (report.state) {
    case 'running':
      return instanceStateIs(instance, 'assigned')
        ? [{ ...common, kind: 'instance-running', cause: describeCause(report, 'its node serves it') }]
        : [];
    case 'failed':
      return [{ ...common, kind: 'instance-failed', code: report.code, cause: describeCause(report, 'its node cannot run it') }];
    case 'stopped':
      return instanceStateIs(instance, 'running')
        ? [{ ...common, kind: 'instance-told', version: instance.version, cause: describeCause(report, 'its node had stopped it') }]
        : [];
  }
}

/** Bound: characters of a cause that an agent gives. */
const CAUSE_LENGTH_MAX = 500;

function describeCause(report: InstanceReport, fallback: string): string {
  const cause = report.cause === '' ? fallback : report.cause.slice(0, CAUSE_LENGTH_MAX);
  return report.code === null ? cause : `${report.code}: ${cause}`;
}

/** At the start of a session: what runs there is taken over, what should run and does not is told again. */
export function planHelloReports(
  state: DeploymentsState,
  held: readonly InstanceRecord[],
  node: NodeId,
  incarnation: Incarnation,
  reports: readonly InstanceReport[],
  atMs: number,
): readonly InstanceEntry[] {
  const entries = reports.flatMap((report) => planReport(state, node, incarnation, report, atMs));
  const reported = new Set(reports.map((report) => `${report.instance} ${report.epoch}`));
  for (const instance of held) {
    if (instance.nodeIncarnation !== incarnation || reported.has(`${instance.id} ${instance.epoch}`)) continue;
    if (instanceStateIs(instance, 'running')) {
      entries.push({
        kind: 'instance-told',
        instance: instance.id,
        version: instance.version,
        atMs,
        cause: 'its node did not run it when it reconnected',
      });
    } else if (instanceStateIs(instance, 'stopped')) {
      entries.push({ kind: 'instance-released', instance: instance.id, atMs, cause: 'its node does not run it any more' });
    }
  }
  return entries;
}
