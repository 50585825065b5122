// R13.7: every message survives its bytes, and no bytes do more than be refused.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { NodeId } from '../../../system/domain/identifiers.ts';
import type { Outcome } from '../../../system/domain/outcome.ts';
import * as broker from '../../../system/wire/codec/broker.ts';
import * as enrolment from '../../../system/wire/codec/enrolment.ts';
import { decodeHeartbeat, encodeHeartbeat } from '../../../system/wire/codec/heartbeat.ts';
import * as logs from '../../../system/wire/codec/logs.ts';
import * as node from '../../../system/wire/codec/node.ts';
import * as operator from '../../../system/wire/codec/operator.ts';
import * as session from '../../../system/wire/codec/session.ts';
import * as watch from '../../../system/wire/codec/watch.ts';
import { brokerMessages, enrolmentMessages, nodeMessages, sessionMessages } from '../../support/wire/arbitraries.ts';
import { logsMessages, operatorMessages, watchMessages } from '../../support/wire/operator-arbitraries.ts';

type Codec = {
  readonly message: string;
  readonly value: fc.Arbitrary<unknown>;
  readonly encode: (value: never) => Uint8Array;
  readonly decode: (bytes: Uint8Array) => Outcome<unknown>;
};

function codec<T>(
  message: string,
  value: fc.Arbitrary<T>,
  encode: (value: T) => Uint8Array,
  decode: (bytes: Uint8Array) => Outcome<T>,
): Codec {
  return { message, value, encode, decode };
}

const CODECS: readonly Codec[] = [
  codec('AgentMessage', sessionMessages.agentMessage, session.encodeAgentMessage, session.decodeAgentMessage),
  codec('ControllerMessage', sessionMessages.controllerMessage, session.encodeControllerMessage, session.decodeControllerMessage),
  codec('FetchRequest', sessionMessages.fetchRequest, session.encodeFetchRequest, session.decodeFetchRequest),
  codec('FetchReply', sessionMessages.fetchReply, session.encodeFetchReply, session.decodeFetchReply),
  codec('OperatorRequest', operatorMessages.operatorRequest, operator.encodeOperatorRequest, operator.decodeOperatorRequest),
  codec('OperatorReply', operatorMessages.operatorReply, operator.encodeOperatorReply, operator.decodeOperatorReply),
  codec('OperatorQuery', operatorMessages.operatorQuery, operator.encodeOperatorQuery, operator.decodeOperatorQuery),
  codec('OperatorAnswer', operatorMessages.operatorAnswer, operator.encodeOperatorAnswer, operator.decodeOperatorAnswer),
  codec('WatchRequest', watchMessages.request, watch.encodeWatchRequest, watch.decodeWatchRequest),
  codec('WatchMessage', watchMessages.message, watch.encodeWatchMessage, watch.decodeWatchMessage),
  codec('LogsRequest', logsMessages.request, logs.encodeLogsRequest, logs.decodeLogsRequest),
  codec('LogsMessage', logsMessages.message, logs.encodeLogsMessage, logs.decodeLogsMessage),
  codec('PublishRequest', brokerMessages.publishRequest, broker.encodePublishRequest, broker.decodePublishRequest),
  codec('PublishReply', brokerMessages.publishReply, broker.encodePublishReply, broker.decodePublishReply),
  codec('ConsumerRequest', brokerMessages.consumerRequest, broker.encodeConsumerRequest, broker.decodeConsumerRequest),
  codec('FetchEventsRequest', brokerMessages.fetchRequest, broker.encodeFetchEventsRequest, broker.decodeFetchEventsRequest),
  codec('FetchEventsReply', brokerMessages.fetchReply, broker.encodeFetchEventsReply, broker.decodeFetchEventsReply),
  codec('SettleRequest', brokerMessages.settleRequest, broker.encodeSettleRequest, broker.decodeSettleRequest),
  codec('StateGetRequest', brokerMessages.stateGetRequest, broker.encodeStateGetRequest, broker.decodeStateGetRequest),
  codec('StateGetReply', brokerMessages.stateGetReply, broker.encodeStateGetReply, broker.decodeStateGetReply),
  codec('StatePutRequest', brokerMessages.statePutRequest, broker.encodeStatePutRequest, broker.decodeStatePutRequest),
  codec('StatePutReply', brokerMessages.statePutReply, broker.encodeStatePutReply, broker.decodeStatePutReply),
  codec('StatusReply', nodeMessages.nodeStatus, node.encodeNodeStatus, node.decodeNodeStatus),
  codec('MetricsReply', nodeMessages.metrics, node.encodeNodeMetrics, node.decodeNodeMetrics),
  codec('EnrolRequest', enrolmentMessages.enrolRequest, enrolment.encodeEnrolRequest, enrolment.decodeEnrolRequest),
  codec('EnrolReply', enrolmentMessages.enrolReply, enrolment.encodeEnrolReply, enrolment.decodeEnrolReply),
  codec('RenewRequest', enrolmentMessages.renewRequest, enrolment.encodeRenewRequest, enrolment.decodeRenewRequest),
  codec('RevokeRequest', enrolmentMessages.revokeRequest, enrolment.encodeRevokeRequest, enrolment.decodeRevokeRequest),
  codec('RevokeReply', enrolmentMessages.revokeReply, enrolment.encodeRevokeReply, enrolment.decodeRevokeReply),
  codec('TokensRequest', enrolmentMessages.tokensRequest, enrolment.encodeTokensRequest, enrolment.decodeTokensRequest),
  codec('TokensReply', enrolmentMessages.tokensReply, enrolment.encodeTokensReply, enrolment.decodeTokensReply),
];

