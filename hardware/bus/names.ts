// How our names stand in NATS. Everything lies below one prefix, so that several platforms and other users share a server:
// `<prefix>.events.<subject>`, `<prefix>.fence.<instance>`, `<prefix>.failed.<consumer>.<sequence>`. Pure.
import { isName, type ConsumerName, type InstanceId, type Subject, type SubjectFilter } from '../../system/domain/identifiers.ts';
import { rejected, type Err } from '../../system/domain/outcome.ts';

const PREFIX = /^[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?$/;
const BYTE_KEPT = /[A-Za-z0-9/_-]/;

export type Names = {
  /** The stream of events and fences. */
  readonly events: string;
  /** The stream that remembers deliveries which failed. */
  readonly failed: string;
  /** The consumer that keeps fences in their stream by never taking one; no consumer of ours can have this name. */
  readonly keeper: string;
  readonly eventsFilter: string;
  readonly fencesFilter: string;
  readonly failedFilter: string;
  eventSubject(subject: Subject | SubjectFilter): string;
  /** The event subject that stands behind a subject of NATS. */
  subjectOf(natsSubject: string): string;
  fenceSubject(instance: InstanceId): string;
  /** The token of `fenceSubject`, whose last part it is. */
  instanceToken(instance: InstanceId): string;
  failedSubject(consumer: ConsumerName, sequence: number | '>'): string;
};

/** A token of NATS has no dot, wildcard or space: other bytes are written as `=2e`. Two texts never give one token. */
export function encodeToken(text: string): string {
  let token = '';
  for (const byte of new TextEncoder().encode(text)) {
    const character = String.fromCharCode(byte);
    token += BYTE_KEPT.test(character) ? character : `=${byte.toString(16).padStart(2, '0')}`;
  }
  return token;
}

export function isPrefix(prefix: string): boolean {
  return PREFIX.test(prefix);
}

export function namesOf(prefix: string): Names {
  const eventsPrefix = `${prefix}.events.`;
  return {
    events: `${prefix}-events`,
    failed: `${prefix}-failed`,
    keeper: 'KEEPS_FENCES',
    eventsFilter: `${eventsPrefix}>`,
    fencesFilter: `${prefix}.fence.>`,
    failedFilter: `${prefix}.failed.>`,
    eventSubject: (subject) => eventsPrefix + subject,
    subjectOf: (natsSubject) => natsSubject.slice(eventsPrefix.length),
    fenceSubject: (instance) => `${prefix}.fence.${encodeToken(instance)}`,
    instanceToken: encodeToken,
    failedSubject: (consumer, sequence) => `${prefix}.failed.${consumer}.${sequence}`,
  };
}

/** Null when NATS takes the name of this consumer. */
export function checkConsumerName(name: ConsumerName): Err | null {
  if (isName(name)) return null;
  return rejected('WM_ARGUMENT', {
    message: `NATS takes no consumer called '${name}'.`,
    next: 'Use lower-case letters, digits and inner hyphens, at most 63 characters.',
  });
}
