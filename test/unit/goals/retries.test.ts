// R9.3 over records written by hand: deliveries are counted over restarts, and each death leaves a letter.
import { describe, expect, it } from 'vitest';
import { retries } from '../../../scenarios/goals/retries.ts';
import type { RunRecord } from '../../../scenarios/record.ts';
import { judge, S, said } from '../../support/scenarios/records.ts';
import { at, scenarioOf, triggerOf } from '../../support/scenarios/scenario.ts';

const delivery = { consumer: 'trigger-echo', event: 'e1', sequence: 7 };
const delivers = (micros: number, attempt: number, incarnation = 1): RunRecord => ({
  ...said(micros, 'event.delivered', { ...delivery, attempt, instance: 'echo/0', epoch: 1 }),
  incarnation,
});
const fails = (micros: number, attempt: number): RunRecord =>
  said(micros, 'event.retried', { ...delivery, attempt, delayMs: 100, code: 'WM_GUEST_EXIT' });
const dies = (micros: number, incarnation = 1): RunRecord => ({
  ...said(micros, 'event.deadlettered', { ...delivery, attempts: 2, code: 'WM_GUEST_EXIT' }),
  incarnation,
});
const letter = (micros: number): RunRecord =>
  said(micros, 'event.accepted', {
    event: 'dead/trigger-echo/7',
    subject: 'dead.trigger-echo',
    sequence: 8,
    bytes: 1,
    instance: null,
    epoch: null,
  });

describe('R9.3', () => {
  const scenario = scenarioOf({ steps: [{ at: at(0), do: 'trigger', spec: triggerOf({ deliveriesMax: 2 }) }] });
  const judged = (...records: readonly RunRecord[]) => judge(retries(scenario), records);

  it('holds when deliveries are counted and the last leaves a letter', () => {
    expect(judged(delivers(1 * S, 1), fails(2 * S, 1), delivers(3 * S, 2), dies(4 * S), letter(4 * S))).toMatchObject({
      held: true,
      checks: 4,
    });
  });

  it('is broken by a delivery more than is allowed', () => {
    expect(judged(delivers(1 * S, 3)).because).toBe('Event e1 is delivered to trigger-echo for the 3th time; 2 are allowed.');
  });

  it('is broken when a failure is forgotten, and not when one is told and lost before it is durable', () => {
    expect(judged(fails(1 * S, 1), fails(2 * S, 2), delivers(3 * S, 1, 2)).because).toBe(
      'Event e1 is delivered to trigger-echo as attempt 1, but attempt 2 had failed: failures were forgotten.',
    );
    expect(judged(fails(1 * S, 1), fails(2 * S, 2), delivers(3 * S, 2, 2)).held).toBe(true);
  });

  it('has not converged without the letter, unless the broker that wrote it died', () => {
    expect(judged(delivers(1 * S, 2), dies(2 * S))).toMatchObject({
      unconverged: true,
      because: 'Event e1 was dead-lettered, and its letter was never published: nobody hears of it.',
    });
    expect(judged(delivers(1 * S, 2), dies(2 * S, 2)).held).toBe(true);
  });
});
