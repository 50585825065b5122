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

test('forty minutes of a fleet hold what its first twenty hold', () => {
  const script = fileURLToPath(new URL('./players/long-run.main.ts', import.meta.url));
  const printed = JSON.parse(execFileSync(process.execPath, ['--expose-gc', script, '40'], { encoding: 'utf8' })) as Printed;
  const { verdict, broken, records, looks } = printed;
  expect({ verdict, broken }).toEqual({ verdict: 'held', broken: [] });
  expect(records).toBeGreaterThan(200_000);
  const at = (minutes: number): number => looks.find((look) => look.minutes === minutes)?.heapBytes ?? Number.NaN;
  // The broker's window of identifiers, the largest of all, is full after a quarter of an hour. Two hundred bytes for each of the
  // 12,000 events in between would be more than this.
  expect(at(40) - at(20), JSON.stringify(looks)).toBeLessThan(2_400_000);
});
