// The present state as a watch begins with it: the answer to a question whose answer is too large for one message.
import { WATCH_METHOD, type OperatorAnswer, type OperatorQuery } from '../domain/operator.ts';
import { failed, ok, rejected, type Outcome } from '../domain/outcome.ts';
import { foldWatch, STATE_KINDS, type StateKind, type StateViews } from '../domain/watch.ts';
import type { ByteStream } from '../ports/network.ts';
import { decodeWatchMessage, encodeWatchRequest } from '../wire/codec/watch.ts';

export function isStateKind(kind: OperatorQuery['kind']): kind is StateKind {
  return (STATE_KINDS as readonly string[]).includes(kind);
}

/** In the order of the answer that did not fit. Whole, or not ok. */
export async function readPresent(
  kind: StateKind,
  open: (method: string) => Promise<Outcome<ByteStream>>,
): Promise<Outcome<OperatorAnswer>> {
  const opened = await open(WATCH_METHOD);
  if (!opened.ok) return opened;
  const stream = opened.value;
  const read = await readFrom(kind, stream);
  stream.close();
  return read;
}

async function readFrom<K extends StateKind>(kind: K, stream: ByteStream): Promise<Outcome<OperatorAnswer>> {
  const views = new Map<string, StateViews[K]>();
  const asked = await stream.send(encodeWatchRequest({ kind, after: null }));
  if (!asked.ok) return asked;
  for (;;) {
    const received = await stream.receive();
    if (!received.ok) return received;
    if (received.value === null) {
      return failed('WM_CONNECTION_LOST', { message: 'The answer ended before it was whole.', next: 'Ask again.' });
    }
    const decoded = decodeWatchMessage(received.value);
    if (!decoded.ok) return decoded;
    const message = decoded.value;
    if (message.kind === 'ended') return rejected(message.code, message);
    foldWatch(kind, views, message);
    if (message.phase === 'present' && !message.more) {
      return ok({ kind, term: message.term, [FIELDS[kind]]: [...views.values()] } as unknown as OperatorAnswer);
    }
  }
}

/** Of each answer: where what was asked for is. */
const FIELDS: Readonly<Record<StateKind, string>> = {
  nodes: 'nodes',
  modules: 'modules',
  deployments: 'deployments',
  instances: 'instances',
  trust: 'keys',
  matrix: 'cells',
};
