// The state store as agents see it: one call each, over a connection that is dialled when it is needed. A late answer is no
// lost connection: what is under way on it comes to its end, and what comes is sent on another.
import { STATE_GET_METHOD, STATE_PUT_METHOD } from '../domain/broker.ts';
import type { Endpoint } from '../domain/identifiers.ts';
import { ok, type Outcome } from '../domain/outcome.ts';
import type { Connection } from '../ports/network.ts';
import type { Ports } from '../ports/ports.ts';
import type { State } from '../ports/state.ts';
import { decodeStateGetReply, decodeStatePutReply, encodeStateGetRequest, encodeStatePutRequest } from '../wire/codec/broker.ts';

/** A connection, and how many of its calls are not answered. */
type Line = { readonly connection: Connection; outstanding: number };

export function createStateClient(ports: Pick<Ports, 'network'>, config: { readonly store: Endpoint }): State {
  let line: Line | null = null;

  const call = async (method: string, request: Uint8Array, deadlineMicros: number): Promise<Outcome<Uint8Array>> => {
    let used = line;
    if (used === null) {
      const dialled = await ports.network.connect(config.store, { deadlineMicros });
      if (!dialled.ok) return dialled;
      // Two calls may have dialled at once: the first one's connection serves both.
      if (line === null) line = { connection: dialled.value, outstanding: 0 };
      else dialled.value.close();
      used = line;
    }
    used.outstanding += 1;
    const answer = await used.connection.call(method, request, { deadlineMicros });
    used.outstanding -= 1;
    const code = answer.ok ? null : answer.error.code;
    const isLost = code === 'WM_CONNECTION_LOST' || code === 'WM_UNREACHABLE';
    if ((isLost || code === 'WM_DEADLINE') && line === used) line = null;
    if (isLost || (line !== used && used.outstanding === 0)) used.connection.close();
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
