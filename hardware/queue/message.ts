// What is the same in both directions of the queue: the header that says what a message is, how large one may be, and what it means when
// a stream does not take it.
import { headers as createHeaders, type MsgHdrs } from '@nats-io/transport-node';
import { failed, type Outcome } from '../../system/domain/outcome.ts';
import { JETSTREAM, type NatsLink } from '../nats/nats.ts';

export const META_HEADER = 'Wm-Part';
/** Room for headers in a message. */
const HEADER_BYTES = 4_096;
/** What a server takes that does not say so. */
const PAYLOAD_BYTES = 1_048_576;

/** Bound: bytes of the data of one message. */
export function bytesMaxOf(link: NatsLink): number {
  return (link.connection.info?.max_payload ?? PAYLOAD_BYTES) - HEADER_BYTES;
}

export function metaHeaders(meta: string): MsgHdrs {
  const headers = createHeaders();
  headers.set(META_HEADER, meta);
  return headers;
}

export function refusalOf(stream: string): (error: { readonly code: number; readonly message: string }) => Outcome<never> | null {
  return ({ code, message }) => {
    if (code === JETSTREAM.storeFailed && message.startsWith('maximum '))
      return failed('WM_STORAGE_FULL', {
        message: `Stream ${stream} has no room: ${message}.`,
        next: 'Wait: campaigns take out what is in it, and what a killed one left is gone after two hours.',
      });
    if (code === JETSTREAM.streamNotFound)
      return failed('WM_UNREACHABLE', {
        message: `Stream ${stream} is not there.`,
        next: 'Wait: a campaign makes it again within seconds.',
      });
    return null;
  };
}
