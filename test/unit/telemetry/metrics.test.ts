// Figures that follow from records and from the census, in the form that Prometheus reads.
import { describe, expect, it } from 'vitest';
import { FAMILIES } from '../../../hardware/telemetry/families.ts';
import type { Family, Role } from '../../../hardware/telemetry/families.ts';
import { BEGINNINGS_MAX, MetricsSink } from '../../../hardware/telemetry/feed.ts';
import { Metrics } from '../../../hardware/telemetry/metrics.ts';
import type { TelemetryRecord } from '../../../hardware/telemetry/record.ts';
import type { Census, RecordKind, RecordKinds } from '../../../system/domain/telemetry.ts';

function create(role: Role, seriesMax?: number) {
  const metrics = new Metrics(role, seriesMax);
  const sink = new MetricsSink(metrics);
  let sequence = 0;
  return {
    sink,
    say: <K extends RecordKind>(kind: K, fields: RecordKinds[K], micros = 0): void =>
      sink.take({
        source: 's',
        incarnation: 1,
        sequence: ++sequence,
        micros,
        kind,
        correlation: null,
        fields,
      } as unknown as TelemetryRecord),
    /** Samples of a family, `{labels} value` each, buckets left out. */
    of: async (family: string): Promise<string[]> =>
      (await metrics.text())
        .split('\n')
        .filter((line) => line.startsWith(family) && !line.includes('_bucket'))
        .map((line) => line.slice(family.length)),
  };
}

const STATE = { instance: 'brake/0', deployment: 'brake', node: 'truck-7', version: 1, cause: '' };
const CENSUS: Census = {
  term: 3,
  nodes: { healthy: 2, suspect: 0, unavailable: 1, draining: 0 },
  sessions: 2,
  deployments: [{ deployment: 'brake', replicas: 2, instances: { pending: 1, assigned: 0, running: 1, failed: 0, stopped: 0 } }],
  journalSequence: 40,
  queues: [{ queue: 'broker', depth: 7, bound: 100 }],
};

describe('names', () => {
  it.each(Object.entries(FAMILIES) as [string, Family][])('%s follows the rules of Prometheus', (name, { type, help, buckets }) => {
    expect(name).toMatch(/^wasmmatrix_[a-z][a-z_]*[a-z]$/);
    expect(name.endsWith('_total')).toBe(type === 'counter');
    expect(name).not.toMatch(/_(ms|micros|millis|permille)(_|$)/);
    expect(help).toMatch(/^.*\.$/);
    expect(buckets !== undefined).toBe(type === 'histogram');
  });
});

