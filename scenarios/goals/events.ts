// P11 and fencing: every accepted event is processed or dead-lettered with a reason, nothing is acknowledged before its
// guest ran, nothing stale has an effect, and no instance exists while there is nothing to do.
import { consumerOf } from '../../system/domain/deployment.ts';
import { matchesSubject } from '../../system/domain/subject.ts';
import type { Subject, SubjectFilter } from '../../system/domain/identifiers.ts';
import type { RunRecord } from '../record.ts';
import type { Scenario } from '../scenario.ts';
import { Commits } from './commits.ts';
import { deploymentOf } from './in-force.ts';
import { describeSlack, goalOf, Ledger, type Goal } from './goal.ts';
import { Identifiers } from './identifiers.ts';
import { Kept, ServedLast } from './kept.ts';
import { REPEATED_PREFIX } from './repetitions.ts';

const MICROS_PER_MS = 1_000;

type ConsumerWatch = { readonly trigger: string; readonly filter: SubjectFilter; readonly from: number; readonly micros: number };

/** P11: every accepted event is processed at least once or dead-lettered with a reason; no instance while idle. */
export function onDemandEvents(scenario: Scenario): Goal {
  const ledger = new Ledger(
    'P11',
    'Every accepted event is processed at least once or dead-lettered with a reason, never acknowledged before its guest ran, retried within the limits, and no guest exists while idle.',
  );
  const triggers = new Map<string, { readonly trigger: string; readonly backoffMsMax: number }>();
  for (const step of scenario.steps) {
    if (step.do === 'trigger') triggers.set(consumerOf(step.spec.name), { trigger: step.spec.name, backoffMsMax: step.spec.backoffMsMax });
  }
  const consumers = new Map<string, ConsumerWatch>();
  /** Accepted and neither acknowledged nor dead-lettered, by `consumer event`. */
  const open = new Map<string, { readonly event: string; readonly consumer: string; readonly micros: number }>();
  const completed = new Identifiers();
  const accepted = new Identifiers();
  let acceptedEver = 0;
  /** Of these, those that are known by their duplicate only, with their sequence. */
  const untold = new Map<string, number>();
  /** Acknowledged or dead-lettered at least once. */
  const settled = new Identifiers();
  const running = new Map<string, { readonly node: string; readonly what: string }>();

  const hold = ({ event, subject, sequence }: { event: string; subject: string; sequence: number }, micros: number): void => {
    for (const [name, consumer] of consumers) {
      if (sequence >= consumer.from && matchesSubject(consumer.filter, subject as Subject))
        open.set(`${name} ${event}`, { event, consumer: name, micros });
    }
  };
  // What was accepted up to the lie is owed; what came after it may be lost, and accepted once more.
  const kept = new Kept([open, consumers, accepted, untold, settled], (since) => {
    for (const [key, { micros }] of open) if (micros > since) open.delete(key);
    for (const [name, { micros }] of consumers) if (micros > since) consumers.delete(name);
    accepted.clear();
    untold.clear();
  });
  const settle = (record: Extract<RunRecord, { kind: 'event.acknowledged' }>): void => {
    const { consumer, event, instance } = record.fields;
    settled.add(event);
    open.delete(`${consumer} ${event}`);
    const trigger = triggers.get(consumer);
    if (trigger === undefined) return;
    ledger.expect(
      completed.has(`${trigger.trigger} ${event}`),
      record,
      () =>
        `Event ${event} was acknowledged for trigger ${trigger.trigger} by ${instance ?? 'nobody'}, but no guest had finished it: it was acknowledged before the guest ran.`,
    );
  };

  return goalOf(
    ledger,
    (record) => {
      kept.observe(record);
      switch (record.kind) {
        case 'consumer.created': {
          const trigger = triggers.get(record.fields.consumer);
          if (trigger !== undefined && !consumers.has(record.fields.consumer)) {
            consumers.set(record.fields.consumer, {
              trigger: trigger.trigger,
              filter: record.fields.filter as SubjectFilter,
              from: record.fields.next,
              micros: record.micros,
            });
          }
          break;
        }
        case 'event.accepted': {
          const { event, sequence } = record.fields;
          const isNew = accepted.add(event);
          if (isNew) acceptedEver += 1;
          ledger.expect(
            // A repetition that comes while the first is being written is told of before it.
            isNew || untold.get(event) === sequence,
            record,
            () => `Event ${event} was accepted twice: the duplicate was not recognised, so its effect doubled.`,
          );
          untold.delete(event);
          if (isNew) hold(record.fields, record.micros);
          break;
        }
        // An event that survived a crash before it was told of is first heard of as the duplicate of its repetition.
        case 'event.duplicate': {
          const { event, sequence } = record.fields;
          if (accepted.has(event) || settled.has(event)) break;
          accepted.add(event);
          acceptedEver += 1;
          untold.set(event, sequence);
          hold(record.fields, record.micros);
          break;
        }
        case 'event.acknowledged':
          settle(record);
          break;
        case 'event.deadlettered':
          ledger.expect(record.fields.code !== '', record, () => `Event ${record.fields.event} was dead-lettered without a reason.`);
          settled.add(record.fields.event);
          open.delete(`${record.fields.consumer} ${record.fields.event}`);
          break;
        case 'event.retried': {
          const trigger = triggers.get(record.fields.consumer);
          if (trigger === undefined) break;
          ledger.expect(
            record.fields.delayMs <= trigger.backoffMsMax,
            record,
            () =>
              `Event ${record.fields.event} is delivered again after ${record.fields.delayMs} ms; the largest backoff is ${trigger.backoffMsMax} ms.`,
          );
          break;
        }
        case 'invocation.started': {
          const { node, instance, event, trigger } = record.fields;
          running.set(`${node} ${instance} ${trigger} ${event}`, { node, what: `${instance} with event ${event}` });
          break;
        }
        case 'invocation.finished': {
          const { node, instance, event, trigger, outcome } = record.fields;
          running.delete(`${node} ${instance} ${trigger} ${event}`);
          if (outcome === 'completed') completed.add(`${trigger} ${event}`);
          break;
        }
        case 'machine.stopped':
          for (const [key, guest] of running) if (guest.node === record.fields.machine) running.delete(key);
          break;
        default:
      }
    },
    (end) => {
      for (const left of open.values()) {
        ledger.expectByEnd(
          false,
          end,
          () =>
            `Event ${left.event} was accepted and neither processed nor dead-lettered for ${left.consumer} by the end: it is lost or stuck.`,
        );
      }
      for (const guest of running.values()) {
        ledger.expectByEnd(
          false,
          end,
          () => `A guest of ${guest.what} on ${guest.node} still exists at the end, with nothing left to do.`,
          guest.node,
        );
      }
      ledger.checks += acceptedEver;
      ledger.figures['accepted'] = acceptedEver;
    },
  );
}

