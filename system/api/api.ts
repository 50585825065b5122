// The one endpoint: operators' calls, agents' sessions and fetches, and the calls that belong to the broker and the state store.
// Owns decoding, encoding and who may call what; refuses bytes that are no message and methods that do not exist (R13.7).
import {
  CONSUMER_METHOD,
  FETCH_EVENTS_METHOD,
  PUBLISH_METHOD,
  SETTLE_METHOD,
  STATE_GET_METHOD,
  STATE_PUT_METHOD,
} from '../domain/broker.ts';
import {
  EXECUTE_METHOD,
  LOGS_METHOD,
  QUERY_METHOD,
  WATCH_METHOD,
  type OperatorAnswer,
  type OperatorQuery,
  type OperatorReply,
  type OperatorRequest,
} from '../domain/operator.ts';
import { ok, rejected, type Err, type Outcome } from '../domain/outcome.ts';
import { FETCH_METHOD, SESSION_METHOD, type FetchReply, type FetchRequest } from '../domain/session.ts';
import type { LogsMessage, LogsRequest } from '../domain/logs.ts';
import type { WatchMessage, WatchRequest } from '../domain/watch.ts';
import type { ByteStream, PeerIdentity, ServiceHandler } from '../ports/network.ts';
import { decodeOperatorQuery, decodeOperatorRequest, encodeOperatorAnswer, encodeOperatorReply } from '../wire/codec/operator.ts';
import { decodeFetchRequest, encodeFetchReply } from '../wire/codec/session.ts';
import { decodeLogsRequest, encodeLogsMessage } from '../wire/codec/logs.ts';
import { decodeWatchRequest, encodeWatchMessage } from '../wire/codec/watch.ts';
import { AgentStream } from './agent-stream.ts';
import { OperatorStream } from './operator-stream.ts';

export { AgentStream } from './agent-stream.ts';
export { createOperatorClient, type OperatorClient } from './client.ts';
export { OperatorStream } from './operator-stream.ts';
export { repeat } from './repeat.ts';

export type LogsStream = OperatorStream<LogsRequest, LogsMessage>;
export type WatchStream = OperatorStream<WatchRequest, WatchMessage>;

/** Bound: characters of the identifier of a command. */
const REQUEST_ID_LENGTH_MAX = 128;
/** Bound: bytes of an artefact in one reply. */
export const FETCH_BYTES_MAX = 256 * 1024;

export type CallHandler = (method: string, peer: PeerIdentity, request: Uint8Array) => Promise<Outcome<Uint8Array>>;

export type ApiServices = {
  readonly isOperator: (peer: PeerIdentity) => boolean;
  readonly execute: (request: OperatorRequest) => Promise<Outcome<OperatorReply>>;
  readonly query: (query: OperatorQuery) => Promise<Outcome<OperatorAnswer>>;
  readonly fetch: (request: FetchRequest) => Promise<Outcome<FetchReply>>;
  /** Owns the stream until it resolves. */
  readonly session: (stream: AgentStream) => Promise<void>;
  /** The same of an operator's stream. */
  readonly watch: (stream: WatchStream) => Promise<void>;
  readonly logs: (stream: LogsStream) => Promise<void>;
  readonly bus: CallHandler;
  readonly state: CallHandler;
};

export function createApi(services: ApiServices): ServiceHandler {
  return {
    call: (method, peer, request) => answerCall(services, method, peer, request),
    stream: (method, stream) => serveStream(services, method, stream),
  };
}

async function serveStream(services: ApiServices, method: string, stream: ByteStream): Promise<void> {
  switch (method) {
    case SESSION_METHOD:
      return services.session(new AgentStream(stream));
    case WATCH_METHOD: {
      const watch: WatchStream = new OperatorStream<WatchRequest, WatchMessage>(stream, {
        decode: decodeWatchRequest,
        encode: encodeWatchMessage,
      });
      return services.isOperator(stream.peer)
        ? services.watch(watch)
        : watch.refuse(refuseCaller(method, stream.peer, 'an operator').error);
    }
    case LOGS_METHOD: {
      const logs: LogsStream = new OperatorStream<LogsRequest, LogsMessage>(stream, {
        decode: decodeLogsRequest,
        encode: encodeLogsMessage,
      });
      return services.isOperator(stream.peer) ? services.logs(logs) : logs.refuse(refuseCaller(method, stream.peer, 'an operator').error);
    }
    default:
      stream.close();
  }
}

async function answerCall(services: ApiServices, method: string, peer: PeerIdentity, request: Uint8Array): Promise<Outcome<Uint8Array>> {
  switch (method) {
    case EXECUTE_METHOD: {
      if (!services.isOperator(peer)) return refuseCaller(method, peer, 'an operator');
      const decoded = decodeOperatorRequest(request);
      if (!decoded.ok) return decoded;
      const { id } = decoded.value;
      if (id.length === 0 || id.length > REQUEST_ID_LENGTH_MAX) {
        return rejected('WM_ARGUMENT', {
          message: `The identifier of a command has ${id.length} characters.`,
          next: `Give each command an identifier of 1 to ${REQUEST_ID_LENGTH_MAX} characters.`,
        });
      }
      const reply = await services.execute(decoded.value);
      return reply.ok ? ok(encodeOperatorReply(reply.value)) : reply;
    }
    case QUERY_METHOD: {
      if (!services.isOperator(peer)) return refuseCaller(method, peer, 'an operator');
      const decoded = decodeOperatorQuery(request);
      if (!decoded.ok) return decoded;
      const answer = await services.query(decoded.value);
      return answer.ok ? ok(encodeOperatorAnswer(answer.value)) : answer;
    }
    case FETCH_METHOD: {
      if (!peer.name.startsWith('node/')) return refuseCaller(method, peer, 'a node');
      const decoded = decodeFetchRequest(request);
      if (!decoded.ok) return decoded;
      const { offset, bytesMax } = decoded.value;
      if (!Number.isSafeInteger(offset) || offset < 0 || !Number.isSafeInteger(bytesMax) || bytesMax < 1) {
        return rejected('WM_ARGUMENT', {
          message: `A fetch from byte ${offset} of at most ${bytesMax} bytes asks for nothing.`,
          next: 'Give an offset from 0 and at least 1 byte.',
        });
      }
      const reply = await services.fetch({ ...decoded.value, bytesMax: Math.min(bytesMax, FETCH_BYTES_MAX) });
      return reply.ok ? ok(encodeFetchReply(reply.value)) : reply;
    }
    case PUBLISH_METHOD:
    case CONSUMER_METHOD:
    case FETCH_EVENTS_METHOD:
    case SETTLE_METHOD:
      return services.bus(method, peer, request);
    case STATE_GET_METHOD:
    case STATE_PUT_METHOD:
      return services.state(method, peer, request);
    default:
      return rejected('WM_MESSAGE_INVALID', {
        message: `This endpoint has no method ${method}.`,
        next: 'Update the older side.',
        detail: { method },
      });
  }
}

function refuseCaller(method: string, peer: PeerIdentity, who: string): Err {
  return rejected('WM_NODE_REFUSED', {
    message: `${peer.name} is not ${who} and may not call ${method}.`,
    next: `Call it with the identity of ${who}.`,
    detail: { peer: peer.name },
  });
}
