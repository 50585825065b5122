// Blobs in an object store of NATS, named after their digests. A blob is there when its description is, which is written last.
// What a killed process left of one is taken away at the next start, once it is old enough to be nobody's work. One that is not
// what was written is said to be damaged: its checksum is checked as it is read.
import type { JetStreamClient, JetStreamManager } from '@nats-io/jetstream';
import type { ObjectStore } from '@nats-io/obj';
import { Base64UrlPaddedCodec, Objm } from '@nats-io/obj';
import { isDigest } from '../../../system/domain/identifiers.ts';
import type { Digest } from '../../../system/domain/identifiers.ts';
import { ok, rejected } from '../../../system/domain/outcome.ts';
import type { Err, Outcome } from '../../../system/domain/outcome.ts';
import type { BlobStore } from '../../../system/ports/storage.ts';
import { BLOB_BYTES_MAX, BLOB_CHANGES_MAX } from '../blobs.ts';
import { full } from '../trouble.ts';
import type { Health } from '../trouble.ts';
import { ANSWERED_WITHIN_MS, damaged, describeAnswer } from './answers.ts';
import type { Room } from './room.ts';
import { objectStream, openStream } from './streams.ts';

/** Bytes of one message of a blob. */
const CHUNK_BYTES = 512 * 1024;
/** A part of a blob that nobody described for so long was left by a process that ended. */
const ORPHAN_AGE_MS = 60 * 60 * 1_000;

export type ObjectParts = {
  readonly bucket: string;
  readonly replicas: number;
  readonly client: JetStreamClient;
  readonly manager: JetStreamManager;
  readonly health: Health;
  readonly room: Room;
  readonly civilMs: () => number;
};

class Late extends Error {}

/** Bound: `ANSWERED_WITHIN_MS`; a reader of objects waits for ever for parts that are not there. */
async function inTime<T>(answer: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Late(`no answer within ${ANSWERED_WITHIN_MS} ms`)), ANSWERED_WITHIN_MS);
  });
  try {
    return await Promise.race([answer, late]);
  } finally {
    clearTimeout(timer);
  }
}

function chunksOf(bytes: Uint8Array): ReadableStream<Uint8Array> {
  let offset = 0;
  return new ReadableStream({
    pull(controller) {
      if (offset < bytes.length) controller.enqueue(bytes.subarray(offset, (offset += CHUNK_BYTES)));
      else controller.close();
    },
  });
}

export class ObjectBlobs implements BlobStore {
  readonly #parts: ObjectParts;
  readonly #objects: ObjectStore;
  /** The change that was asked for last; it never rejects. */
  #tail: Promise<unknown> = Promise.resolve();
  #changes = 0;

  private constructor(parts: ObjectParts, objects: ObjectStore) {
    this.#parts = parts;
    this.#objects = objects;
  }

  static async open(parts: ObjectParts): Promise<Outcome<ObjectBlobs>> {
    const stream = await openStream(parts.manager, objectStream(parts.bucket, parts.replicas));
    if (!stream.ok) return stream;
    try {
      const blobs = new ObjectBlobs(parts, await new Objm(parts.client).open(parts.bucket));
      await blobs.#sweep();
      return ok(blobs);
    } catch (error) {
      return describeAnswer(error, `object store ${parts.bucket}`, 'opened');
    }
  }

