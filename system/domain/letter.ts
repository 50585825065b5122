// What an event weighs, how long its next attempt waits, and what becomes of it when there is none: the same at every broker. Pure.
import type { ConsumerSpec } from './broker.ts';
import { DEAD_LETTER_PREFIX, type BusEvent, type FailureReason } from './event.ts';
import type { ConsumerName, EventId, Subject } from './identifiers.ts';

/** Bound: reasons kept of one event at one consumer, the newest ones, and characters of each message. */
const REASONS_MAX = 16;
const REASON_LENGTH_MAX = 256;

/** Deliveries of one event to one consumer that failed. */
export type Failures = { readonly attempts: number; readonly reasons: readonly FailureReason[] };

export const NO_FAILURES: Failures = { attempts: 0, reasons: [] };

export function addFailure(failures: Failures, attempt: number, { code, message }: FailureReason): Failures {
  const reason = { code, message: message.slice(0, REASON_LENGTH_MAX).toWellFormed() };
  return { attempts: attempt, reasons: [...failures.reasons, reason].slice(-REASONS_MAX) };
}

/** One that a broker wrote: subject and identifier name its consumer. Whatever else is on such a subject is an event like others. */
export function isLetter({ id, subject }: BusEvent): boolean {
  const prefix = `${DEAD_LETTER_PREFIX}.`;
  if (!subject.startsWith(prefix)) return false;
  const before = `${DEAD_LETTER_PREFIX}/${subject.slice(prefix.length)}/`;
  return id.startsWith(before) && /^[0-9]+$/.test(id.slice(before.length));
}

/** R9.3: the event as it was, under a subject that names the consumer, with its history in headers. */
export function letterOf(
  event: BusEvent,
  letter: { readonly consumer: ConsumerName; readonly sequence: number; readonly failures: Failures },
): BusEvent {
  const { consumer, sequence, failures } = letter;
  const last = failures.reasons.at(-1);
  return {
    ...event,
    // Not made of the event's own identifier, which may be as long as one may be.
    id: `${DEAD_LETTER_PREFIX}/${consumer}/${sequence}` as EventId,
    subject: `${DEAD_LETTER_PREFIX}.${consumer}` as Subject,
    headers: {
      ...event.headers,
      source: event.id,
      subject: event.subject,
      attempts: String(failures.attempts),
      code: last?.code ?? '',
      reason: last?.message ?? '',
      history: failures.reasons.map((reason) => reason.code).join(' '),
    },
  };
}

/** Bound of characters to bytes in UTF-8. */
const BYTES_PER_CHARACTER = 3;
/** What a held event, and each of its headers, costs beside texts and data. */
const EVENT_OVERHEAD_BYTES = 256;
const HEADER_OVERHEAD_BYTES = 16;

/** At most so many bytes, in a message and in memory. */
export function bytesOf(event: BusEvent): number {
  let characters = event.id.length + event.subject.length + event.correlation.length;
  const headers = Object.entries(event.headers);
  for (const [name, value] of headers) characters += name.length + value.length;
  return event.data.length + characters * BYTES_PER_CHARACTER + headers.length * HEADER_OVERHEAD_BYTES + EVENT_OVERHEAD_BYTES;
}

/** R9.3: full jitter over an exponentially growing bound. `draw(n)` gives 0 to n - 1. */
export function backoffMs(spec: ConsumerSpec, attempt: number, draw: (bound: number) => number): number {
  let most = Math.min(spec.backoffMs, spec.backoffMsMax);
  for (let i = 1; i < attempt && most > 0 && most < spec.backoffMsMax; i++) most = Math.min(most * 2, spec.backoffMsMax);
  return draw(most + 1);
}
