// Kill -9 at any moment loses nothing acknowledged and leaves nothing half-written. The log of what was acknowledged is kept by
// this process, which lives on. WASMMATRIX_KILLS=300 plays the full number of the acceptance.
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openStorage } from '../../../hardware/storage/storage.ts';
import { BLOBS_KEPT, blobOf, digestOf, examine, get, valueOf } from './contents.ts';
import { startWriter, WRITER } from './writer.ts';

const KILLS_LEAST = 60;
const KILLS = Number(process.env['WASMMATRIX_KILLS'] ?? KILLS_LEAST);
/** Every fourth process is killed while it starts, the others at most this long after they opened the store. */
const STARTING = 4;
const START_MS_MAX = 400;
const WRITING_MS_MAX = 150;
const TIMEOUT_MS = 60_000 + KILLS * 3_000;

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'wasmmatrix-kill-'));
});
afterAll(() => rm(folder, { recursive: true }));

/** What other processes were told or have read, over all incarnations of the writer. */
type Told = { record: number; dropping: number; value: number; blob: number; deleting: number; deleted: number };

/** Starts a writer, kills it, and returns its whole lines. */
async function killedWriter(told: Told, round: number): Promise<readonly string[]> {
  // What was put and not told, or told and its predecessor not deleted, is done again.
  const firstBlob = Math.min(told.blob, told.deleted + BLOBS_KEPT) + 1;
  const writer = startWriter([process.execPath, WRITER, folder, String(firstBlob)]);
  const starting = round % STARTING === STARTING - 1;
  if (!starting) await writer.said(1);
  setTimeout(() => writer.child.kill('SIGKILL'), Math.random() * (starting ? START_MS_MAX : WRITING_MS_MAX));
  const signal = await writer.ended;
  expect(`${signal} after ${writer.lines().at(-1)}`).toMatch(/^SIGKILL after (?!ended)/);
  return writer.lines();
}

function note(told: Told, lines: readonly string[]): void {
  for (const line of lines) {
    const [what = '', number] = line.split(' ');
    if (what === 'open') continue;
    expect(Object.keys(told)).toContain(what);
    told[what as keyof Told] = Math.max(told[what as keyof Told], Number(number));
  }
}

async function judge(told: Told): Promise<void> {
  const storage = get(await openStorage({ folder }));
  const journal = get(await storage.journal('main'));
  expect(journal.lastSequence).toBeGreaterThanOrEqual(told.record);
  const { first, faults } = await examine(journal);
  expect(faults).toEqual([]);
  expect(first).toBeLessThanOrEqual(told.dropping + 1);
  told.record = journal.lastSequence;

  const entry = get(await storage.keyValue('bucket').get('key'));
  expect(entry?.version ?? 0).toBeGreaterThanOrEqual(told.value);
  expect(entry?.version ?? 0).toBeLessThanOrEqual(told.value + 1);
  expect(entry === null ? null : Buffer.from(entry.value)).toEqual(entry === null ? null : Buffer.from(valueOf(entry.version)));

  // Written and not told, then read here: it must stay, and the next process goes on from it.
  told.value = entry?.version ?? 0;

  const listed = get(await storage.blobs.list());
  for (const digest of listed) {
    const bytes = get(await storage.blobs.get(digest));
    expect(bytes === null ? null : digestOf(bytes)).toBe(digest);
  }
  for (let number = told.deleting + 1; number <= told.blob; number++) expect(listed).toContain(digestOf(blobOf(number)));
  for (let number = Math.max(1, told.deleted - BLOBS_KEPT); number <= told.deleted; number++) {
    expect(listed).not.toContain(digestOf(blobOf(number)));
  }
  expect((await readdir(join(folder, 'blobs'))).filter((name) => !name.endsWith('.blob'))).toEqual([]);
  await storage.close();
}

it(
  `keeps all that was acknowledged through ${KILLS} kills`,
  async () => {
    const told: Told = { record: 0, dropping: 0, value: 0, blob: 0, deleting: 0, deleted: 0 };
    for (let round = 0; round < KILLS; round++) {
      note(told, await killedWriter(told, round));
      await judge(told);
    }
    process.stdout.write(`storage: ${KILLS} kills; acknowledged or read: ${JSON.stringify(told)}\n`);
    for (const count of [told.record, told.dropping, told.value, told.blob, told.deleted]) expect(count).toBeGreaterThan(0);
  },
  TIMEOUT_MS,
);
