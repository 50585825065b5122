// All that comes in on a stream, handed on one after the other: a loop around `receive` without a function that is suspended for each
// message, which is most of what a heartbeat costs where a controller has thousands of streams.
import type { Outcome } from '../domain/outcome.ts';
import type { ByteStream } from './network.ts';

/** Resolves when `take` says that it wants no more; rejects with what `take` throws. An error, or null, is handed on like a message. */
export function hearAll(stream: Pick<ByteStream, 'receive'>, take: (received: Outcome<Uint8Array | null>) => boolean): Promise<void> {
  return new Promise((resolve, reject) => {
    const hear = (received: Outcome<Uint8Array | null>): void => {
      try {
        if (take(received)) stream.receive().then(hear, reject);
        else resolve();
      } catch (error) {
        reject(error);
      }
    };
    stream.receive().then(hear, reject);
  });
}