describe('the metrics of an agent', () => {
  it('count invocations by outcome, with duration, fuel and host calls', async () => {
    const { say, of } = create('agent');
    const fields = { node: 'truck-7', instance: 'brake/0', epoch: 1, version: 1, trigger: 'brake', event: 'e-1', attempt: 1 };
    say('invocation.finished', { ...fields, outcome: 'completed', fuel: 50, memoryBytesPeak: 65_536, micros: 2_500, hostCalls: 3 });
    say('invocation.finished', { ...fields, outcome: 'WM_GUEST_TRAPPED', fuel: 5, memoryBytesPeak: 65_536, micros: 500, hostCalls: 0 });
    const labels = 'node="truck-7",deployment="brake",trigger="brake"';
    expect(await of('wasmmatrix_invocations_total')).toEqual([
      `{${labels},outcome="completed"} 1`,
      `{${labels},outcome="WM_GUEST_TRAPPED"} 1`,
    ]);
    expect(await of('wasmmatrix_invocation_seconds')).toEqual([`_sum{${labels}} 0.003`, `_count{${labels}} 2`]);
    expect(await of('wasmmatrix_invocation_fuel_total')).toEqual([`{${labels}} 55`]);
    expect(await of('wasmmatrix_invocation_host_calls_total')).toEqual([`{${labels}} 3`]);
  });

  it('never carry an identifier of an event', async () => {
    const { say, of } = create('agent');
    const fields = { node: 'truck-7', instance: 'brake/0', epoch: 1, version: 1, trigger: 'brake', event: 'e-secret', attempt: 1 };
    say('invocation.started', fields);
    say('invocation.finished', { ...fields, outcome: 'completed', fuel: 1, memoryBytesPeak: 1, micros: 1, hostCalls: 0 });
    expect((await of('')).join('\n')).not.toContain('e-secret');
  });

  it('follow session, lease and instances', async () => {
    const { say, of } = create('agent');
    say('agent.started', { node: 'truck-7', bootId: 'b', version: '1' });
    expect(await of('wasmmatrix_agent_session_connected')).toEqual(['{node="truck-7"} 0']);
    say('agent.session', { node: 'truck-7', state: 'connected', attempt: 1, cause: '' });
    say('agent.lease', { node: 'truck-7', state: 'held' });
    say('instance.serving', { node: 'truck-7', instance: 'brake/0', epoch: 1, version: 1 });
    say('instance.serving', { node: 'truck-7', instance: 'brake/0', epoch: 1, version: 2 });
    expect(await of('wasmmatrix_agent_session_connected')).toEqual(['{node="truck-7"} 1']);
    expect(await of('wasmmatrix_agent_lease_held')).toEqual(['{node="truck-7"} 1']);
    expect(await of('wasmmatrix_agent_instances_serving')).toEqual(['{node="truck-7"} 1']);
    say('instance.ended', { node: 'truck-7', instance: 'brake/0', epoch: 1, cause: '' });
    say('agent.session', { node: 'truck-7', state: 'lost', attempt: 1, cause: '' });
    say('agent.lease', { node: 'truck-7', state: 'lapsed' });
    expect(await of('wasmmatrix_agent_instances_serving')).toEqual(['{node="truck-7"} 0']);
    expect(await of('wasmmatrix_agent_session_connected')).toEqual(['{node="truck-7"} 0']);
    expect(await of('wasmmatrix_agent_sessions_lost_total')).toEqual(['{node="truck-7"} 1']);
    expect(await of('wasmmatrix_agent_leases_lapsed_total')).toEqual(['{node="truck-7"} 1']);
  });

  it('leave out what only a controller has', async () => {
    expect(await create('agent').of('wasmmatrix_events_accepted_total')).toEqual([]);
    expect(await create('controller').of('wasmmatrix_events_accepted_total')).toEqual([' 0']);
  });
});

