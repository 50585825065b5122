// The operator API as operators see it: commands that are repeated under one identifier until they are answered, queries, and
// the connection below them, dialled when it is needed and again when it is lost. Bound: one connection.
import {
  EXECUTE_METHOD,
  QUERY_METHOD,
  type OperatorAnswer,
  type OperatorCommand,
  type OperatorQuery,
  type OperatorReply,
} from '../domain/operator.ts';
import type { Endpoint } from '../domain/identifiers.ts';
import { ok, rejected, type Outcome, type WmError } from '../domain/outcome.ts';
import type { ByteStream, Connection } from '../ports/network.ts';
import type { Ports } from '../ports/ports.ts';
import { decodeOperatorAnswer, decodeOperatorReply, encodeOperatorQuery, encodeOperatorRequest } from '../wire/codec/operator.ts';
import { isStateKind, readPresent } from './present.ts';
import { repeat } from './repeat.ts';

export type OperatorClientOptions = {
  readonly controller: Endpoint;
  /** An attempt failed and another follows. */
  readonly onTrouble?: (error: WmError) => void;
};

type Deadline = { readonly deadlineMicros: number };

export interface OperatorClient {
  /** The same `id` is applied once, however often it is sent. */
  execute(id: string, command: OperatorCommand, options: Deadline): Promise<Outcome<OperatorReply>>;
  query(query: OperatorQuery, options: Deadline): Promise<Outcome<OperatorAnswer>>;
  /** One call of any method of the endpoint, repeated until it is answered: it must be one that may be repeated. */
  call(method: string, request: Uint8Array, options: Deadline): Promise<Outcome<Uint8Array>>;
  /** A stream of the endpoint; it is not opened again when it ends. */
  open(method: string, options: Deadline): Promise<Outcome<ByteStream>>;
  /** Nothing is sent any more. Idempotent. */
  close(): void;
}

const LOST: readonly string[] = ['WM_CONNECTION_LOST', 'WM_UNREACHABLE', 'WM_DEADLINE'];

export function createOperatorClient(
  ports: Pick<Ports, 'clock' | 'network' | 'random'>,
  { controller, onTrouble }: OperatorClientOptions,
): OperatorClient {
  const { clock, network } = ports;
  const stream = ports.random.stream('pauses');
  let connection: Connection | null = null;
  let closed = false;

  const dial = async (deadlineMicros: number): Promise<Outcome<Connection>> => {
    if (connection !== null) return ok(connection);
    const dialled = await network.connect(controller, { deadlineMicros });
    if (!dialled.ok) return dialled;
    // Two calls may have dialled at once: the first one's connection serves both.
    if (connection === null && !closed) connection = dialled.value;
    else dialled.value.close();
    return connection === null ? over() : ok(connection);
  };

  const drop = (lost: Connection): void => {
    lost.close();
    if (connection === lost) connection = null;
  };

  const again = <T>(deadlineMicros: number, attempt: (deadlineMicros: number) => Promise<Outcome<T>>): Promise<Outcome<T>> => {
    if (closed) return Promise.resolve(over());
    return repeat({ clock, stream, deadlineMicros, ...(onTrouble === undefined ? {} : { onTrouble }) }, attempt);
  };

  const call: OperatorClient['call'] = (method, request, { deadlineMicros }) =>
    again(deadlineMicros, async (micros) => {
      const dialled = await dial(micros);
      if (!dialled.ok) return dialled;
      const answer = await dialled.value.call(method, request, { deadlineMicros: micros });
      if (!answer.ok && LOST.includes(answer.error.code)) drop(dialled.value);
      return answer;
    });

  const openOnce = async (method: string, micros: number): Promise<Outcome<ByteStream>> => {
    const dialled = await dial(micros);
    if (!dialled.ok) return dialled;
    const opened = await dialled.value.open(method);
    if (!opened.ok && LOST.includes(opened.error.code)) drop(dialled.value);
    return opened;
  };

  return {
    call,
    async execute(id, command, options) {
      const answer = await call(EXECUTE_METHOD, encodeOperatorRequest({ id, command }), options);
      return answer.ok ? decodeOperatorReply(answer.value) : answer;
    },
    async query(query, options) {
      const answer = await call(QUERY_METHOD, encodeOperatorQuery(query), options);
      if (answer.ok) return decodeOperatorAnswer(answer.value);
      const { kind } = query;
      const isLarge = answer.error.code === 'WM_MESSAGE_TOO_LARGE' && isStateKind(kind);
      return isLarge ? again(options.deadlineMicros, (micros) => readPresent(kind, (method) => openOnce(method, micros))) : answer;
    },
    open: (method, { deadlineMicros }) => again(deadlineMicros, (micros) => openOnce(method, micros)),
    close() {
      closed = true;
      connection?.close();
      connection = null;
    },
  };
}

function over(): Outcome<never> {
  return rejected('WM_CANCELLED', { message: 'This client was closed.', next: 'Make another.' });
}
