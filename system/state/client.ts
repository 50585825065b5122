// The state store as agents see it: one call each.
import { STATE_GET_METHOD, STATE_PUT_METHOD } from '../domain/broker.ts';
import type { Endpoint } from '../domain/identifiers.ts';
import { ok } from '../domain/outcome.ts';
import { Line } from '../ports/line.ts';
import type { Ports } from '../ports/ports.ts';
import type { State } from '../ports/state.ts';
import { decodeStateGetReply, decodeStatePutReply, encodeStateGetRequest, encodeStatePutRequest } from '../wire/codec/broker.ts';

export function createStateClient(ports: Pick<Ports, 'network'>, config: { readonly store: Endpoint }): State {
  const line = new Line(ports.network, config.store);

  return {
    async get(key, { deadlineMicros }) {
      const answer = await line.call(STATE_GET_METHOD, encodeStateGetRequest({ key }), deadlineMicros);
      if (!answer.ok) return answer;
      const reply = decodeStateGetReply(answer.value);
      return reply.ok ? ok(reply.value.entry) : reply;
    },
    async put(key, value, { expectedVersion, fence, deadlineMicros }) {
      const answer = await line.call(STATE_PUT_METHOD, encodeStatePutRequest({ key, value, expectedVersion, fence }), deadlineMicros);
      if (!answer.ok) return answer;
      const reply = decodeStatePutReply(answer.value);
      return reply.ok ? ok(reply.value.version) : reply;
    },
  };
}