/** `ok`, or how it was refused. */
function verdict(outcome: Outcome<unknown>): string {
  return outcome.ok ? 'ok' : `${outcome.error.kind} ${outcome.error.code}`;
}

const VERDICTS = ['ok', 'rejected WM_MESSAGE_INVALID'];

describe.each(CODECS)('$message', ({ value, encode, decode }) => {
  it('is the same after its bytes', () => {
    fc.assert(
      fc.property(value, (message) => {
        expect(decode(encode(message as never))).toEqual({ ok: true, value: message });
      }),
    );
  });

  it('is refused, or read, and never thrown, whatever the bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        expect(VERDICTS).toContain(verdict(decode(bytes)));
      }),
      { numRuns: 500 },
    );
  });

  it('is refused, or read, and never thrown, when a link changes or cuts its bytes', () => {
    fc.assert(
      fc.property(
        value,
        fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 }),
        fc.nat(),
        fc.boolean(),
        (message, changes, cut, isCut) => {
          const bytes = encode(message as never).slice();
          for (const [place, byte] of changes) if (bytes.length > 0) bytes[place % bytes.length] = byte;
          const outcome = decode(isCut ? bytes.slice(0, cut % (bytes.length + 1)) : bytes);
          expect(VERDICTS).toContain(verdict(outcome));
          // What was read is a message of this kind: it can be said again, and means the same.
          expect(outcome.ok ? decode(encode(outcome.value as never)) : outcome).toEqual(outcome);
        },
      ),
      { numRuns: 300 },
    );
  });
});

describe('heartbeats and acknowledgements, written and read by hand', () => {
  const HEARTBEATS = sessionMessages.agentMessage.filter(({ kind }) => kind === 'heartbeat');
  const ACKNOWLEDGEMENTS = sessionMessages.controllerMessage.filter(({ kind }) => kind === 'heartbeat-ack');
  const CHANGES = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 3 });

  function changed(bytes: Uint8Array, changes: readonly (readonly [number, number])[], added: Uint8Array): Uint8Array {
    const copy = new Uint8Array([...bytes, ...added]);
    for (const [place, byte] of changes) copy[place % copy.length] = byte;
    return copy;
  }

  it('have the bytes of the generic codec', () => {
    fc.assert(
      fc.property(HEARTBEATS, ACKNOWLEDGEMENTS, (heartbeat, acknowledgement) => {
        expect(session.encodeAgentMessage(heartbeat)).toEqual(session.encodeAnyAgentMessage(heartbeat));
        expect(session.encodeControllerMessage(acknowledgement)).toEqual(session.encodeAnyControllerMessage(acknowledgement));
      }),
    );
  });

  it('are what the generic codec reads in the same bytes, or refused as it refuses them', () => {
    fc.assert(
      fc.property(HEARTBEATS, ACKNOWLEDGEMENTS, CHANGES, fc.uint8Array({ maxLength: 3 }), (heartbeat, acknowledgement, changes, added) => {
        const ofAgent = changed(session.encodeAgentMessage(heartbeat), changes, added);
        expect(session.decodeAgentMessage(ofAgent)).toEqual(session.decodeAnyAgentMessage(ofAgent));
        const ofController = changed(session.encodeControllerMessage(acknowledgement), changes, added);
        expect(session.decodeControllerMessage(ofController)).toEqual(session.decodeAnyControllerMessage(ofController));
      }),
      { numRuns: 800 },
    );
  });

  it('are left to the generic codec only when they are unusual', () => {
    const heartbeat = {
      kind: 'heartbeat',
      sequence: 2 ** 40,
      load: { cpuPermille: 0, memoryBytesFree: 2 ** 33, invocationsActive: 1 },
      latencies: [{ landmark: 'north-1' as NodeId, rttMicros: 12_345 }],
    } as const;
    const bytes = encodeHeartbeat(heartbeat);
    expect(bytes && decodeHeartbeat(bytes)).toEqual(heartbeat);
    const unusual = { ...heartbeat, latencies: [{ landmark: 'nörd' as NodeId, rttMicros: 1 }] };
    expect(encodeHeartbeat(unusual)).toBeNull();
    expect(session.encodeAgentMessage(unusual)).toEqual(session.encodeAnyAgentMessage(unusual));
  });
});
