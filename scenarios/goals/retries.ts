// R9.3: what becomes of a delivery that failed. Attempts are counted over restarts of the broker, and the last one leaves a letter.
import { consumerOf } from '../../system/domain/deployment.ts';
import { DEAD_LETTER_PREFIX } from '../../system/domain/event.ts';
import type { Scenario } from '../scenario.ts';
import { Kept } from './kept.ts';
import { goalOf, Ledger, type Goal } from './goal.ts';

export function retries(scenario: Scenario): Goal {
  const ledger = new Ledger(
    'R9.3',
    'An event is delivered at most as often as its trigger allows, counted over restarts of the broker, and the last failure leaves a dead letter.',
  );
  /** A trigger that is applied again is held to the wider of its limits: which of them an event met is not on record. */
  const deliveriesMax = new Map<string, number>();
  for (const step of scenario.steps) {
    if (step.do !== 'trigger') continue;
    const consumer = consumerOf(step.spec.name);
    deliveriesMax.set(consumer, Math.max(step.spec.deliveriesMax, deliveriesMax.get(consumer) ?? 0));
  }
  /** The last failed attempt that was told, by `consumer event`. */
  const failures = new Map<string, number>();
  /** Under which incarnation of the broker it was delivered last, by `consumer event`. */
  const delivered = new Map<string, number>();
  /** Dead-lettered events without their letter, by the letter's identifier. */
  const due = new Map<string, string>();
  const kept = new Kept([failures]);
  return goalOf(
    ledger,
    (record) => {
      // A broker counts on from what its journal has.
      if (kept.observe(record) !== null) for (const known of [delivered, due]) known.clear();
      switch (record.kind) {
        case 'event.delivered': {
          const { consumer, event, attempt } = record.fields;
          const most = deliveriesMax.get(consumer);
          if (most === undefined) break;
          const key = `${consumer} ${event}`;
          delivered.set(key, record.incarnation);
          ledger.expect(
            attempt <= most,
            record,
            () => `Event ${event} is delivered to ${consumer} for the ${attempt}th time; ${most} are allowed.`,
          );
          // A failure may be told, and then be lost in a crash before it is durable: the same attempt once more, and none before it.
          const failed = failures.get(key) ?? 0;
          ledger.expect(
            attempt >= failed,
            record,
            () =>
              `Event ${event} is delivered to ${consumer} as attempt ${attempt}, but attempt ${failed} had failed: failures were forgotten.`,
          );
          break;
        }
        case 'event.retried':
          failures.set(`${record.fields.consumer} ${record.fields.event}`, record.fields.attempt);
          break;
        case 'event.acknowledged': {
          const key = `${record.fields.consumer} ${record.fields.event}`;
          failures.delete(key);
          delivered.delete(key);
          break;
        }
        case 'event.deadlettered': {
          const { consumer, event, sequence } = record.fields;
          if (!deliveriesMax.has(consumer)) break;
          failures.delete(`${consumer} ${event}`);
          // A broker that starts again tells of a death that it may not have told; of the letter it says nothing more.
          if (delivered.get(`${consumer} ${event}`) === record.incarnation) due.set(`${DEAD_LETTER_PREFIX}/${consumer}/${sequence}`, event);
          break;
        }
        case 'event.accepted':
          due.delete(record.fields.event);
          break;
        default:
      }
    },
    (end) => {
      for (const event of due.values())
        ledger.expectByEnd(false, end, () => `Event ${event} was dead-lettered, and its letter was never published: nobody hears of it.`);
    },
  );
}
