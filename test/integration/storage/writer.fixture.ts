// A process that writes as fast as it can and says on its standard output what was acknowledged, until it is killed or the
// store ends. Lines: `open PID`, `record N`, `dropping N`, `value N`, `blob N`, `deleting N`, `deleted N`, `ended CODE MESSAGE`.
import { writeSync } from 'node:fs';
import { connect } from '@nats-io/transport-node';
import { openNatsStorage } from '../../../hardware/storage/nats/nats.ts';
import { openStorage } from '../../../hardware/storage/storage.ts';
import type { OpenStorage } from '../../../hardware/storage/storage.ts';
import type { Outcome } from '../../../system/domain/outcome.ts';
import type { Storage } from '../../../system/ports/storage.ts';
import { BLOBS_KEPT, blobOf, digestOf, recordOf, valueOf } from './contents.ts';

/** Records appended before a sync, at most; and records that are kept when older ones are dropped. */
const GROUP_MAX = 5;
const RECORDS_KEPT = 50;

/** At once: a line that the kernel has is not lost with this process. */
const say = (line: string): void => void writeSync(1, `${line}\n`);

class Ended extends Error {}

function get<T>(outcome: Outcome<T>): T {
  if (outcome.ok) return outcome.value;
  throw new Ended(`ended ${outcome.error.code} ${outcome.error.message}`);
}

async function writeJournal(storage: Storage): Promise<never> {
  const journal = get(await storage.journal('main'));
  for (;;) {
    const group = 1 + (journal.lastSequence % GROUP_MAX);
    for (let i = 0; i < group; i++) {
      get(journal.append(recordOf(journal.lastSequence + 1), { expectedSequence: journal.lastSequence }));
    }
    const last = journal.lastSequence;
    if (last % RECORDS_KEPT < GROUP_MAX && last > RECORDS_KEPT) {
      say(`dropping ${last - RECORDS_KEPT}`);
      get(journal.truncate(last - RECORDS_KEPT));
    }
    get(await journal.sync());
    say(`record ${last}`);
  }
}

async function writeValues(storage: Storage): Promise<never> {
  const bucket = storage.keyValue('bucket');
  for (let version = get(await bucket.get('key'))?.version ?? 0; ; version++) {
    const stored = get(await bucket.put('key', valueOf(version + 1), { expectedVersion: version }));
    say(`value ${stored}`);
  }
}

async function writeBlobs(storage: Storage, from: number): Promise<never> {
  for (let number = from; ; number++) {
    const bytes = blobOf(number);
    get(await storage.blobs.put(digestOf(bytes), bytes));
    say(`blob ${number}`);
    if (number <= BLOBS_KEPT) continue;
    say(`deleting ${number - BLOBS_KEPT}`);
    get(await storage.blobs.delete(digestOf(blobOf(number - BLOBS_KEPT))));
    say(`deleted ${number - BLOBS_KEPT}`);
  }
}

/** A folder, or the address of a nats-server. */
async function openPlace(place: string): Promise<Outcome<OpenStorage>> {
  if (!place.startsWith('nats://')) return openStorage({ folder: place });
  // Whether the server syncs was asked by the test.
  return openNatsStorage({ connection: await connect({ servers: place }), durability: { kind: 'accept-loss-at-power-cut' } });
}

const [place = '', firstBlob = '1', only = ''] = process.argv.slice(2);
try {
  const storage = get(await openPlace(place));
  say(`open ${process.pid}`);
  const writers = {
    journal: () => writeJournal(storage),
    values: () => writeValues(storage),
    blobs: () => writeBlobs(storage, Number(firstBlob)),
  };
  await Promise.all(
    Object.entries(writers)
      .filter(([name]) => only === '' || only === name)
      .map(([, write]) => write()),
  );
} catch (error) {
  if (!(error instanceof Ended)) throw error;
  say(error.message);
  process.exit(1);
}
