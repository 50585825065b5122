// What is written in a log, and what is not.
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openTelemetry } from '../../../hardware/telemetry/telemetry.ts';
import type { ProcessTelemetry, TelemetryOptions } from '../../../hardware/telemetry/telemetry.ts';
import type { CorrelationId } from '../../../system/domain/identifiers.ts';

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'wasmmatrix-log-'));
});
afterEach(() => rm(folder, { recursive: true }));

const FINISHED = {
  node: 'truck-7',
  instance: 'brake/0',
  epoch: 1,
  version: 1,
  trigger: 'brake',
  event: 'e-1',
  attempt: 1,
  outcome: 'completed',
  fuel: 1,
  memoryBytesPeak: 1,
  micros: 1,
  hostCalls: 0,
};

async function linesOf(log: Partial<NonNullable<TelemetryOptions['log']>>, say: (telemetry: ProcessTelemetry) => void): Promise<string[]> {
  const path = join(folder, 'log');
  const opened = openTelemetry({
    source: 'truck-7',
    incarnation: 1,
    role: 'agent',
    log: { level: 'info', format: 'json', path, ...log },
    records: null,
  });
  if (!opened.ok) throw new Error(opened.error.message);
  say(opened.value);
  await opened.value.close();
  return (await readFile(path, 'utf8')).split('\n').slice(0, -1);
}

describe('a log of JSON lines', () => {
  it('says when, how bad, who, what, in which correlation, and in words', async () => {
    const [line] = await linesOf({}, (telemetry) =>
      telemetry.record('agent.lease', { node: 'truck-7', state: 'lapsed' }, 'c-1' as CorrelationId),
    );
    const { time, ...rest } = JSON.parse(line!) as Record<string, unknown>;
    expect(Math.abs(Date.now() - Date.parse(String(time)))).toBeLessThan(60_000);
    expect(rest).toEqual({
      level: 'warn',
      source: 'truck-7',
      kind: 'agent.lease',
      correlation: 'c-1',
      fields: { node: 'truck-7', state: 'lapsed' },
      message: 'The lease of truck-7 lapsed: movable work stands still.',
    });
  });

  it('leaves out what happens with every event, unless debug is asked for', async () => {
    const say = (telemetry: ProcessTelemetry): void => {
      telemetry.record('invocation.finished', FINISHED);
      telemetry.log('info', 'one');
    };
    expect(await linesOf({}, say)).toHaveLength(1);
    await rm(join(folder, 'log'));
    expect(await linesOf({ level: 'debug' }, say)).toHaveLength(2);
  });

  it('obeys the level', async () => {
    const lines = await linesOf({ level: 'error' }, (telemetry) => {
      telemetry.log('warn', 'no');
      telemetry.log('error', 'yes');
    });
    expect(lines.map((line) => (JSON.parse(line) as { message: string }).message)).toEqual(['yes']);
  });

  it('drops lines when too many wait, and says how many', async () => {
    const path = join(folder, 'log');
    const opened = openTelemetry({
      source: 'truck-7',
      incarnation: 1,
      role: 'agent',
      log: { level: 'info', format: 'json', path, bytesPendingMax: 4_096 },
      records: null,
    });
    if (!opened.ok) throw new Error(opened.error.message);
    const telemetry = opened.value;
    for (let i = 0; i < 1_000; i++) telemetry.log('info', `line ${i}`);
    const said = async (): Promise<string[]> => (await readFile(path, 'utf8')).split('\n').slice(0, -1);
    // The next line after there is room again says what is missing.
    await expect.poll(async () => (await said()).length, { timeout: 30_000 }).toBeGreaterThan(0);
    telemetry.log('info', 'last');
    const dropped = Number(/^wasmmatrix_log_lines_dropped_total (\d+)$/m.exec(await telemetry.metrics())?.[1]);
    await telemetry.close();
    const lines = await said();
    expect(dropped).toBeGreaterThan(0);
    expect(lines.at(-1)).toContain(`${dropped} lines before this one were dropped`);
    expect(lines).toHaveLength(1_000 - dropped + 2);
  });
});

describe('a log for a terminal', () => {
  it('is one line for each record, whatever a guest says', async () => {
    const lines = await linesOf({ format: 'text' }, (telemetry) => {
      telemetry.record('agent.lease', { node: 'truck-7', state: 'held' }, 'c-1' as CorrelationId);
      telemetry.log('info', 'guest brake/0: first\n\u001b[2Jsecond');
    });
    expect(lines).toHaveLength(2);
    expect(lines[0]).toMatch(/^\d\d:\d\d:\d\d\.\d{3} INFO  truck-7 agent\.lease: truck-7 holds its lease\. \(c-1\)$/);
    expect(lines[1]).toMatch(/INFO  truck-7 guest brake\/0: first\\u000a\\u001b\[2Jsecond$/);
  });
});

describe('a log file that cannot be opened', () => {
  it('is refused with a sentence', () => {
    const path = join(folder, 'missing', 'log');
    const opened = openTelemetry({
      source: 'truck-7',
      incarnation: 1,
      role: 'agent',
      log: { level: 'info', format: 'json', path },
      records: null,
    });
    expect(opened).toMatchObject({
      ok: false,
      error: { code: 'WM_STORAGE_FAILED', message: `The log file ${path} cannot be opened: ENOENT.` },
    });
  });
});
