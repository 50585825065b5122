// The state store as agents see it: one call each, over a connection that is dialled when it is needed.
import { STATE_GET_METHOD, STATE_PUT_METHOD } from '../domain/broker.ts';
import type { Endpoint } from '../domain/identifiers.ts';
import { ok, type Outcome } from '../domain/outcome.ts';
import type { Connection } from '../ports/network.ts';
import type { Ports } from '../ports/ports.ts';
import type { State } from '../ports/state.ts';
import { decodeStateGetReply, decodeStatePutReply, encodeStateGetRequest, encodeStatePutRequest } from '../wire/codec/broker.ts';

export function createStateClient(ports: Pick<Ports, 'network'>, config: { readonly store: Endpoint }): State {
  let connection: Connection | null = null;

  const call = async (method: string, request: Uint8Array, deadlineMicros: number): Promise<Outcome<Uint8Array>> => {
    let current = connection;
    if (current === null) {
      const dialled = await ports.network.connect(config.store, { deadlineMicros });
      if (!dialled.ok) return dialled;
      // Two calls may have dialled at once: the first one's connection serves both.
      if (connection === null) connection = dialled.value;
      else dialled.value.close();
      current = connection;
    }
    const answer = await current.call(method, request, { deadlineMicros });
    if (
      !answer.ok &&
      (answer.error.code === 'WM_CONNECTION_LOST' || answer.error.code === 'WM_UNREACHABLE' || answer.error.code === 'WM_DEADLINE')
    ) {
      current.close();
      if (connection === current) connection = null;
    }
    return answer;
  };

  return {
    async get(key, { deadlineMicros }) {
      const answer = await call(STATE_GET_METHOD, encodeStateGetRequest({ key }), deadlineMicros);
      if (!answer.ok) return answer;
      const reply = decodeStateGetReply(answer.value);
      return reply.ok ? ok(reply.value.entry) : reply;
    },
    async put(key, value, { expectedVersion, fence, deadlineMicros }) {
      const answer = await call(STATE_PUT_METHOD, encodeStatePutRequest({ key, value, expectedVersion, fence }), deadlineMicros);
      if (!answer.ok) return answer;
      const reply = decodeStatePutReply(answer.value);
      return reply.ok ? ok(reply.value.version) : reply;
    },
  };
}
