// The bus on NATS JetStream: the same promises as the embedded broker's, held to the same contract. Owns how events, consumers,
// fences and failed deliveries stand in streams (docs/decisions/0008-jetstream.md); the connection belongs to who opened it.
// Refuses names that NATS would not take. `platform` makes the streams, consumers and fences; an `agent` only uses them.
// Surprising: a last delivery that runs out is buried by whoever fetches next, not by a timer; and what waits for its next
// attempt counts as outstanding, so that it takes a place of the consumer's `pendingMax`.
import { ok, rejected, type Outcome } from '../../system/domain/outcome.ts';
import type { Ports } from '../../system/ports/ports.ts';
import { checkJetStream, type NatsLink } from '../nats/nats.ts';
import { JetStreamBus, type NatsBus } from './jetstream.ts';
import { isPrefix, namesOf } from './names.ts';
import { ensureStreams } from './streams.ts';

export type { NatsBus } from './jetstream.ts';

/** Bound: bytes of held events, when nothing else is said. */
const QUEUE_BYTES_MAX = 64 * 1_024 * 1_024;
const QUEUE_EVENTS_MAX = 10_000;

export type NatsBusOptions = {
  readonly link: NatsLink;
  readonly ports: Pick<Ports, 'clock' | 'random' | 'telemetry'>;
  readonly role: 'platform' | 'agent';
  /** First token of every subject, and the beginning of every stream's name; `wasmmatrix` when absent. */
  readonly prefix?: string;
  /** Bounds that the platform gives the stream of events: 10,000 and 64 MiB when absent. An agent need not know them. */
  readonly queueEventsMax?: number;
  readonly queueBytesMax?: number;
  /** Servers of a cluster that store each event: 1, 3 or 5; 1 when absent. */
  readonly replicas?: number;
};

export async function openNatsBus(options: NatsBusOptions): Promise<Outcome<NatsBus>> {
  const {
    link,
    ports,
    role,
    prefix = 'wasmmatrix',
    queueEventsMax = QUEUE_EVENTS_MAX,
    queueBytesMax = QUEUE_BYTES_MAX,
    replicas = 1,
  } = options;
  if (!isPrefix(prefix)) {
    return rejected('WM_ARGUMENT', {
      message: `'${prefix}' cannot begin the subjects of NATS.`,
      next: 'Use lower-case letters, digits and inner hyphens, at most 32 characters.',
    });
  }
  const limits = { queueEventsMax, queueBytesMax, replicas };
  const names = namesOf(prefix);
  const enabled = await checkJetStream(link);
  if (!enabled.ok) return enabled;
  if (role === 'platform') {
    const made = await ensureStreams(link, names, limits);
    if (!made.ok) return made;
  }
  return ok(new JetStreamBus({ link, ports, names, limits }));
}
