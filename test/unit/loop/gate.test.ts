// So many at a time, in their order, and never within the call.
import { expect, it } from 'vitest';
import { Gate } from '../../../hardware/loop/gate.ts';

it('lets so many in at a time, in the order in which they came, and the next when one is through, however it ended', async () => {
  const gate = new Gate(2);
  const began: number[] = [];
  const ends: ((fails: boolean) => void)[] = [];
  const all = [0, 1, 2, 3].map((n) =>
    gate.pass(() => {
      began.push(n);
      return new Promise<number>((resolve, reject) => ends.push((fails) => (fails ? reject(new Error('lost')) : resolve(n))));
    }),
  );
  expect(began).toEqual([]);
  await expect.poll(() => began).toEqual([0, 1]);
  ends[1]!(true);
  await expect(all[1]).rejects.toThrow('lost');
  await expect.poll(() => began).toEqual([0, 1, 2]);
  ends[0]!(false);
  expect(await all[0]).toBe(0);
  await expect.poll(() => began).toEqual([0, 1, 2, 3]);
  for (const end of ends.slice(2)) end(false);
  expect(await Promise.all(all.slice(2))).toEqual([2, 3]);
  const again = gate.pass(() => Promise.resolve('free'));
  expect(await again).toBe('free');
});