/** R1.3: an effect of a superseded placement is refused, and superseded placements start nothing. */
export function fencing(scenario: Scenario, slackMicros = 0): Goal {
  const ledger = new Ledger(
    'R1.3',
    `Once an instance is served elsewhere, its former placement starts nothing and has no effect${describeSlack(slackMicros)}.`,
  );
  const movable = new Set<string>();
  for (const step of scenario.steps) if (step.do === 'deploy' && step.spec.whenUnreachable === 'move') movable.add(step.spec.name);
  // One that stays at any time is held to nothing: when it was changed is not on record.
  for (const step of scenario.steps) if (step.do === 'deploy' && step.spec.whenUnreachable === 'stay') movable.delete(step.spec.name);
  const fence = new Map<string, { readonly epoch: number; readonly since: number }>();
  const raise = (instance: string, epoch: number, since: number): void => {
    if (epoch > (fence.get(instance)?.epoch ?? 0)) fence.set(instance, { epoch, since });
  };
  /** What was admitted before the fence may become durable, and be told, so much after it. */
  const commits = new Commits(scenario);
  // A new process fences what it has in its journal when it starts.
  const kept = new Kept([fence]);
  const servedLast = new ServedLast();
  /** Nodes that were ever given up, and when they were last taken back. */
  const gone = new Set<string>();
  const back = new Map<string, number>();
  /** Machines whose agent runs under a lease that it takes to hold, and since when. One that is off or frozen runs nothing. */
  const holding = new Map<string, number>();
  /** Frozen ones that held a lease before. */
  const frozen = new Set<string>();
  /** Nodes that were given up although their agents held a lease, and when. */
  const early = new Map<string, number>();
  const checkLeases = (record: RunRecord): void => {
    for (const [node, micros] of early) {
      if (record.micros <= micros + slackMicros) continue;
      early.delete(node);
      ledger.expect(
        false,
        record,
        () => `Node ${node} was given up while its agent held its lease: a lease must lapse before, or the same work runs twice.`,
        node,
      );
    }
  };
  /**
   * Work is taken from a node that answers as soon as it is planned, so that nothing pauses: what it was handed before, it may
   * start until the word reaches it, or its lease lapses. A node that was given up has stopped before.
   */
  const mayNotKnow = (node: string, instance: string, micros: number): boolean => {
    const since = fence.get(instance)?.since ?? 0;
    const wasGone = gone.has(node) && (back.get(node) ?? micros) >= since;
    return !wasGone && micros - since <= scenario.platform.leaseMs * MICROS_PER_MS + slackMicros;
  };
  const effect = (record: RunRecord, what: string, instance: string | null, epoch: number | null): void => {
    if (instance === null || epoch === null) return;
    const current = fence.get(instance);
    ledger.expect(
      current === undefined || epoch >= current.epoch || record.micros - current.since <= commits.microsFor(current.since) + slackMicros,
      record,
      () =>
        `${what} of instance ${instance} in epoch ${epoch} took effect although the instance was placed elsewhere (epoch ${current?.epoch}): the fence did not hold.`,
    );
  };
  return goalOf(ledger, (record) => {
    checkLeases(record);
    commits.observe(record);
    servedLast.observe(record);
    // Who is given up by a copy may work on under a lease of after it.
    if (kept.observe(record) !== null) for (const known of [gone, back]) known.clear();
    switch (record.kind) {
      case 'agent.lease': {
        const { node, state } = record.fields;
        frozen.delete(node);
        if (state === 'held') holding.set(node, record.micros);
        else {
          holding.delete(node);
          early.delete(node);
        }
        break;
      }
      case 'machine.stopped':
      case 'machine.paused': {
        const { machine } = record.fields;
        if (record.kind === 'machine.stopped') frozen.delete(machine);
        else if (holding.has(machine)) frozen.add(machine);
        holding.delete(machine);
        early.delete(machine);
        break;
      }
      // A lease is told when it is got and when it lapses, not when it is renewed: the one from before is over after its time.
      case 'machine.resumed':
        if (frozen.delete(record.fields.machine))
          holding.set(record.fields.machine, record.micros + scenario.platform.leaseMs * MICROS_PER_MS);
        break;
      case 'fence.raised':
        raise(record.fields.instance, record.fields.epoch, record.micros);
        break;
      case 'instance.state': {
        // The controller's word counts as well, so that a broker that was never told is found out.
        const { instance, to, epoch } = record.fields;
        if (to === 'running') raise(instance, epoch, record.micros);
        break;
      }
      case 'node.status': {
        const { node, from, to } = record.fields;
        if (to === 'unavailable') {
          gone.add(node);
          back.delete(node);
          ledger.checks += 1;
          // What a copy of before a loss repeats was decided then.
          const isOld = kept.losses.any && record.correlation?.startsWith(REPEATED_PREFIX) === true;
          if (!isOld && (holding.get(node) ?? Infinity) <= record.micros) early.set(node, record.micros);
        } else if (from === 'unavailable') back.set(node, record.micros);
        break;
      }
      case 'invocation.started': {
        const { instance, epoch, node, event } = record.fields;
        const current = servedLast.of(instance);
        if (current === undefined || !movable.has(deploymentOf(instance))) break;
        ledger.expect(
          epoch >= current.epoch || node === current.node || mayNotKnow(node, instance, record.micros),
          record,
          () =>
            `Node ${node} started event ${event} for instance ${instance} in epoch ${epoch} although ${current.node} serves it in epoch ${current.epoch}: a stale instance works on.`,
          node,
        );
        break;
      }
      case 'event.accepted':
        effect(record, `Event ${record.fields.event}`, record.fields.instance, record.fields.epoch);
        break;
      case 'event.acknowledged':
        effect(record, `The acknowledgement of event ${record.fields.event}`, record.fields.instance, record.fields.epoch);
        break;
      case 'state.written':
        effect(record, `The write of ${record.fields.key}`, record.fields.instance, record.fields.epoch);
        break;
      case 'effect.fenced':
        ledger.checks += 1;
        break;
      default:
    }
  });
}
