// The streams that the platform makes for its bus, and keeps as it wants them. Agents find them; they never make one.
import {
  AckPolicy,
  DeliverPolicy,
  DiscardPolicy,
  RetentionPolicy,
  StorageType,
  type JetStreamApiError,
  type StreamConfig,
  type StreamInfo,
} from '@nats-io/jetstream';
import { nanos } from '@nats-io/transport-node';
import { ok, type Outcome } from '../../system/domain/outcome.ts';
import type { NatsLink } from '../nats/nats.ts';
import { JETSTREAM } from '../nats/nats.ts';
import type { Names } from './names.ts';

/** An event that is published again within this time is stored once. The server forgets earlier ones, and when it restarts those that were settled. */
export const DUPLICATES_KNOWN_MS = 5 * 60_000;
/** Bound: events of which failed deliveries are remembered, and for how long. What is forgotten counts as run out. */
const FAILED_MAX = 65_536;
const FAILED_KEPT_MS = 7 * 24 * 3_600_000;
/** Room for one fence more than there are: a new one is stored before the old one goes. */
const FENCES_MORE = 1;

export type StreamLimits = {
  /** Bound: events held for consumers. */
  readonly queueEventsMax: number;
  /** Bound: bytes of them. */
  readonly queueBytesMax: number;
  /** Servers that store each message: 1, 3 or 5. */
  readonly replicas: number;
};

function eventsConfig(names: Names, limits: StreamLimits, fences: number): Partial<StreamConfig> & { readonly name: string } {
  return {
    name: names.events,
    description: 'Events of WasmMatrix until every consumer has settled them, and the fence of each instance',
    subjects: [names.eventsFilter, names.fencesFilter],
    retention: RetentionPolicy.Interest,
    // Full means refused, never that the oldest is dropped.
    discard: DiscardPolicy.New,
    storage: StorageType.File,
    max_msgs: limits.queueEventsMax + fences + FENCES_MORE,
    max_bytes: limits.queueBytesMax,
    duplicate_window: nanos(DUPLICATES_KNOWN_MS),
    num_replicas: limits.replicas,
  };
}

function failedConfig(names: Names, limits: StreamLimits): Partial<StreamConfig> & { readonly name: string } {
  return {
    name: names.failed,
    description: 'Deliveries of WasmMatrix that failed, by consumer and event: for their count and their dead letter',
    subjects: [names.failedFilter],
    retention: RetentionPolicy.Limits,
    discard: DiscardPolicy.Old,
    storage: StorageType.File,
    max_msgs: FAILED_MAX,
    max_msgs_per_subject: 1,
    max_age: nanos(FAILED_KEPT_MS),
    num_replicas: limits.replicas,
  };
}

/** Null instead of an error when there is no such thing. */
export function absent(...codes: readonly number[]): (error: JetStreamApiError) => Outcome<null> | null {
  return (error) => (codes.includes(error.code) ? { ok: true, value: null } : null);
}

/** How many fences the stream holds. */
export async function countFences(link: NatsLink, names: Names): Promise<Outcome<number>> {
  const info = await link.ask<StreamInfo | null>(
    `stream ${names.events}`,
    () => link.manager.streams.info(names.events, { subjects_filter: names.fencesFilter }),
    absent(JETSTREAM.streamNotFound),
  );
  return info.ok ? ok(Object.keys(info.value?.state.subjects ?? {}).length) : info;
}

/** Makes room for `fences` fences beside the events. */
export async function makeRoom(link: NatsLink, names: Names, limits: StreamLimits, fences: number): Promise<Outcome<void>> {
  const { name, ...config } = eventsConfig(names, limits, fences);
  const updated = await link.ask(`stream ${name}`, () => link.manager.streams.update(name, config));
  return updated.ok ? ok() : updated;
}

async function ensureStream(link: NatsLink, config: Partial<StreamConfig> & { readonly name: string }): Promise<Outcome<'made' | 'kept'>> {
  const { name } = config;
  const found = await link.ask<StreamInfo | null>(
    `stream ${name}`,
    () => link.manager.streams.info(name),
    absent(JETSTREAM.streamNotFound),
  );
  if (!found.ok) return found;
  const done = await link.ask(`stream ${name}`, () =>
    found.value === null ? link.manager.streams.add(config) : link.manager.streams.update(name, config),
  );
  return done.ok ? ok(found.value === null ? 'made' : 'kept') : done;
}

/** Makes what is missing and changes what is different; what a stream holds stays. */
export async function ensureStreams(link: NatsLink, names: Names, limits: StreamLimits): Promise<Outcome<void>> {
  const failures = await ensureStream(link, failedConfig(names, limits));
  if (!failures.ok) return failures;
  const fences = await countFences(link, names);
  if (!fences.ok) return fences;
  const events = await ensureStream(link, eventsConfig(names, limits, fences.value));
  if (!events.ok) return events;
  if (events.value === 'made') {
    // Its sequences start again: what is remembered is of other events.
    const purged = await link.ask(`stream ${names.failed}`, () => link.manager.streams.purge(names.failed));
    if (!purged.ok) return purged;
  }
  const keeper = await link.ask(`consumer ${names.keeper}`, () =>
    link.manager.consumers.add(names.events, {
      durable_name: names.keeper,
      description: 'Takes nothing: as long as it is there, fences stay',
      ack_policy: AckPolicy.Explicit,
      deliver_policy: DeliverPolicy.All,
      filter_subject: names.fencesFilter,
    }),
  );
  return keeper.ok ? ok() : keeper;
}
