// Effect exactly once, read from a counter in state.
import { consumerOf } from '../../system/domain/deployment.ts';
import type { Subject, SubjectFilter } from '../../system/domain/identifiers.ts';
import { matchesSubject } from '../../system/domain/subject.ts';
import type { Scenario } from '../scenario.ts';
import { goalOf, Ledger, textOf, type Goal, type GoalParameters } from './goal.ts';
import { Identifiers } from './identifiers.ts';
import { Kept } from './kept.ts';

/**
 * The counter's value equals the number of distinct events accepted for it: effect exactly once. One effect too many is wrong for
 * good; one too few is so only where its event is settled: before, the effect may still come.
 */
export function countedOnce(parameters: GoalParameters, scenario: Scenario): Goal {
  const key = textOf(parameters, 'key');
  const subject = textOf(parameters, 'subject') as SubjectFilter;
  const ledger = new Ledger(
    'counted-once',
    `State ${key} counts every accepted event on ${subject} exactly once, however often it was delivered.`,
  );
  const triggers = scenario.steps.flatMap((step) => (step.do === 'trigger' ? [step.spec] : []));
  /** Events whose effect the state may have. */
  const accepted = new Identifiers();
  /** All of the subject, what was lost included, by the consumers that listen. Bound: sets of triggers that share a subject. */
  const ever = new Map<string, Identifiers>();
  /** Null of an event that is none of the subject's. */
  const listenersOf = (event: string): readonly string[] | null => {
    for (const [names, events] of ever) if (events.has(event)) return names === '' ? [] : names.split(' ');
    return null;
  };
  /** Triggers that have not settled an event, by event. Bound: what the broker holds. */
  const open = new Map<string, Set<string>>();
  /** Dead-lettered for a trigger: its guest may be at work all the same. */
  const buried = new Set<string>();
  /** Acknowledged for all triggers. */
  const counts = new Identifiers();
  const kept = new Kept([accepted, open, counts, buried], () => {
    counts.clear();
    // What was settled since the lie may be settled once more.
    for (const event of open.keys()) open.set(event, new Set(listenersOf(event)));
  });
  const { losses } = kept;
  /** What was under way at a loss is known without being open, until the broker is seen to have it. */
  const take = (event: string, listeners: readonly string[], isThere: boolean): void => {
    const isNew = accepted.add(event);
    const isLeft = losses.any && isThere && !open.has(event) && !counts.has(event);
    if ((isNew || isLeft) && listeners.length > 0) open.set(event, new Set(listeners));
  };
  let value: string | null = null;
  let observed = false;
  return goalOf(
    ledger,
    (record) => {
      const underWay = record.kind === 'fault.felt' ? [...open.keys(), ...buried] : [];
      // The guest of an event that only a lost broker had may go on, and its effect comes after.
      if (kept.observe(record) !== null) for (const event of underWay) accepted.add(event);
      // What is delivered or acknowledged is there: an event that was on the way to the disk when its copy was taken.
      if (losses.any && (record.kind === 'event.delivered' || record.kind === 'event.acknowledged')) {
        const listeners = listenersOf(record.fields.event);
        if (listeners !== null) take(record.fields.event, listeners, true);
      }
      if (record.kind === 'event.acknowledged' || record.kind === 'event.deadlettered') {
        const { event, consumer } = record.fields;
        const left = open.get(event);
        left?.delete(consumer);
        if (left?.size === 0) open.delete(event);
        if (record.kind === 'event.deadlettered') {
          if (listenersOf(event) !== null) buried.add(event);
        } else if (accepted.has(event) && !open.has(event) && !buried.has(event)) counts.add(event);
      }
      // An event that survived a crash before it was told of is first heard of as the duplicate of its repetition.
      if (
        (record.kind === 'event.accepted' || record.kind === 'event.duplicate') &&
        matchesSubject(subject, record.fields.subject as Subject)
      ) {
        const { event } = record.fields;
        const listening = triggers.filter((trigger) => matchesSubject(trigger.subject, record.fields.subject as Subject));
        const listeners = listening.map(({ name }) => consumerOf(name));
        const names = listeners.join(' ');
        const alike = ever.get(names) ?? new Identifiers();
        ever.set(names, alike);
        alike.add(event);
        take(event, listeners, record.kind === 'event.accepted');
      }
      if (record.kind === 'state.observed' && record.fields.key === key) {
        observed = true;
        value = record.fields.value;
      }
    },
    (end) => {
      // The counter guest writes its count as the leading decimal digits of the value.
      const counted = value === null ? 0 : Number(/\d+/.exec(value)?.[0] ?? NaN);
      ledger.expectByEnd(ever.size > 0, end, () => `No event on ${subject} was accepted.`);
      ledger.expectByEnd(observed, end, () => `State ${key} was not read at the end: name it in observeState.`);
      if (observed) {
        const told = `State ${key} says ${counted} and ${accepted.size} events were accepted`;
        const now = { source: 'testbed', micros: end.micros };
        ledger.expect(!Number.isNaN(counted), now, () => `${told}: that is no count.`);
        ledger.expect(!(counted > accepted.size), now, () => `${told}: an effect came twice.`);
        if (losses.any) {
          const due = counts.size;
          ledger.expect(!(counted < due), now, () => `${told}, of which ${due} were acknowledged and not lost: an effect is lost.`);
          return;
        }
        ledger.expect(
          !(counted < accepted.size - open.size),
          now,
          () => `${told}, of which ${open.size} are under way: an effect is lost.`,
        );
        ledger.expectByEnd(!(counted < accepted.size), end, () => `${told}, of which ${open.size} are under way at the end.`);
      }
      ledger.figures['counted'] = counted;
    },
  );
}
