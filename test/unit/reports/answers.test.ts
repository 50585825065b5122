import { describe, expect, test } from 'vitest';
import { Answers, ANSWERS_MAX, PENDING_MAX } from '../../../reports/answers.ts';

describe('answers', () => {
  test('are timed from acceptance to the first acknowledgement', () => {
    const answers = new Answers();
    answers.accepted('e-1', 1_000);
    answers.acknowledged('e-1', 4_000);
    answers.acknowledged('e-1', 9_000);
    answers.acknowledged('never-accepted', 9_000);
    expect(answers.finish()).toEqual({ answers: [[4_000, 3_000]], answersTotal: 1 });
  });

  test('are bounded, in order, and never lose the slowest', () => {
    const answers = new Answers();
    const events = ANSWERS_MAX * 9 + 5;
    const tookBy = (n: number): number => (n % 1_001 === 1_000 ? 700 + Math.floor(n / 1_001) : 5);
    for (let n = 0; n < events; n++) {
      answers.accepted(`e-${n}`, n * 1_000);
      answers.acknowledged(`e-${n}`, n * 1_000 + tookBy(n));
    }
    const { answers: points, answersTotal } = answers.finish();
    expect(answersTotal).toBe(events);
    expect(points.length).toBeGreaterThan(ANSWERS_MAX / 3);
    expect(points.length).toBeLessThanOrEqual(ANSWERS_MAX);
    const slow = Array.from({ length: events }, (_, n) => tookBy(n)).filter((took) => took > 5);
    expect(points.map(([, took]) => took).filter((took) => took > 5)).toEqual(slow);
    expect(points.map(([at]) => at)).toEqual(points.map(([at]) => at).toSorted((a, b) => a - b));
  });

  test('forget the oldest of too many events that nobody acknowledges', () => {
    const answers = new Answers();
    for (let n = 0; n <= PENDING_MAX; n++) answers.accepted(`e-${n}`, n);
    answers.acknowledged('e-0', PENDING_MAX + 1);
    answers.acknowledged('e-1', PENDING_MAX + 1);
    expect(answers.finish().answersTotal).toBe(1);
  });
});
