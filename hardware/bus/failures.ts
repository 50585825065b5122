// What JetStream does not remember of a delivery: why earlier ones failed, and which were given back untried. One message per
// consumer and event, the newest counts. It is written before the delivery is given back, so it may count one too few, never too many.
import type { StoredMsg } from '@nats-io/jetstream';
import type { ConsumerSpec } from '../../system/domain/broker.ts';
import { WM_ERRORS } from '../../system/domain/errors.ts';
import type { FailureReason } from '../../system/domain/event.ts';
import type { ConsumerName } from '../../system/domain/identifiers.ts';
import { addFailure, NO_FAILURES, type Failures } from '../../system/domain/letter.ts';
import { ok, type Outcome } from '../../system/domain/outcome.ts';
import type { NatsLink } from '../nats/nats.ts';
import { JETSTREAM } from '../nats/nats.ts';
import type { Names } from './names.ts';
import { absent } from './streams.ts';

/** Bound: failures kept of one event, the newest. */
const FAILURES_MAX = 16;

export type History = {
  /** Deliveries that were given back untried. */
  readonly released: number;
  /** By attempt, oldest first; an attempt that is missing ran out. */
  readonly failed: readonly (FailureReason & { readonly attempt: number })[];
};

export const NO_HISTORY: History = { released: 0, failed: [] };

export function withFailure(history: History, attempt: number, reason: FailureReason): History {
  const failed = [...history.failed.filter((each) => each.attempt !== attempt), { attempt, ...reason }];
  return { ...history, failed: failed.slice(-FAILURES_MAX) };
}

export function ranOut({ ackWaitMs }: ConsumerSpec): FailureReason {
  return { code: 'WM_DEADLINE', message: `It was not settled within ${ackWaitMs} ms.` };
}

/** All `attempts` that failed, in the words of the embedded broker. */
export function failuresOf(history: History, attempts: number, spec: ConsumerSpec): Failures {
  let failures = NO_FAILURES;
  for (let attempt = Math.max(1, attempts - FAILURES_MAX + 1); attempt <= attempts; attempt++) {
    const told = history.failed.find((each) => each.attempt === attempt);
    failures = addFailure(failures, attempt, told ?? ranOut(spec));
  }
  return failures;
}

function decodeHistory(text: string): History {
  try {
    const { released, failed } = JSON.parse(text) as Partial<Record<keyof History, unknown>>;
    if (!Number.isSafeInteger(released) || !Array.isArray(failed)) return NO_HISTORY;
    return { released: released as number, failed: failed.filter(isFailed) };
  } catch {
    return NO_HISTORY;
  }
}

function isFailed(value: unknown): value is History['failed'][number] {
  if (typeof value !== 'object' || value === null) return false;
  const { attempt, code, message } = value as Record<string, unknown>;
  return Number.isSafeInteger(attempt) && typeof message === 'string' && typeof code === 'string' && Object.hasOwn(WM_ERRORS, code);
}

export class Histories {
  readonly #link: NatsLink;
  readonly #names: Names;

  constructor(link: NatsLink, names: Names) {
    this.#link = link;
    this.#names = names;
  }

  async read(consumer: ConsumerName, sequence: number): Promise<Outcome<History>> {
    const subject = this.#names.failedSubject(consumer, sequence);
    const found = await this.#link.ask<StoredMsg | null>(
      `the history of event ${sequence}`,
      () => this.#link.manager.streams.getMessage(this.#names.failed, { last_by_subj: subject }),
      absent(JETSTREAM.noMessage),
    );
    return found.ok ? ok(found.value === null ? NO_HISTORY : decodeHistory(found.value.string())) : found;
  }

  async write(consumer: ConsumerName, sequence: number, history: History): Promise<Outcome<void>> {
    const subject = this.#names.failedSubject(consumer, sequence);
    const written = await this.#link.ask(`the history of event ${sequence}`, () =>
      this.#link.jetstream.publish(subject, JSON.stringify(history)),
    );
    return written.ok ? ok() : written;
  }

  async forget(consumer: ConsumerName): Promise<Outcome<void>> {
    const filter = this.#names.failedSubject(consumer, '>');
    const purged = await this.#link.ask(`the histories of ${consumer}`, () =>
      this.#link.manager.streams.purge(this.#names.failed, { filter }),
    );
    return purged.ok ? ok() : purged;
  }
}
