// From records to metrics: which record changes which figure. Counters and histograms come from records alone; what there is at
// a moment comes from the controller's census, because a restarted controller says nothing of what it found in its journal.
import type { Census, RecordKind, RecordKinds } from '../../system/domain/telemetry.ts';
import { MICROS_PER_S } from '../../system/ports/clock.ts';
import type { Metrics } from './metrics.ts';
import type { Sink, TelemetryRecord } from './record.ts';

/** Bound: beginnings whose end is awaited, for durations; the oldest go first, uncounted. */
export const BEGINNINGS_MAX = 10_000;
/** Bound: instances that one agent is counted to serve. */
const SERVING_MAX = 100_000;

type Fed = { [K in RecordKind]?: (fields: Readonly<RecordKinds[K]>, micros: number) => void };

export class MetricsSink implements Sink {
  readonly name = 'metrics';
  readonly #metrics: Metrics;
  /** Instances that were given up. */
  readonly #lost = new Beginnings();
  readonly #serving = new Set<string>();
  readonly #fed: Fed;

  constructor(metrics: Metrics) {
    this.#metrics = metrics;
    this.#fed = { ...this.#ofController(), ...this.#ofBroker(), ...this.#ofRefusals(), ...this.#ofAgent(), ...this.#ofInvocations() };
  }

  take({ kind, fields, micros }: TelemetryRecord): void {
    (this.#fed[kind] as ((fields: unknown, micros: number) => void) | undefined)?.(fields, micros);
  }

  /** What there is now. Null: this controller does not lead. */
  count(census: Census | null): void {
    const metrics = this.#metrics;
    metrics.change('wasmmatrix_leader', {}, census === null ? 0 : 1);
    metrics.change('wasmmatrix_leader_term', {}, census?.term ?? 0);
    metrics.change('wasmmatrix_agent_sessions', {}, census?.sessions ?? 0);
    metrics.change('wasmmatrix_journal_sequence', {}, census?.journalSequence ?? 0);
    const deployments = census?.deployments ?? [];
    const queues = census?.queues ?? [];
    metrics.replace(
      'wasmmatrix_nodes',
      Object.entries(census?.nodes ?? {}).map(([status, value]) => ({ labels: { status }, value })),
    );
    metrics.replace(
      'wasmmatrix_deployment_replicas',
      deployments.map(({ deployment, replicas }) => ({ labels: { deployment }, value: replicas })),
    );
    metrics.replace(
      'wasmmatrix_instances',
      deployments.flatMap(({ deployment, instances }) =>
        Object.entries(instances).map(([state, value]) => ({ labels: { deployment, state }, value })),
      ),
    );
    metrics.replace(
      'wasmmatrix_queue_depth',
      queues.map(({ queue, depth }) => ({ labels: { queue }, value: depth })),
    );
    metrics.replace(
      'wasmmatrix_queue_depth_max',
      queues.map(({ queue, bound }) => ({ labels: { queue }, value: bound })),
    );
  }

  #ofController(): Fed {
    const metrics = this.#metrics;
    return {
      'node.enrolled': () => metrics.change('wasmmatrix_nodes_enrolled_total', {}),
      'node.status': ({ node, to }) => metrics.change('wasmmatrix_node_status_changes_total', { node, status: to }),
      'placement.decided': ({ instance, node }) =>
        metrics.change('wasmmatrix_placements_total', { deployment: deploymentOf(instance), node }),
      'placement.refused': ({ instance }) => metrics.change('wasmmatrix_placements_refused_total', { deployment: deploymentOf(instance) }),
      'instance.state': (fields, micros) => this.#instance(fields, micros),
      'rollback.accepted': ({ deployment }) => metrics.change('wasmmatrix_rollbacks_total', { deployment }),
      'rollback.issued': ({ micros }) => metrics.change('wasmmatrix_rollback_seconds', {}, micros / MICROS_PER_S),
      'command.accepted': ({ command }) => metrics.change('wasmmatrix_commands_total', { command }),
      'command.refused': ({ command, code }) => metrics.change('wasmmatrix_commands_refused_total', { command, code }),
      'command.acknowledged': ({ command, micros }) => metrics.change('wasmmatrix_command_seconds', { command }, micros / MICROS_PER_S),
      'module.stored': () => metrics.change('wasmmatrix_modules_stored_total', {}),
      'artefact.signed': ({ profile }) => metrics.change('wasmmatrix_artefacts_signed_total', { profile }),
      log: ({ level }) => metrics.change('wasmmatrix_log_messages_total', { level }),
    };
  }

