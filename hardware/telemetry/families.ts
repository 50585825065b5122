// The metrics there are, as data: docs/reference/metrics.md is tested equal to it. Names carry their unit as Prometheus wants
// it (seconds, bytes, ratio, `_total` for what only grows). No label ever holds an identifier of an event, a command or a digest.

/** A process offers the families of what it is. */
export type Role = 'controller' | 'agent';

export type Family = {
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly help: string;
  readonly labels: readonly string[];
  /** Upper ends, in the unit of the name; histograms only. */
  readonly buckets?: readonly number[];
  readonly of: readonly Role[];
  /** Where the figure comes from: kinds of records, `census` (counted by the controller at each scrape) or `telemetry` itself. */
  readonly from: string;
};

/** From a tenth of a millisecond to a minute. */
const SECONDS = [0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];
const BYTES = [65_536, 262_144, 1_048_576, 4_194_304, 16_777_216, 67_108_864, 268_435_456, 1_073_741_824];

const CONTROLLER: readonly Role[] = ['controller'];
const AGENT: readonly Role[] = ['agent'];
const BOTH: readonly Role[] = ['controller', 'agent'];

export const FAMILIES = {
  // what there is, counted at each scrape
  wasmmatrix_leader: { type: 'gauge', help: '1 while this controller leads, otherwise 0.', labels: [], of: CONTROLLER, from: 'census' },
  wasmmatrix_leader_term: {
    type: 'gauge',
    help: 'Term of this controller; 0 before it leads.',
    labels: [],
    of: CONTROLLER,
    from: 'census',
  },
  wasmmatrix_nodes: { type: 'gauge', help: 'Nodes by status.', labels: ['status'], of: CONTROLLER, from: 'census' },
  wasmmatrix_agent_sessions: { type: 'gauge', help: 'Agents with an open session.', labels: [], of: CONTROLLER, from: 'census' },
  wasmmatrix_deployment_replicas: {
    type: 'gauge',
    help: 'Instances that a deployment is to have.',
    labels: ['deployment'],
    of: CONTROLLER,
    from: 'census',
  },
  wasmmatrix_instances: {
    type: 'gauge',
    help: 'Instances by deployment and state.',
    labels: ['deployment', 'state'],
    of: CONTROLLER,
    from: 'census',
  },
  wasmmatrix_journal_sequence: {
    type: 'gauge',
    help: "Last record of the controller's journal that is on disk.",
    labels: [],
    of: CONTROLLER,
    from: 'census',
  },
  wasmmatrix_queue_depth: {
    type: 'gauge',
    help: 'Events that are stored and not yet handled by every consumer.',
    labels: ['queue'],
    of: CONTROLLER,
    from: 'census',
  },
  wasmmatrix_queue_depth_max: {
    type: 'gauge',
    help: 'Bound of the queue: beyond it events are refused.',
    labels: ['queue'],
    of: CONTROLLER,
    from: 'census',
  },

  // nodes and placement
  wasmmatrix_nodes_enrolled_total: {
    type: 'counter',
    help: 'Enrolments, also of nodes that came back.',
    labels: [],
    of: CONTROLLER,
    from: 'node.enrolled',
  },
  wasmmatrix_node_status_changes_total: {
    type: 'counter',
    help: 'Changes of status of nodes, by the new status.',
    labels: ['node', 'status'],
    of: CONTROLLER,
    from: 'node.status',
  },
  wasmmatrix_placements_total: {
    type: 'counter',
    help: 'Instances that were given a node, by deployment and node.',
    labels: ['deployment', 'node'],
    of: CONTROLLER,
    from: 'placement.decided',
  },
  wasmmatrix_placements_refused_total: {
    type: 'counter',
    help: 'Attempts to place an instance that found no node, by deployment.',
    labels: ['deployment'],
    of: CONTROLLER,
    from: 'placement.refused',
  },
  wasmmatrix_instance_changes_total: {
    type: 'counter',
    help: 'Changes of state of instances, by the new state.',
    labels: ['deployment', 'state'],
    of: CONTROLLER,
    from: 'instance.state',
  },
  wasmmatrix_instance_restarts_total: {
    type: 'counter',
    help: 'Instances that were sent to a node again after they failed or were given up: a failure, a drain, the loss of their node.',
    labels: ['deployment'],
    of: CONTROLLER,
    from: 'instance.state',
  },
  wasmmatrix_instance_recovery_seconds: {
    type: 'histogram',
    help: 'From the moment an instance failed or was given up until it ran again.',
    labels: [],
    buckets: SECONDS,
    of: CONTROLLER,
    from: 'instance.state',
  },
  wasmmatrix_rollbacks_total: {
    type: 'counter',
    help: 'Rollbacks that were accepted, by deployment.',
    labels: ['deployment'],
    of: CONTROLLER,
    from: 'rollback.accepted',
  },
  wasmmatrix_rollback_seconds: {
    type: 'histogram',
    help: 'From the acceptance of a rollback until the commands for every affected node have left.',
    labels: [],
    buckets: SECONDS,
    of: CONTROLLER,
    from: 'rollback.issued',
  },

  // commands and modules
  wasmmatrix_commands_total: {
    type: 'counter',
    help: 'Commands of operators that were accepted.',
    labels: ['command'],
    of: CONTROLLER,
    from: 'command.accepted',
  },
  wasmmatrix_commands_refused_total: {
    type: 'counter',
    help: 'Commands of operators that were refused, by code.',
    labels: ['command', 'code'],
    of: CONTROLLER,
    from: 'command.refused',
  },
  wasmmatrix_command_seconds: {
    type: 'histogram',
    help: 'From the receipt of a command until it is on disk and the answer leaves.',
    labels: ['command'],
    buckets: SECONDS,
    of: CONTROLLER,
    from: 'command.acknowledged',
  },
  wasmmatrix_modules_stored_total: {
    type: 'counter',
    help: 'Versions of modules that were stored.',
    labels: [],
    of: CONTROLLER,
    from: 'module.stored',
  },
  wasmmatrix_artefacts_signed_total: {
    type: 'counter',
    help: 'Artefacts that were compiled and signed, by profile.',
    labels: ['profile'],
    of: CONTROLLER,
    from: 'artefact.signed',
  },

  // events
  wasmmatrix_events_accepted_total: {
    type: 'counter',
    help: 'Events that were stored, results and dead letters among them.',
    labels: [],
    of: CONTROLLER,
    from: 'event.accepted',
  },
  wasmmatrix_events_accepted_bytes_total: {
    type: 'counter',
    help: 'Data of the events that were stored.',
    labels: [],
    of: CONTROLLER,
    from: 'event.accepted',
  },
  wasmmatrix_events_refused_total: {
    type: 'counter',
    help: 'Events that were refused, by code.',
    labels: ['code'],
    of: CONTROLLER,
    from: 'event.refused',
  },
  wasmmatrix_events_duplicate_total: {
    type: 'counter',
    help: 'Events that were published again under an identifier that is stored already, and therefore not stored twice.',
    labels: [],
    of: CONTROLLER,
    from: 'event.duplicate',
  },
  wasmmatrix_events_delivered_total: {
    type: 'counter',
    help: 'Deliveries to consumers, repetitions among them.',
    labels: ['consumer'],
    of: CONTROLLER,
    from: 'event.delivered',
  },
  wasmmatrix_events_acknowledged_total: {
    type: 'counter',
    help: 'Events that a consumer has handled.',
    labels: ['consumer'],
    of: CONTROLLER,
    from: 'event.acknowledged',
  },
  wasmmatrix_events_retried_total: {
    type: 'counter',
    help: 'Deliveries that failed and are tried again, by the code of the failure.',
    labels: ['consumer', 'code'],
    of: CONTROLLER,
    from: 'event.retried',
  },
  wasmmatrix_events_deadlettered_total: {
    type: 'counter',
    help: 'Events that were given up after their last delivery, by the code of the last failure.',
    labels: ['consumer', 'code'],
    of: CONTROLLER,
    from: 'event.deadlettered',
  },
  wasmmatrix_state_writes_total: {
    type: 'counter',
    help: 'Writes to the state store.',
    labels: [],
    of: CONTROLLER,
    from: 'state.written',
  },

  // refusals
  wasmmatrix_refusals_total: {
    type: 'counter',
    help: 'What was refused for the sake of safety, by code: sessions, calls of peers that may not make them or that are no message, modules, artefacts, capabilities, effects of superseded epochs.',
    labels: ['what', 'code'],
    of: BOTH,
    from: 'security.refused, module.refused, artefact.refused, capability.refused, effect.fenced',
  },

  // the node
  wasmmatrix_agent_session_connected: {
    type: 'gauge',
    help: '1 while the agent has a session with the controller, otherwise 0.',
    labels: ['node'],
    of: AGENT,
    from: 'agent.session',
  },
  wasmmatrix_agent_sessions_lost_total: {
    type: 'counter',
    help: 'Sessions with the controller that ended.',
    labels: ['node'],
    of: AGENT,
    from: 'agent.session',
  },
  wasmmatrix_agent_lease_held: {
    type: 'gauge',
    help: '1 while the agent holds its lease, otherwise 0: movable work stands still.',
    labels: ['node'],
    of: AGENT,
    from: 'agent.lease',
  },
  wasmmatrix_agent_leases_lapsed_total: {
    type: 'counter',
    help: 'Leases that lapsed because the controller could not be reached.',
    labels: ['node'],
    of: AGENT,
    from: 'agent.lease',
  },
  wasmmatrix_agent_instances_serving: {
    type: 'gauge',
    help: 'Instances that this agent serves.',
    labels: ['node'],
    of: AGENT,
    from: 'instance.serving, instance.ended',
  },
  wasmmatrix_agent_desired_revision: {
    type: 'gauge',
    help: 'Revision of the desired state that the agent applied last.',
    labels: ['node'],
    of: AGENT,
    from: 'agent.desired',
  },
  wasmmatrix_agent_invocations_active: {
    type: 'gauge',
    help: 'Invocations that run, as of the end of the last period of five seconds; a node at rest has none.',
    labels: ['node'],
    of: AGENT,
    from: 'agent.metrics',
  },
  wasmmatrix_agent_memory_free_bytes: {
    type: 'gauge',
    help: 'Memory for guests that is not promised to a running one, as of the end of the last period.',
    labels: ['node'],
    of: AGENT,
    from: 'agent.metrics',
  },
  wasmmatrix_agent_cpu_ratio: {
    type: 'gauge',
    help: "Share of the node's cores that guests used in the last period, from 0 to 1. Periods begin with work and end with rest.",
    labels: ['node'],
    of: AGENT,
    from: 'agent.metrics',
  },
  wasmmatrix_invocations_started_total: {
    type: 'counter',
    help: 'Invocations that began.',
    labels: ['node', 'deployment', 'trigger'],
    of: AGENT,
    from: 'invocation.started',
  },
  wasmmatrix_invocations_total: {
    type: 'counter',
    help: 'Invocations that ended; the outcome is completed or the code of what went wrong.',
    labels: ['node', 'deployment', 'trigger', 'outcome'],
    of: AGENT,
    from: 'invocation.finished',
  },
  wasmmatrix_invocation_seconds: {
    type: 'histogram',
    help: 'Duration of invocations.',
    labels: ['node', 'deployment', 'trigger'],
    buckets: SECONDS,
    of: AGENT,
    from: 'invocation.finished',
  },
  wasmmatrix_invocation_fuel_total: {
    type: 'counter',
    help: 'Fuel that guests used.',
    labels: ['node', 'deployment', 'trigger'],
    of: AGENT,
    from: 'invocation.finished',
  },
  wasmmatrix_invocation_memory_peak_bytes: {
    type: 'histogram',
    help: 'Largest memory of a guest during an invocation.',
    labels: ['node', 'deployment'],
    buckets: BYTES,
    of: AGENT,
    from: 'invocation.finished',
  },
  wasmmatrix_invocation_host_calls_total: {
    type: 'counter',
    help: 'Calls of guests to the platform.',
    labels: ['node', 'deployment', 'trigger'],
    of: AGENT,
    from: 'invocation.finished',
  },
  wasmmatrix_artefacts_fetched_total: {
    type: 'counter',
    help: 'Artefacts that were fetched from the controller.',
    labels: ['node'],
    of: AGENT,
    from: 'artefact.fetched',
  },
  wasmmatrix_artefacts_fetched_bytes_total: {
    type: 'counter',
    help: 'Bytes of the artefacts that were fetched from the controller.',
    labels: ['node'],
    of: AGENT,
    from: 'artefact.fetched',
  },

  // telemetry itself
  wasmmatrix_log_messages_total: {
    type: 'counter',
    help: 'What the process had to say in words, by level; written or not.',
    labels: ['level'],
    of: BOTH,
    from: 'log',
  },
  wasmmatrix_log_lines_dropped_total: {
    type: 'counter',
    help: 'Log lines that were dropped because whoever reads the log was too slow.',
    labels: [],
    of: BOTH,
    from: 'telemetry',
  },
  wasmmatrix_records_lost_total: {
    type: 'counter',
    help: 'Records that could not be written to the record file.',
    labels: [],
    of: BOTH,
    from: 'telemetry',
  },
  wasmmatrix_telemetry_faults_total: {
    type: 'counter',
    help: 'Records that a destination failed to take, by destination.',
    labels: ['destination'],
    of: BOTH,
    from: 'telemetry',
  },
} as const satisfies Record<`wasmmatrix_${string}`, Family>;

export type FamilyName = keyof typeof FAMILIES;
export type LabelOf<N extends FamilyName> = (typeof FAMILIES)[N]['labels'][number];
