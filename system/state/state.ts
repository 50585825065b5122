// The state store that guests reach through capabilities (R10.2): keys with compare-and-set, behind two calls. It refuses
// writes of superseded instances: a fence is raised by the controller before their successors are told to start.
// It knows keys, versions and fences; who may write which key it asks for each write.
import { STATE_GET_METHOD, STATE_PUT_METHOD, type Admission, type StatePutRequest } from '../domain/broker.ts';
import type { FencingToken } from '../domain/event.ts';
import type { Epoch, InstanceId } from '../domain/identifiers.ts';
import { describeError, failed, ok, rejected, type Outcome } from '../domain/outcome.ts';
import type { Ports } from '../ports/ports.ts';
import { decodeStateGetRequest, decodeStatePutRequest, encodeStateGetReply, encodeStatePutReply } from '../wire/codec/broker.ts';

export { createStateClient } from './client.ts';

export interface StateStore {
  /** Resolves, with the cause, when the storage failed and the store must not go on. */
  readonly ended: Promise<string>;
  /** Answers the methods of `/wasmmatrix.v1.State/` to a caller of whom `admit` says what it may write. */
  handleCall(method: string, admit: Admission, request: Uint8Array): Promise<Outcome<Uint8Array>>;
  /** From now on, writes of this instance with a lower epoch are refused. */
  fence(token: FencingToken): void;
}

export function createStateStore(ports: Pick<Ports, 'storage' | 'telemetry'>): StateStore {
  const store = ports.storage.keyValue('state');
  const fences = new Map<InstanceId, Epoch>();
  let isEnded = false;
  let end: (cause: string) => void = () => {};
  const ended = new Promise<string>((resolve) => (end = resolve));

  const put = async (request: StatePutRequest): Promise<Outcome<Uint8Array>> => {
    const { key, value, expectedVersion, fence } = request;
    const current = fence === null ? undefined : fences.get(fence.instance);
    if (fence !== null && current !== undefined && fence.epoch < current) {
      ports.telemetry.record('effect.fenced', { what: `write of ${key}`, instance: fence.instance, epoch: fence.epoch, current });
      return rejected('WM_FENCED', {
        message: `Instance ${fence.instance} was placed elsewhere (epoch ${current}); its write in epoch ${fence.epoch} is refused.`,
        next: 'Nothing: the successor handles the event.',
      });
    }
    const written = await store.put(key, value, { expectedVersion });
    if (!written.ok) {
      // A write of which nothing is known may be read and lost again: whoever goes on would build on it.
      if (written.error.kind === 'unknown') {
        isEnded = true;
        end(`the state store's storage failed: ${describeError(written.error)}`);
      }
      return written;
    }
    ports.telemetry.record('state.written', {
      key,
      version: written.value,
      bytes: value.length,
      instance: fence?.instance ?? null,
      epoch: fence?.epoch ?? null,
    });
    return ok(encodeStatePutReply({ version: written.value }));
  };

  return {
    ended,
    async handleCall(method, admit, bytes) {
      if (isEnded)
        return failed('WM_CANCELLED', {
          message: 'The state store ended when its storage failed.',
          next: 'Try again when it has recovered.',
        });
      if (method === STATE_GET_METHOD) {
        const request = decodeStateGetRequest(bytes);
        if (!request.ok) return request;
        const entry = await store.get(request.value.key);
        return entry.ok ? ok(encodeStateGetReply({ entry: entry.value })) : entry;
      }
      if (method === STATE_PUT_METHOD) {
        const request = decodeStatePutRequest(bytes);
        if (!request.ok) return request;
        const { key, fence } = request.value;
        const admitted = admit({ kind: 'put', key, fence });
        return admitted.ok ? put(request.value) : admitted;
      }
      return rejected('WM_MESSAGE_INVALID', { message: `The state store has no method ${method}.`, next: 'Use Get or Put.' });
    },
    fence({ instance, epoch }) {
      if (epoch > (fences.get(instance) ?? 0)) fences.set(instance, epoch);
    },
  };
}
