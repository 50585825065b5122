// What the writers said over all their incarnations, and whether a store still has it.
import { expect } from 'vitest';
import type { Storage } from '../../../system/ports/storage.ts';
import { BLOBS_KEPT, blobOf, digestOf, examine, get, valueOf } from './contents.ts';

/** What other processes were told or have read, over all incarnations of the writer. */
export type Told = { record: number; dropping: number; value: number; blob: number; deleting: number; deleted: number };

export const nothingTold = (): Told => ({ record: 0, dropping: 0, value: 0, blob: 0, deleting: 0, deleted: 0 });

/** What was put and not told, or told and its predecessor not deleted, is done again. */
export const firstBlobOf = (told: Told): number => Math.min(told.blob, told.deleted + BLOBS_KEPT) + 1;

export function note(told: Told, lines: readonly string[]): void {
  for (const line of lines) {
    const [what = '', number] = line.split(' ');
    if (what === 'open' || what === 'ended') continue;
    expect(Object.keys(told)).toContain(what);
    told[what as keyof Told] = Math.max(told[what as keyof Told], Number(number));
  }
}

/** All that was told is in the store, and nothing is half-written. */
export async function judge(storage: Storage, told: Told): Promise<void> {
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
}
