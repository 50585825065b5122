// Every record as a line that a judge of runs can read.
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openTelemetry } from '../../../hardware/telemetry/telemetry.ts';
import type { ProcessTelemetry } from '../../../hardware/telemetry/telemetry.ts';
import type { RunRecord } from '../../../scenarios/record.ts';
import type { CorrelationId } from '../../../system/domain/identifiers.ts';

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'wasmmatrix-records-'));
});
afterEach(() => rm(folder, { recursive: true }));

function open(path: string, more: { incarnation?: number; bytesMax?: number } = {}): ProcessTelemetry {
  const { incarnation = 1, ...records } = more;
  const opened = openTelemetry({ source: 'truck-7', incarnation, role: 'agent', log: null, records: { path, ...records } });
  if (!opened.ok) throw new Error(opened.error.message);
  return opened.value;
}

async function read(path: string): Promise<RunRecord[]> {
  const lines = (await readFile(path, 'utf8')).split('\n').filter((line) => line !== '');
  return lines.map((line) => JSON.parse(line) as RunRecord);
}

describe('a file of records', () => {
  it('holds a record as soon as it was said', async () => {
    const path = join(folder, 'records.jsonl');
    const before = Number(process.hrtime.bigint() / 1_000n);
    const telemetry = open(path, { incarnation: 4 });
    telemetry.record('agent.lease', { node: 'truck-7', state: 'held' }, 'c-1' as CorrelationId);
    const [record] = await read(path);
    await telemetry.close();
    const { micros, ...rest } = record!;
    expect(micros).toBeGreaterThanOrEqual(before);
    expect(micros).toBeLessThanOrEqual(Number(process.hrtime.bigint() / 1_000n));
    expect(rest).toEqual({
      source: 'truck-7',
      incarnation: 4,
      sequence: 1,
      kind: 'agent.lease',
      correlation: 'c-1',
      fields: { node: 'truck-7', state: 'held' },
    });
  });

  it('goes on behind what an earlier process left, half a line among it', async () => {
    const path = join(folder, 'records.jsonl');
    await writeFile(path, '{"source":"truck-7","incarn');
    const telemetry = open(path, { incarnation: 2 });
    telemetry.log('info', 'one');
    telemetry.log('info', 'two');
    await telemetry.close();
    const [torn, ...whole] = (await readFile(path, 'utf8')).split('\n').filter((line) => line !== '');
    expect(torn).toBe('{"source":"truck-7","incarn');
    expect(whole.map((line) => (JSON.parse(line) as RunRecord).sequence)).toEqual([1, 2]);
  });

  it('is turned over at its bound, and keeps one predecessor', async () => {
    const path = join(folder, 'records.jsonl');
    const telemetry = open(path, { bytesMax: 1_000 });
    for (let i = 0; i < 20; i++) telemetry.log('info', `line ${i}`);
    await telemetry.close();
    const sequences = [...(await read(`${path}.1`)), ...(await read(path))].map((record) => record.sequence);
    expect(sequences.at(-1)).toBe(20);
    expect(sequences).toEqual(Array.from({ length: sequences.length }, (_, i) => 20 - sequences.length + 1 + i));
    expect((await readFile(path)).length).toBeLessThanOrEqual(1_000);
  });

  it('counts what it could not write, and the product goes on', async () => {
    const telemetry = open('/dev/full');
    telemetry.log('info', 'one');
    telemetry.log('info', 'two');
    // The sentence about the trouble is a record too.
    expect(await telemetry.metrics()).toMatch(/^wasmmatrix_records_lost_total 3$/m);
    expect(await telemetry.metrics()).toMatch(/^wasmmatrix_log_messages_total\{level="warn"\} 1$/m);
    await telemetry.close();
  });

  it('is refused with a sentence when it cannot be opened', () => {
    const path = join(folder, 'missing', 'records.jsonl');
    expect(openTelemetry({ source: 't', incarnation: 1, role: 'agent', log: null, records: { path } })).toMatchObject({
      ok: false,
      error: { code: 'WM_STORAGE_FAILED', message: `The record file ${path} cannot be opened: ENOENT.` },
    });
  });
});

describe('telemetry', () => {
  it('never throws, whatever its destinations do', async () => {
    const opened = openTelemetry({
      source: 'truck-7',
      incarnation: 1,
      role: 'agent',
      log: null,
      records: null,
      onRecord: () => {
        throw new Error('no');
      },
    });
    if (!opened.ok) throw new Error(opened.error.message);
    const { value: telemetry } = opened;
    telemetry.log('info', 'one');
    telemetry.record('agent.lease', new Proxy({ node: 'truck-7', state: 'held' } as const, { get: () => expect.unreachable() }));
    expect(await telemetry.metrics()).toMatch(/^wasmmatrix_log_messages_total\{level="info"\} 1$/m);
    expect(await telemetry.metrics()).toMatch(/^wasmmatrix_telemetry_faults_total\{destination="listener"\} 1$/m);
    await telemetry.close();
  });
});
