// The two streams of the work queue: what is to be done, and what came of it. Campaigns share them; each has subjects of its own. Who
// offers work makes them where they are missing; nobody changes one that is there, for others may be using it.
import {
  AckPolicy,
  DeliverPolicy,
  DiscardPolicy,
  RetentionPolicy,
  StorageType,
  type StreamConfig,
  type StreamInfo,
} from '@nats-io/jetstream';
import { nanos } from '@nats-io/transport-node';
import { ok, rejected, type Outcome } from '../../system/domain/outcome.ts';
import { JETSTREAM, type NatsLink } from '../nats/nats.ts';
import type { QueueNames } from './names.ts';

/** Bound: what a campaign that was killed leaves behind is gone after this time. */
export const KEPT_MS = 2 * 3_600_000;
/** A run whose worker says nothing for so long is given to another. */
export const ACK_WAIT_MS = 15_000;
/** Bound: bytes of each stream. Full means refused, and tried again: workers and campaigns take out what is in it. */
const STREAM_BYTES_MAX = 512 * 1_024 * 1_024;

type Wanted = Partial<StreamConfig> & { readonly name: string };

function streamsOf(names: QueueNames): readonly Wanted[] {
  const common = { discard: DiscardPolicy.New, storage: StorageType.File, max_age: nanos(KEPT_MS), max_bytes: STREAM_BYTES_MAX };
  return [
    {
      ...common,
      name: names.runs,
      description: 'Runs of WasmMatrix that wait for a worker, or are being played',
      subjects: [names.runsFilter],
      retention: RetentionPolicy.Workqueue,
    },
    {
      ...common,
      name: names.verdicts,
      description: 'Verdicts and records of WasmMatrix on their way to the campaign that asked',
      subjects: [names.verdictsFilter],
      retention: RetentionPolicy.Limits,
    },
  ];
}

/** Gives the names of those that were not there. */
export async function openStreams(link: NatsLink, names: QueueNames): Promise<Outcome<readonly string[]>> {
  const made: string[] = [];
  for (const wanted of streamsOf(names)) {
    const found = await findOrMake(link, wanted);
    if (!found.ok) return found;
    const { config, isMade } = found.value;
    if (isMade) made.push(wanted.name);
    if (config.retention === wanted.retention && config.subjects.join(' ') === wanted.subjects?.join(' ')) continue;
    return rejected('WM_STORAGE_UNSUITABLE', {
      message: `Stream ${wanted.name} is there and is no queue of this kind: its retention is ${config.retention}, its subjects are ${config.subjects.join(' ')}.`,
      next: 'Give another prefix with --nats-prefix, to the workers too.',
    });
  }
  return ok(made);
}

async function findOrMake(link: NatsLink, wanted: Wanted): Promise<Outcome<Pick<StreamInfo, 'config'> & { readonly isMade: boolean }>> {
  const what = `stream ${wanted.name}`;
  const found = await link.ask<StreamInfo | null>(
    what,
    () => link.manager.streams.info(wanted.name),
    ({ code }) => (code === JETSTREAM.streamNotFound ? ok(null) : null),
  );
  if (!found.ok) return found;
  if (found.value !== null) return ok({ config: found.value.config, isMade: false });
  // Two that make it at once make the same, and both get it.
  const added = await link.ask(what, () => link.manager.streams.add(wanted));
  return added.ok ? ok({ config: added.value.config, isMade: true }) : added;
}

/** The runs of one campaign, for workers. It is gone when nobody asked for so long, as its runs are. */
export async function openConsumer(link: NatsLink, names: QueueNames, campaign: string): Promise<Outcome<void>> {
  const made = await link.ask(`consumer ${campaign}`, () =>
    link.manager.consumers.add(names.runs, {
      durable_name: campaign,
      description: 'Runs of one campaign of WasmMatrix',
      ack_policy: AckPolicy.Explicit,
      ack_wait: nanos(ACK_WAIT_MS),
      deliver_policy: DeliverPolicy.All,
      filter_subject: names.runsOf(campaign),
      // How often a run is tried is decided by those who know why it came back.
      max_deliver: -1,
      inactive_threshold: nanos(KEPT_MS),
    }),
  );
  return made.ok ? ok() : made;
}
