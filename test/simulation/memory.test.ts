// What a run holds does not grow with its length: the whole platform with everything that observes it, and a record on the disk.
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

type Printed = {
  readonly verdict: string;
  readonly broken: readonly string[];
  readonly records: number;
  readonly looks: readonly { readonly minutes: number; readonly heapBytes: number }[];
};

/** Code that other threads compile meanwhile is there or not at a look, up to 900,000 bytes of it. */
const FLAGS = ['--expose-gc', '--single-threaded'];

test('the last ten minutes of forty hold what the ten before them held', () => {
  const script = fileURLToPath(new URL('./players/long-run.main.ts', import.meta.url));
  const printed = JSON.parse(execFileSync(process.execPath, [...FLAGS, script, '40'], { encoding: 'utf8' })) as Printed;
  const { verdict, broken, records, looks } = printed;
  expect({ verdict, broken }).toEqual({ verdict: 'held', broken: [] });
  expect(records).toBeGreaterThan(200_000);
  // What a fleet holds goes up and down with its snapshots; the least of ten looks does not. The broker's window of identifiers, the
  // largest of all, is full after a quarter of an hour.
  const leastFrom = (minutes: number): number =>
    Math.min(...looks.filter((look) => look.minutes >= minutes && look.minutes < minutes + 10).map(({ heapBytes }) => heapBytes));
  // A set that keeps the identifier of each of the 6,000 events in between holds 1,350,000 more.
  expect(leastFrom(31) - leastFrom(21), JSON.stringify(looks)).toBeLessThan(200_000);
});
