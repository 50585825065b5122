// What any telemetry promises: it never fails, keeps the order of its source, and tells what it was told.
import { describe, expect, it } from 'vitest';
import type { RunRecord } from '../../scenarios/record.ts';
import { RecordSink } from '../../sim/telemetry/telemetry.ts';
import type { CorrelationId } from '../../system/domain/identifiers.ts';
import type { Telemetry } from '../../system/ports/telemetry.ts';
import { SimWorld } from './sim-world.ts';

type Arm = {
  readonly world: string;
  readonly create: () => { readonly telemetry: Telemetry; readonly records: readonly RunRecord[]; readonly digest: () => string };
};

const ARMS: readonly Arm[] = [
  {
    world: 'simulated',
    create: () => {
      const { kernel } = new SimWorld();
      const sink = new RecordSink(kernel);
      const records: RunRecord[] = [];
      sink.onRecord((record) => records.push(record));
      return { telemetry: sink.portOf('truck-7', 3, () => true), records, digest: () => kernel.digest() };
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
});

describe('the digest of a simulated run', () => {
  it('covers what the product said', () => {
    const digestOf = (message: string): string => {
      const { telemetry, digest } = ARMS[0]!.create();
      telemetry.log('info', message);
      return digest();
    };
    expect(digestOf('a')).toBe(digestOf('a'));
    expect(digestOf('a')).not.toBe(digestOf('b'));
  });
});
