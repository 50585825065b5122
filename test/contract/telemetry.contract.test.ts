// What any telemetry promises: it never fails, keeps the order of its source, and tells what it was told.
import { describe, expect, it } from 'vitest';
import { openTelemetry } from '../../hardware/telemetry/telemetry.ts';
import type { RunRecord } from '../../scenarios/record.ts';
import { RecordSink } from '../../sim/telemetry/telemetry.ts';
import type { CorrelationId } from '../../system/domain/identifiers.ts';
import type { Telemetry } from '../../system/ports/telemetry.ts';
import { SimWorld } from './sim-world.ts';

type Arm = {
  readonly world: string;
  readonly create: () => { readonly telemetry: Telemetry; readonly records: readonly RunRecord[] };
};

const simulated = () => {
  const { kernel } = new SimWorld();
  const sink = new RecordSink(kernel);
  const records: RunRecord[] = [];
  sink.onRecord((record) => records.push(record));
  return { telemetry: sink.portOf('truck-7', 3, () => true), records, digest: () => kernel.digest() };
};

const ARMS: readonly Arm[] = [
  { world: 'simulated', create: simulated },
  {
    world: 'real',
    create: () => {
      const records: RunRecord[] = [];
      const telemetry = openTelemetry({
        source: 'truck-7',
        incarnation: 3,
        role: 'agent',
        log: null,
        records: null,
        onRecord: (record) => records.push(record),
      });
      if (!telemetry.ok) throw new Error(telemetry.error.message);
      return { telemetry: telemetry.value, records };
    },
  },
];

describe.each(ARMS)('$world telemetry', ({ create }) => {
  it('numbers the records of a source in order and names where they are from', () => {
    const { telemetry, records } = create();
    telemetry.record('agent.lease', { node: 'truck-7', state: 'held' });
    telemetry.log('warn', 'one', 'c-1' as CorrelationId);
    telemetry.record('agent.lease', { node: 'truck-7', state: 'lapsed' }, null);
    expect(
      records.map(({ source, incarnation, sequence, kind, correlation }) => [source, incarnation, sequence, kind, correlation]),
    ).toEqual([
      ['truck-7', 3, 1, 'agent.lease', null],
      ['truck-7', 3, 2, 'log', 'c-1'],
      ['truck-7', 3, 3, 'agent.lease', null],
    ]);
    expect(records[1]!.fields).toEqual({ level: 'warn', message: 'one' });
  });

  it('keeps what it was told, whatever becomes of the object', () => {
    const { telemetry, records } = create();
    const fields: { node: string; state: 'held' | 'lapsed' } = { node: 'truck-7', state: 'held' };
    telemetry.record('agent.lease', fields);
    fields.state = 'lapsed';
    expect(records[0]!.fields).toEqual({ node: 'truck-7', state: 'held' });
  });

  it('says when, in whole microseconds that never go back', () => {
    const { telemetry, records } = create();
    for (let i = 0; i < 100; i++) telemetry.log('debug', 'now');
    const micros = records.map((record) => record.micros);
    expect(micros).toHaveLength(100);
    expect(micros.every(Number.isSafeInteger)).toBe(true);
    expect(micros).toEqual(micros.toSorted((a, b) => a - b));
  });
});

it('covers what the product said in the digest of a simulated run', () => {
  const digestOf = (message: string): string => {
    const { telemetry, digest } = simulated();
    telemetry.log('info', message);
    return digest();
  };
  expect(digestOf('a')).toBe(digestOf('a'));
  expect(digestOf('a')).not.toBe(digestOf('b'));
});
