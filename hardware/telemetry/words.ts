// How each kind of record reads in a log: its level, and one sentence. debug: what happens with every event, and what only
// testbeds say. info: the life of the fleet. warn: something was refused or lost and somebody may want to look. Pure.
import type { LogLevel, RecordKind, RecordKinds } from '../../system/domain/telemetry.ts';
import type { TelemetryRecord } from './record.ts';

type Row<K extends RecordKind> = {
  readonly level: LogLevel | ((fields: Readonly<RecordKinds[K]>) => LogLevel);
  readonly words: (fields: Readonly<RecordKinds[K]>) => string;
};

const WORDS: { readonly [K in RecordKind]: Row<K> } = {
  log: { level: (f) => f.level, words: (f) => f.message },

  'controller.started': { level: 'info', words: (f) => `The controller leads in term ${f.term}; it recovered ${f.entries} entries.` },
  'controller.stopped': { level: (f) => (f.cause === 'stop' ? 'info' : 'error'), words: (f) => `The controller ended: ${f.cause}.` },
  'node.enrolled': {
    level: 'info',
    words: (f) => `Node ${f.node} enrolled (incarnation ${f.incarnation}): ${f.architecture}, ${f.cores} cores, zone ${f.zone}.`,
  },
  'node.moved': { level: 'debug', words: (f) => `Node ${f.node} moved to ${f.latitude}, ${f.longitude}.` },
  'node.status': {
    level: (f) => (f.to === 'suspect' || f.to === 'unavailable' ? 'warn' : 'info'),
    words: (f) => `Node ${f.node} is ${f.to}, it was ${f.from}: ${f.cause}.`,
  },
  'trust.added': { level: 'info', words: (f) => `Modules signed with ${f.key} are trusted from now on.` },
  'trust.revoked': { level: 'warn', words: (f) => `Modules signed with ${f.key} are not trusted any more.` },
  'module.stored': { level: 'info', words: (f) => `Module ${f.module} version ${f.version} is stored, signed with ${f.key}.` },
  'module.refused': { level: 'warn', words: (f) => `Module ${f.module} was refused: ${f.code}.` },
  'artefact.signed': { level: 'info', words: (f) => `Module ${f.module} version ${f.version} is compiled and signed for ${f.profile}.` },
  'deployment.applied': {
    level: 'info',
    words: (f) => `Deployment ${f.deployment} is to run ${f.replicas} of ${f.module} version ${f.version} (revision ${f.revision}).`,
  },
  'deployment.deleted': { level: 'info', words: (f) => `Deployment ${f.deployment} was deleted.` },
  'trigger.applied': { level: 'info', words: (f) => `Trigger ${f.trigger} binds ${f.subject} to ${f.deployment}.` },
  'rollback.accepted': { level: 'info', words: (f) => `Deployment ${f.deployment} goes back from version ${f.from} to ${f.to}.` },
  'rollback.issued': {
    level: 'info',
    words: (f) => `The rollback of ${f.deployment} to version ${f.version} has left for ${f.nodes} nodes after ${f.micros} us.`,
  },
  'placement.decided': {
    level: 'info',
    words: (f) => `${f.instance} goes to ${f.node} (score ${f.score}, ${f.feasible} feasible): ${f.why}.`,
  },
  'placement.refused': { level: 'warn', words: (f) => `${f.instance} finds no node: ${f.why}.` },
  'instance.state': {
    level: (f) => (f.to === 'failed' ? 'warn' : 'info'),
    words: (f) => `${f.instance} is ${f.to}, it was ${f.from}${f.node === null ? '' : `, on ${f.node}`} (epoch ${f.epoch}): ${f.cause}.`,
  },
  'command.accepted': { level: 'debug', words: (f) => `Command ${f.command} (${f.id}) was accepted as record ${f.sequence}.` },
  'command.refused': { level: 'warn', words: (f) => `Command ${f.command} (${f.id}) was refused: ${f.code}.` },
  'command.acknowledged': { level: 'info', words: (f) => `Command ${f.command} (${f.id}) is done and durable after ${f.micros} us.` },
  'security.refused': { level: 'warn', words: (f) => `${f.node} was refused (${f.subject}): ${f.code}: ${f.message}` },

  'agent.started': { level: 'info', words: (f) => `The agent of ${f.node} started, version ${f.version}.` },
  'agent.session': {
    level: (f) => (f.state === 'lost' ? 'warn' : 'info'),
    words: (f) => `The session with the controller is ${f.state} (attempt ${f.attempt})${f.cause === '' ? '' : `: ${f.cause}`}.`,
  },
  'agent.lease': {
    level: (f) => (f.state === 'lapsed' ? 'warn' : 'info'),
    words: (f) => (f.state === 'held' ? `${f.node} holds its lease.` : `The lease of ${f.node} lapsed: movable work stands still.`),
  },
  'agent.desired': {
    level: (f) => (f.applied ? 'info' : 'warn'),
    words: (f) =>
      `Desired state ${f.term}.${f.revision} with ${f.assignments} assignments was ${f.applied ? 'applied' : 'passed over, because it is old'}.`,
  },
  'agent.metrics': plain('debug'),
  'artefact.fetched': { level: 'info', words: (f) => `Artefact ${f.artefact} was fetched, ${f.bytes} bytes.` },
  'artefact.loaded': { level: 'info', words: (f) => `Module ${f.module} version ${f.version} is verified and loaded.` },
  'artefact.refused': { level: 'warn', words: (f) => `The artefact of ${f.module} version ${f.version} was refused: ${f.code}.` },
  'instance.serving': { level: 'info', words: (f) => `${f.instance} serves version ${f.version} (epoch ${f.epoch}).` },
  'instance.ended': { level: 'info', words: (f) => `${f.instance} serves no more (epoch ${f.epoch}): ${f.cause}.` },
  'invocation.started': plain('debug'),
  'invocation.finished': plain('debug'),
  'invocation.idle': plain('debug'),
  'capability.refused': {
    level: 'warn',
    words: (f) => `${f.instance} tried ${f.operation}, and no capability of ${f.module} covers it (${f.capability}).`,
  },

  'event.accepted': plain('debug'),
  'event.refused': plain('debug'),
  'event.duplicate': plain('debug'),
  'event.delivered': plain('debug'),
  'event.acknowledged': plain('debug'),
  'event.retried': plain('debug'),
  'event.deadlettered': {
    level: 'warn',
    words: (f) => `Event ${f.event} was given up by ${f.consumer} after ${f.attempts} deliveries: ${f.code}.`,
  },
  'effect.fenced': {
    level: 'warn',
    words: (f) => `${f.what} by ${f.instance} in epoch ${f.epoch} was refused: it is in epoch ${f.current}.`,
  },
  'fence.raised': plain('debug'),
  'consumer.created': { level: 'info', words: (f) => `Consumer ${f.consumer} receives ${f.filter} from event ${f.next} on.` },
  'queue.depth': {
    level: (f) => (f.depth * 2 > f.bound ? 'warn' : 'debug'),
    words: (f) => `Queue ${f.queue} holds ${f.depth} of at most ${f.bound} events.`,
  },
  'state.written': plain('debug'),

  'gateway.session': {
    level: (f) => (f.state === 'lost' ? 'warn' : 'info'),
    words: (f) => `The gateway ${f.gateway} ${f.state === 'lost' ? 'is not connected to' : 'is connected to'} ${f.broker}: ${f.cause}`,
  },
  'gateway.refused': {
    level: 'warn',
    words: (f) =>
      `The gateway ${f.gateway} refused ${f.direction === 'in' ? 'a message' : `the event ${f.event}`} (topic ${f.topic}): ${f.message}`,
  },

  'run.started': plain('debug'),
  'run.phase': plain('debug'),
  'machine.started': plain('debug'),
  'machine.stopped': plain('debug'),
  'machine.paused': plain('debug'),
  'machine.resumed': plain('debug'),
  'machine.throttled': plain('debug'),
  'vehicle.moved': plain('debug'),
  'vehicle.attached': plain('debug'),
  'fault.begun': plain('debug'),
  'fault.felt': plain('debug'),
  'fault.ended': plain('debug'),
  'forgery.made': plain('debug'),
  'guests.modelled': plain('debug'),
  'workload.published': plain('debug'),
  'workload.result': plain('debug'),
  'operator.commanded': plain('debug'),
  'operator.answered': plain('debug'),
  'state.observed': plain('debug'),
  'inventory.observed': plain('debug'),
  'module.observed': plain('debug'),
  'instance.observed': plain('debug'),
};

/** What happens too often, or is said too seldom, to have a sentence of its own: its fields by name. */
function plain(level: LogLevel): { readonly level: LogLevel; readonly words: (fields: object) => string } {
  return {
    level,
    words: (fields) =>
      Object.entries(fields)
        .map(([name, value]) => `${name} ${value}`)
        .join(', '),
  };
}

export function levelOf({ kind, fields }: TelemetryRecord): LogLevel {
  const { level } = WORDS[kind] as unknown as Row<'log'>;
  return typeof level === 'string' ? level : level(fields as RecordKinds['log']);
}

export function wordsOf({ kind, fields }: TelemetryRecord): string {
  return (WORDS[kind] as unknown as Row<'log'>).words(fields as RecordKinds['log']);
}