  #ofBroker(): Fed {
    const metrics = this.#metrics;
    return {
      'event.accepted': ({ bytes }) => {
        metrics.change('wasmmatrix_events_accepted_total', {});
        metrics.change('wasmmatrix_events_accepted_bytes_total', {}, bytes);
      },
      'event.refused': ({ code }) => metrics.change('wasmmatrix_events_refused_total', { code }),
      'event.duplicate': () => metrics.change('wasmmatrix_events_duplicate_total', {}),
      'event.delivered': ({ consumer }) => metrics.change('wasmmatrix_events_delivered_total', { consumer }),
      'event.acknowledged': ({ consumer }) => metrics.change('wasmmatrix_events_acknowledged_total', { consumer }),
      'event.retried': ({ consumer, code }) => metrics.change('wasmmatrix_events_retried_total', { consumer, code }),
      'event.deadlettered': ({ consumer, code }) => metrics.change('wasmmatrix_events_deadlettered_total', { consumer, code }),
      'state.written': () => metrics.change('wasmmatrix_state_writes_total', {}),
    };
  }

  #ofRefusals(): Fed {
    const refused = (what: string, code: string): void => this.#metrics.change('wasmmatrix_refusals_total', { what, code });
    return {
      // A call by its method, which begins with a slash.
      'security.refused': ({ subject, code }) => refused(subject.startsWith('/') ? 'call' : 'session', code),
      'module.refused': ({ code }) => refused('module', code),
      'artefact.refused': ({ code }) => refused('artefact', code),
      'capability.refused': () => refused('capability', 'WM_CAPABILITY_REFUSED'),
      'effect.fenced': () => refused('effect', 'WM_FENCED'),
    };
  }

  #ofAgent(): Fed {
    const metrics = this.#metrics;
    return {
      'agent.session': ({ node, state }) => {
        metrics.change('wasmmatrix_agent_session_connected', { node }, state === 'connected' ? 1 : 0);
        metrics.change('wasmmatrix_agent_sessions_lost_total', { node }, state === 'lost' ? 1 : 0);
      },
      'agent.lease': ({ node, state }) => {
        metrics.change('wasmmatrix_agent_lease_held', { node }, state === 'held' ? 1 : 0);
        metrics.change('wasmmatrix_agent_leases_lapsed_total', { node }, state === 'lapsed' ? 1 : 0);
      },
      'agent.started': ({ node }) => {
        // What an alert asks for is there from the start.
        metrics.change('wasmmatrix_agent_session_connected', { node }, 0);
        metrics.change('wasmmatrix_agent_lease_held', { node }, 0);
        metrics.change('wasmmatrix_agent_instances_serving', { node }, 0);
      },
      'agent.desired': ({ node, revision, applied }) => {
        if (applied) metrics.change('wasmmatrix_agent_desired_revision', { node }, revision);
      },
      'agent.metrics': ({ node, invocationsActive, memoryBytesFree, cpuPermille }) => {
        metrics.change('wasmmatrix_agent_invocations_active', { node }, invocationsActive);
        metrics.change('wasmmatrix_agent_memory_free_bytes', { node }, memoryBytesFree);
        metrics.change('wasmmatrix_agent_cpu_ratio', { node }, cpuPermille / 1_000);
      },
      'instance.serving': ({ node, instance, epoch }) => {
        if (this.#serving.size < SERVING_MAX) this.#serving.add(`${instance} ${epoch}`);
        metrics.change('wasmmatrix_agent_instances_serving', { node }, this.#serving.size);
      },
      'instance.ended': ({ node, instance, epoch }) => {
        this.#serving.delete(`${instance} ${epoch}`);
        metrics.change('wasmmatrix_agent_instances_serving', { node }, this.#serving.size);
      },
      'artefact.fetched': ({ node, bytes }) => {
        metrics.change('wasmmatrix_artefacts_fetched_total', { node });
        metrics.change('wasmmatrix_artefacts_fetched_bytes_total', { node }, bytes);
      },
    };
  }

  #ofInvocations(): Fed {
    const metrics = this.#metrics;
    return {
      'invocation.started': ({ node, instance, trigger }) =>
        metrics.change('wasmmatrix_invocations_started_total', { node, deployment: deploymentOf(instance), trigger }),
      'invocation.finished': ({ node, instance, trigger, outcome, micros, fuel, memoryBytesPeak, hostCalls }) => {
        const deployment = deploymentOf(instance);
        const labels = { node, deployment, trigger };
        metrics.change('wasmmatrix_invocations_total', { ...labels, outcome });
        metrics.change('wasmmatrix_invocation_seconds', labels, micros / MICROS_PER_S);
        metrics.change('wasmmatrix_invocation_fuel_total', labels, fuel);
        metrics.change('wasmmatrix_invocation_memory_peak_bytes', { node, deployment }, memoryBytesPeak);
        metrics.change('wasmmatrix_invocation_host_calls_total', labels, hostCalls);
      },
    };
  }

  /** R6.4: restarts and recovery times. */
  #instance({ instance, deployment, from, to }: Readonly<RecordKinds['instance.state']>, micros: number): void {
    const metrics = this.#metrics;
    metrics.change('wasmmatrix_instance_changes_total', { deployment, state: to });
    if (to === 'stopped') this.#lost.end(instance, micros);
    // Being told of another version, or wanted again after it was scaled away, is no failure.
    if ((to === 'pending' || to === 'failed') && from !== 'stopped') this.#lost.begin(instance, micros);
    if (to === 'assigned' && this.#lost.has(instance)) metrics.change('wasmmatrix_instance_restarts_total', { deployment });
    if (to !== 'running') return;
    const tookMicros = this.#lost.end(instance, micros);
    if (tookMicros !== null) metrics.change('wasmmatrix_instance_recovery_seconds', {}, tookMicros / MICROS_PER_S);
  }
}

/** When things began, until they end. Bound: `BEGINNINGS_MAX`. */
class Beginnings {
  readonly #micros = new Map<string, number>();

  begin(id: string, micros: number): void {
    if (this.#micros.has(id)) return;
    const [oldest] = this.#micros.keys();
    if (oldest !== undefined && this.#micros.size >= BEGINNINGS_MAX) this.#micros.delete(oldest);
    this.#micros.set(id, micros);
  }

  has(id: string): boolean {
    return this.#micros.has(id);
  }

  /** Microseconds since it began; null when that is not known. */
  end(id: string, micros: number): number | null {
    const begun = this.#micros.get(id);
    this.#micros.delete(id);
    return begun === undefined ? null : Math.max(0, micros - begun);
  }
}

/** Instances are called `<deployment>/<ordinal>`. */
function deploymentOf(instance: string): string {
  const end = instance.lastIndexOf('/');
  return end === -1 ? instance : instance.slice(0, end);
}
