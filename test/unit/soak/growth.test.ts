// What a soak judges by: does a figure grow, and did every event have one effect?
import { describe, expect, it } from 'vitest';
import { nativeBytesOf } from '../../support/soak/figures.ts';
import { grows, measureGrowth } from '../../support/soak/growth.ts';
import { Ledger } from '../../support/soak/ledger.ts';

/** Ten minutes, a sample every five seconds. */
function samples(value: (seconds: number) => number) {
  return Array.from({ length: 121 }, (_, i) => ({ seconds: i * 5, value: value(i * 5) }));
}

describe('growth', () => {
  it('is none when a collector lets memory rise and fall', () => {
    const growth = measureGrowth(samples((seconds) => 50 + (seconds % 15)));
    expect(Math.abs(growth.slope)).toBeLessThan(0.2);
    expect(grows(growth, 0.5)).toBe(false);
  });

  it('is none when memory rises in the first half only', () => {
    expect(grows(measureGrowth(samples((seconds) => Math.min(seconds, 290))), 0.5)).toBe(false);
  });

  it('is seen below a collector', () => {
    const growth = measureGrowth(samples((seconds) => 50 + (seconds % 15) + seconds / 60));
    expect(growth.slope).toBeGreaterThan(0.9);
    expect(growth.slope).toBeLessThan(1.1);
    expect(grows(growth, 0.5)).toBe(true);
  });

  it('is assumed when there are too few samples to tell', () => {
    expect(grows(measureGrowth([{ seconds: 0, value: 1 }]), 0.5)).toBe(true);
  });
});

describe('the ledger', () => {
  it('finds the event without an effect', () => {
    const ledger = new Ledger(10);
    for (const number of [1, 2, 3]) ledger.accept(number);
    ledger.result(1, 11);
    ledger.result(3, 12);
    expect([ledger.accepted, ledger.done, ledger.lost()]).toEqual([3, 2, [2]]);
  });

  it('tells a second effect from a second delivery of the first', () => {
    const ledger = new Ledger(10);
    ledger.accept(1);
    ledger.result(1, 11);
    ledger.result(1, 11);
    expect(ledger.doubled).toEqual([]);
    ledger.result(1, 15);
    expect(ledger.doubled).toEqual([{ number: 1, apart: 4 }]);
  });

  it('notes results of what nobody published', () => {
    const ledger = new Ledger(10);
    ledger.result(Number.NaN, 1);
    ledger.result(10, 2);
    expect(ledger.strange).toEqual(['NaN', '10']);
  });
});

describe('native memory', () => {
  it('is what is resident without a file, and no page of the JavaScript engine', () => {
    const smaps = [
      '00400000-00500000 r-xp 00000000 08:01 1                          /usr/bin/node',
      'Rss:                1000 kB',
      '10000000-10100000 rw-p 00000000 00:00 0                          [heap]',
      'Size:               1024 kB',
      'Rss:                 100 kB',
      '7f0000000000-7f0000040000 rw-p 00000000 00:00 0 ',
      'Rss:                 256 kB',
      '7f1000000000-7f1000080000 rw-p 00000000 00:00 0 ',
      'Rss:                  20 kB',
      '7ffd00000000-7ffd00021000 rw-p 00000000 00:00 0                  [stack]',
      'Rss:                  40 kB',
    ].join('\n');
    expect(nativeBytesOf(smaps)).toBe(120 * 1024);
  });
});
