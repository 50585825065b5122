// R13.7: what is wrong in a message is named, at the door.
import { create, toBinary, type DescMessage, type MessageInitShape } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';
import type { Outcome } from '../../../system/domain/outcome.ts';
import * as broker from '../../../system/wire/codec/broker.ts';
import * as operator from '../../../system/wire/codec/operator.ts';
import * as session from '../../../system/wire/codec/session.ts';
import * as wireBroker from '../../../system/wire/generated/wasmmatrix/v1/broker_pb.js';
import * as wireOperator from '../../../system/wire/generated/wasmmatrix/v1/operator_pb.js';
import * as wireSession from '../../../system/wire/generated/wasmmatrix/v1/session_pb.js';

function bytesOf<D extends DescMessage>(schema: D, init: MessageInitShape<D>): Uint8Array {
  return toBinary(schema, create(schema, init));
}

const event = (changes: object) => ({
  event: { id: 'e', subject: 'a.b', timeMs: 1n, correlation: 'c', headers: {}, data: new Uint8Array(), ...changes },
});
const publish = (changes: object) => broker.decodePublishRequest(bytesOf(wireBroker.PublishRequestSchema, event(changes)));
const headers = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, i) => [`h${i}`, '']));
const CONSUMER = { name: 'work', filter: 'a.>', ackWaitMs: 1, deliveriesMax: 1, backoffMs: 1, backoffMsMax: 1, pendingMax: 1 };
const consumer = (changes: object) =>
  broker.decodeConsumerRequest(
    bytesOf(wireBroker.ConsumerRequestSchema, { change: { case: 'create', value: { ...CONSUMER, ...changes } } }),
  );
const settle = (changes: object) =>
  broker.decodeSettleRequest(
    bytesOf(wireBroker.SettleRequestSchema, { consumer: 'work', settlement: { case: 'ack', value: {} }, ...changes }),
  );
const command = (name: string, value: object) =>
  operator.decodeOperatorRequest(bytesOf(wireOperator.OperatorRequestSchema, { id: 'c1', command: { case: name, value } } as never));
const agent = (name: string, value: object) =>
  session.decodeAgentMessage(bytesOf(wireSession.AgentMessageSchema, { message: { case: name, value } } as never));

const REFUSALS: readonly (readonly [string, () => Outcome<unknown>, string])[] = [
  ['a subject with a wildcard', () => publish({ subject: 'a.*' }), 'event.subject'],
  ['an event without an identifier', () => publish({ id: '' }), 'event.id'],
  ['an identifier that is too long', () => publish({ id: 'i'.repeat(201) }), 'event.id'],
  ['data that is too large', () => publish({ data: new Uint8Array(256 * 1_024 + 1) }), 'event.data'],
  ['too many headers', () => publish({ headers: headers(33) }), 'event.headers'],
  ['a header that is too long', () => publish({ headers: { h: 'x'.repeat(4_097) } }), 'event.headers.h'],
  ['a time beyond what numbers hold exactly', () => publish({ timeMs: 2n ** 53n }), 'event.time_ms'],
  ['no event at all', () => broker.decodePublishRequest(new Uint8Array()), 'event'],
  [
    'a fence that names no instance',
    () => broker.decodePublishRequest(bytesOf(wireBroker.PublishRequestSchema, { ...event({}), fence: { instance: 'app', epoch: 1n } })),
    'fence.instance',
  ],
  ['a consumer whose name is no name', () => consumer({ name: 'dead.letters' }), 'name'],
  ['a filter that goes on after its end', () => consumer({ filter: 'a.>.b' }), 'filter'],
  ['a consumer that may not deliver', () => consumer({ deliveriesMax: 0 }), 'deliveries_max'],
  ['neither creation nor deletion', () => broker.decodeConsumerRequest(new Uint8Array()), 'change'],
  [
    'a fetch of nothing',
    () => broker.decodeFetchEventsRequest(bytesOf(wireBroker.FetchEventsRequestSchema, { consumer: 'work' })),
    'events_max',
  ],
  ['a settlement that is none', () => settle({ settlement: undefined }), 'settlement'],
  ['a reason that no list of errors knows', () => settle({ settlement: { case: 'nak', value: { code: 'WM_WHATEVER' } } }), 'nak.code'],
  ['a code that is a name of every object', () => settle({ settlement: { case: 'term', value: { code: 'constructor' } } }), 'term.code'],
  ['a key that is empty', () => broker.decodeStateGetRequest(new Uint8Array()), 'key'],
  ['a request without an identifier', () => operator.decodeOperatorRequest(new Uint8Array()), 'id'],
  ['a query that is none', () => operator.decodeOperatorQuery(bytesOf(wireOperator.OperatorQuerySchema, { kind: 'secrets' })), 'kind'],
  ['a key of the wrong length', () => command('trustAdd', { publicKey: new Uint8Array(31) }), 'public_key'],
  ['a deployment that is not named', () => command('rollback', { deployment: 'Not_A_Name', version: 1 }), 'deployment'],
  ['an instance in no state', () => agent('instance', { instance: 'app/0', state: 'perhaps' }), 'report.state'],
  ['a heartbeat without load', () => agent('heartbeat', { sequence: 1n }), 'heartbeat.load'],
  [
    'an artefact without a digest',
    () => session.decodeFetchRequest(bytesOf(wireSession.FetchRequestSchema, { artefact: 'latest', bytesMax: 1 })),
    'artefact',
  ],
];

describe('a message', () => {
  it.each(REFUSALS)('with %s is refused by name', (_what, decode, field) => {
    const outcome = decode();
    expect(outcome).toMatchObject({ ok: false, error: { kind: 'rejected', code: 'WM_MESSAGE_INVALID' } });
    expect(outcome).toHaveProperty('error.message', expect.stringContaining(` ${field}`) as string);
  });

  it('with latitude beyond the pole or not a number is refused by name', () => {
    for (const latitude of [90.5, Number.NaN, Number.NEGATIVE_INFINITY]) {
      const facts = { node: 'n1', architecture: 'x86_64', zone: 'z', faultDomain: 'z', profile: 'p', endpoint: 'e', latitude };
      expect(agent('hello', { facts, bootId: 'b' })).toHaveProperty(
        'error.message',
        expect.stringContaining('hello.facts.latitude') as string,
      );
    }
  });

  it('with fields of a newer version is read without them', () => {
    const newer = Uint8Array.from([...bytesOf(wireBroker.StateGetRequestSchema, { key: 'k' }), 0xfa, 0x01, 0x01, 0x37]);
    expect(broker.decodeStateGetRequest(newer)).toEqual({ ok: true, value: { key: 'k' } });
  });
});
