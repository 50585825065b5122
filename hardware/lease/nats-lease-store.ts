// The record of a lease as a key of a NATS bucket: its revision is the bucket's. Read through the leader of the stream, since a
// replica that lags behind would show a revision that stands still.
import { jetstream, JetStreamApiCodes, JetStreamApiError } from '@nats-io/jetstream';
import { Kvm } from '@nats-io/kv';
import type { KV } from '@nats-io/kv';
import type { NatsConnection } from '@nats-io/transport-node';
import { failed, ok, rejected, unknown } from '../../system/domain/outcome.ts';
import type { Err, Outcome } from '../../system/domain/outcome.ts';
import type { LeaseRecord, LeaseStore } from './record.ts';

const KEY = 'leader';
const DEFAULT_NAME = 'wasmmatrix';

export type NatsLeaseOptions = {
  readonly connection: NatsConnection;
  /** As that of the store: controllers of one platform share it. */
  readonly name?: string;
  readonly replicas?: number;
  /** Bound: how long an answer may take. Less than a fifth of the lease leaves room for a second try. */
  readonly answerMs: number;
};

export async function openNatsLeaseStore(options: NatsLeaseOptions): Promise<Outcome<LeaseStore>> {
  const { connection, name = DEFAULT_NAME, replicas = 1, answerMs } = options;
  try {
    const buckets = new Kvm(jetstream(connection, { timeout: answerMs }));
    return ok(new NatsLeaseStore(await buckets.create(`${name}-lease`, { history: 1, replicas, allow_direct: false }), answerMs));
  } catch (error) {
    return unreachable(error, 'opened');
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function unreachable(error: unknown, act: string): Err {
  return failed('WM_UNREACHABLE', {
    message: `The lease on NATS could not be ${act}: ${reasonOf(error)}.`,
    next: 'Check the server and the way to it.',
  });
}

class NatsLeaseStore implements LeaseStore {
  readonly #bucket: KV;
  readonly #answerMs: number;

  constructor(bucket: KV, answerMs: number) {
    this.#bucket = bucket;
    this.#answerMs = answerMs;
  }

  async read(): Promise<Outcome<{ readonly revision: number; readonly record: LeaseRecord | null }>> {
    try {
      const entry = await this.#bucket.get(KEY);
      if (entry === null) return ok({ revision: 0, record: null });
      const record = entry.operation === 'PUT' ? entry.json<LeaseRecord | null>() : null;
      return ok({ revision: entry.revision, record });
    } catch (error) {
      return unreachable(error, 'read');
    }
  }

  async write(record: LeaseRecord | null, expectedRevision: number): Promise<Outcome<number>> {
    try {
      return ok(await this.#bucket.put(KEY, JSON.stringify(record), { previousSeq: expectedRevision, timeout: this.#answerMs }));
    } catch (error) {
      if (error instanceof JetStreamApiError && error.code === JetStreamApiCodes.StreamWrongLastSequence) {
        return rejected('WM_CONFLICT', {
          message: `The lease is not at revision ${expectedRevision} any more.`,
          next: 'Read it again.',
          detail: { expectedRevision },
        });
      }
      return unknown('WM_DEADLINE', {
        message: `The lease on NATS could not be written: ${reasonOf(error)}.`,
        next: 'Read it to see who leads.',
      });
    }
  }
}
