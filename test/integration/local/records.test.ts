// Records of several processes become one row: in the order of time, whole lines only, nothing lost when a process is killed.
import { appendFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Collector, machineMicros } from '../../../hardware/local/records.ts';
import type { RunRecord } from '../../../scenarios/record.ts';

let folder = '';
let collector: Collector;
let told: RunRecord[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'wm-records-'));
  told = [];
  collector = new Collector({ onRecord: (record) => told.push(record), delayMs: 100 });
});
afterEach(() => {
  collector.close();
  rmSync(folder, { recursive: true, force: true });
});

const line = (source: string, micros: number, message = ''): string =>
  `${JSON.stringify({ source, incarnation: 1, sequence: 1, micros, kind: 'log', correlation: null, fields: { level: 'info', message } })}\n`;
const fileOf = (source: string): string => join(folder, `${source}.jsonl`);
const names = (): string => told.map(({ source }) => source).join(' ');

describe('records of several processes', () => {
  it('come in the order of time, whichever file was read first', async () => {
    collector.follow(fileOf('a'));
    collector.follow(fileOf('b'));
    const now = machineMicros();
    appendFileSync(fileOf('a'), line('a', now - 40) + line('a', now - 10));
    appendFileSync(fileOf('b'), line('b', now - 30) + line('b', now - 20));
    collector.record('machine.paused', { machine: 'b' });
    await collector.settle();
    expect(names()).toBe('a b b a testbed');
    expect(told.at(-1)).toMatchObject({ kind: 'machine.paused', sequence: 1, fields: { machine: 'b' } });
  });

  it('wait for the delay, so that a process may still be writing what it stamped before', async () => {
    collector.follow(fileOf('a'));
    collector.follow(fileOf('b'));
    const since = machineMicros();
    appendFileSync(fileOf('a'), line('a', since));
    appendFileSync(fileOf('b'), line('b', since - 1));
    await expect.poll(names, { timeout: 10_000, interval: 5 }).toBe('b a');
    expect(machineMicros() - since).toBeGreaterThanOrEqual(100_000);
    expect(collector.late).toBe(0);
  });

  it('that come later still are told at once, and never turn time back', async () => {
    collector.follow(fileOf('a'));
    collector.follow(fileOf('frozen'));
    const now = machineMicros() - 1_000_000;
    appendFileSync(fileOf('a'), line('a', now));
    await expect.poll(names, { timeout: 10_000, interval: 5 }).toBe('a');
    appendFileSync(fileOf('frozen'), line('frozen', now - 500));
    await expect.poll(names, { timeout: 10_000, interval: 5 }).toBe('a frozen');
    expect(told.map(({ micros }) => micros)).toEqual([now, now]);
    expect(collector.late).toBe(1);
  });

  it('are taken by the line: half a line waits for its rest, and one that a kill cut off is passed over', async () => {
    collector.follow(fileOf('a'));
    const whole = line('a', machineMicros(), 'ä'.repeat(10));
    const cut = Buffer.byteLength(whole) - 9;
    appendFileSync(fileOf('a'), Buffer.from(whole).subarray(0, cut));
    await collector.settle();
    expect(told).toEqual([]);
    appendFileSync(fileOf('a'), Buffer.from(whole).subarray(cut));
    appendFileSync(fileOf('a'), `{"source":"a","incarn\n${line('a', machineMicros(), 'next start')}`);
    await collector.settle();
    expect(told.map(({ fields }) => ('message' in fields ? fields.message : ''))).toEqual(['ä'.repeat(10), 'next start']);
  });

  it('are all told at the end, also of a file that was never there before', () => {
    collector.follow(fileOf('late'));
    appendFileSync(fileOf('late'), line('late', machineMicros() + 5_000_000));
    collector.close();
    expect(names()).toBe('late');
  });
});