describe('the metrics of a controller', () => {
  it('say what there is as the census counts it, and nothing of what is gone', async () => {
    const { sink, of } = create('controller');
    sink.count(CENSUS);
    expect(await of('wasmmatrix_leader')).toEqual([' 1', '_term 3']);
    expect(await of('wasmmatrix_nodes{')).toEqual([
      'status="healthy"} 2',
      'status="suspect"} 0',
      'status="unavailable"} 1',
      'status="draining"} 0',
    ]);
    expect(await of('wasmmatrix_instances')).toContain('{deployment="brake",state="running"} 1');
    expect(await of('wasmmatrix_queue_depth')).toEqual(['{queue="broker"} 7', '_max{queue="broker"} 100']);
    sink.count({ ...CENSUS, deployments: [] });
    expect(await of('wasmmatrix_instances')).toEqual([]);
    sink.count(null);
    expect(await of('wasmmatrix_leader')).toEqual([' 0', '_term 0']);
    expect(await of('wasmmatrix_nodes{')).toEqual([]);
  });

  it('count restarts, and measure how long an instance was away', async () => {
    const { say, of } = create('controller');
    say('instance.state', { ...STATE, from: 'pending', to: 'assigned', epoch: 1 }, 1_000_000);
    say('instance.state', { ...STATE, from: 'assigned', to: 'running', epoch: 1 }, 2_000_000);
    // A rollout tells it of another version.
    say('instance.state', { ...STATE, from: 'running', to: 'assigned', epoch: 1 }, 3_000_000);
    say('instance.state', { ...STATE, from: 'assigned', to: 'running', epoch: 1 }, 4_000_000);
    expect(await of('wasmmatrix_instance_restarts_total')).toEqual([]);
    expect(await of('wasmmatrix_instance_recovery_seconds')).toEqual(['_sum 0', '_count 0']);
    say('instance.state', { ...STATE, from: 'running', to: 'pending', epoch: 1 }, 5_000_000);
    say('instance.state', { ...STATE, from: 'pending', to: 'assigned', epoch: 2 }, 5_100_000);
    say('instance.state', { ...STATE, from: 'assigned', to: 'running', epoch: 2 }, 5_500_000);
    expect(await of('wasmmatrix_instance_restarts_total')).toEqual(['{deployment="brake"} 1']);
    expect(await of('wasmmatrix_instance_recovery_seconds')).toEqual(['_sum 0.5', '_count 1']);
  });

  it('measure how long a command takes to be durable', async () => {
    const { say, of } = create('controller');
    say('command.acknowledged', { id: 'c-0', command: 'rollback', sequence: 1, micros: 250_000 });
    expect(await of('wasmmatrix_command_seconds')).toEqual(['_sum{command="rollback"} 0.25', '_count{command="rollback"} 1']);
  });

  it('forget the oldest of too many instances that do not come back', async () => {
    const { say, of } = create('controller');
    for (let i = 0; i <= BEGINNINGS_MAX; i++)
      say('instance.state', { ...STATE, instance: `brake/${i}`, from: 'running', to: 'pending', epoch: 1 }, 0);
    say('instance.state', { ...STATE, instance: 'brake/0', from: 'assigned', to: 'running', epoch: 2 }, 3_000_000);
    say('instance.state', { ...STATE, instance: 'brake/1', from: 'assigned', to: 'running', epoch: 2 }, 250_000);
    expect(await of('wasmmatrix_instance_recovery_seconds')).toEqual(['_sum 0.25', '_count 1']);
  });

  it('count refusals of every kind under one name', async () => {
    const { say, of } = create('controller');
    say('security.refused', { node: 'n', subject: 'session', code: 'WM_NODE_REFUSED', message: '' });
    say('security.refused', { node: 'node/n', subject: '/wasmmatrix.v1.Bus/Fetch', code: 'WM_NODE_REFUSED', message: '' });
    say('module.refused', { module: 'm', digest: 'd', key: null, code: 'WM_SIGNATURE_MISSING' });
    say('effect.fenced', { what: 'event e', instance: 'brake/0', epoch: 1, current: 2 });
    expect(await of('wasmmatrix_refusals_total')).toEqual([
      '{what="session",code="WM_NODE_REFUSED"} 1',
      '{what="call",code="WM_NODE_REFUSED"} 1',
      '{what="module",code="WM_SIGNATURE_MISSING"} 1',
      '{what="effect",code="WM_FENCED"} 1',
    ]);
  });

  it('stay few, whatever the fleet is called', async () => {
    const { say, of } = create('controller', 3);
    for (let i = 0; i < 10; i++) {
      say('node.status', { node: `truck-${i}`, incarnation: 1, from: 'healthy', to: i % 2 === 0 ? 'suspect' : 'unavailable', cause: '' });
    }
    expect(await of('wasmmatrix_node_status_changes_total')).toEqual([
      '{node="truck-0",status="suspect"} 1',
      '{node="truck-1",status="unavailable"} 1',
      '{node="truck-2",status="suspect"} 1',
      '{node="other",status="unavailable"} 4',
      '{node="other",status="suspect"} 3',
    ]);
  });

  it('add up what the census counts beyond the bound', async () => {
    const { sink, of } = create('controller', 2);
    const deployments = ['a', 'b', 'c', 'd'].map((deployment) => ({ ...CENSUS.deployments[0]!, deployment, replicas: 5 }));
    sink.count({ ...CENSUS, deployments });
    expect(await of('wasmmatrix_deployment_replicas')).toEqual(['{deployment="a"} 5', '{deployment="b"} 5', '{deployment="other"} 10']);
  });
});