  async put(digest: Digest, bytes: Uint8Array): Promise<Outcome<void>> {
    const { room } = this.#parts;
    const refused = this.#refusal(digest) ?? checkSize(digest, bytes) ?? room.reserve(bytes.length);
    if (refused !== null) return refused;
    const copy = new Uint8Array(bytes);
    const put = await this.#change(digest, async () => {
      const found = await this.#objects.info(digest);
      if (found !== null && !found.deleted) return;
      await this.#objects.put({ name: digest, options: { max_chunk_size: CHUNK_BYTES } }, chunksOf(copy));
    });
    room.release(copy.length);
    return put;
  }

  async get(digest: Digest): Promise<Outcome<Uint8Array | null>> {
    const refused = this.#refusal(digest);
    if (refused !== null) return refused;
    try {
      return ok(await this.#read(digest));
    } catch (error) {
      if (error instanceof Error && error.message.includes('corrupt object')) {
        return damaged(`Blob ${digest} in object store ${this.#parts.bucket} is not what was written.`, { digest });
      }
      return describeAnswer(error, `blob ${digest}`, 'read');
    }
  }

  async list(): Promise<Outcome<readonly Digest[]>> {
    const { health, bucket } = this.#parts;
    if (health.end !== null) return health.end;
    try {
      const found = await inTime(this.#objects.list());
      return ok<readonly Digest[]>(found.flatMap(({ name }) => (isDigest(name) ? [name] : [])).sort());
    } catch (error) {
      return describeAnswer(error, `object store ${bucket}`, 'listed');
    }
  }

  async delete(digest: Digest): Promise<Outcome<void>> {
    const refused = this.#refusal(digest);
    if (refused !== null) return refused;
    const { manager, bucket } = this.#parts;
    return this.#change(digest, async () => {
      if ((await this.#objects.info(digest)) === null) return;
      await this.#objects.delete(digest);
      // The mark that it was deleted: without this they would pile up.
      await manager.streams.purge(`OBJ_${bucket}`, { filter: `$O.${bucket}.M.${Base64UrlPaddedCodec.encode(digest)}` });
    });
  }

  /** Resolves when every change that was accepted is done. */
  async settled(): Promise<void> {
    await this.#tail;
  }

  #refusal(digest: Digest): Err | null {
    if (this.#parts.health.end !== null) return this.#parts.health.end;
    if (isDigest(digest)) return null;
    return rejected('WM_ARGUMENT', {
      message: `'${String(digest)}' is no digest.`,
      next: 'Use sha256: and 64 lower-case hexadecimal digits.',
    });
  }

  async #change(digest: Digest, act: () => Promise<void>): Promise<Outcome<void>> {
    const { health, bucket } = this.#parts;
    if (this.#changes >= BLOB_CHANGES_MAX) return full(`Object store ${bucket} has ${BLOB_CHANGES_MAX} blobs to write.`, {});
    this.#changes++;
    const change = this.#tail.then(async (): Promise<Outcome<void>> => {
      try {
        await act();
        return ok();
      } catch (error) {
        const trouble = describeAnswer(error, `blob ${digest}`, 'written');
        return trouble.error.kind === 'failed' ? trouble : health.endWith(trouble);
      } finally {
        this.#changes--;
      }
    });
    this.#tail = change;
    return change;
  }

  async #read(digest: Digest): Promise<Uint8Array | null> {
    const found = await inTime(this.#objects.get(digest));
    if (found === null) return null;
    found.error.catch(() => {});
    const bytes = new Uint8Array(found.info.size);
    const reader = found.data.getReader();
    let length = 0;
    try {
      for (let part = await inTime(reader.read()); !part.done; part = await inTime(reader.read())) {
        if (length + part.value.length > bytes.length) throw new Error('corrupt object: it is longer than its description says');
        bytes.set(part.value, length);
        length += part.value.length;
      }
    } catch (error) {
      if (error instanceof Late) await reader.cancel();
      throw error;
    }
    if (length === bytes.length) return bytes;
    throw new Error('corrupt object: it is shorter than its description says');
  }

  async #sweep(): Promise<void> {
    const { manager, bucket, civilMs } = this.#parts;
    const stream = `OBJ_${bucket}`;
    const prefix = `$O.${bucket}.C.`;
    const { state } = await manager.streams.info(stream, { subjects_filter: `${prefix}>` });
    const described = new Set((await inTime(this.#objects.list())).map(({ nuid }) => `${prefix}${nuid}`));
    for (const subject of Object.keys(state.subjects ?? {})) {
      if (described.has(subject)) continue;
      const last = await manager.streams.getMessage(stream, { last_by_subj: subject });
      if (last !== null && civilMs() - last.time.getTime() > ORPHAN_AGE_MS) await manager.streams.purge(stream, { filter: subject });
    }
  }
}

function checkSize(digest: Digest, bytes: Uint8Array): Err | null {
  if (bytes.length <= BLOB_BYTES_MAX) return null;
  return rejected('WM_MESSAGE_TOO_LARGE', {
    message: `Blob ${digest} has ${bytes.length} bytes.`,
    next: `Store blobs of at most ${BLOB_BYTES_MAX} bytes.`,
    detail: { bytes: bytes.length },
  });
}
