// Kill -9 at any moment loses nothing acknowledged and leaves nothing half-written. The log of what was acknowledged is kept by
// this process, which lives on. WASMMATRIX_KILLS=300 plays the full number of the acceptance.
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openStorage } from '../../../hardware/storage/storage.ts';
import { get } from './contents.ts';
import { firstBlobOf, judge, note, nothingTold } from './told.ts';
import type { Told } from './told.ts';
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

/** Starts a writer, kills it, and returns its whole lines. */
async function killedWriter(told: Told, round: number): Promise<readonly string[]> {
  const writer = startWriter([process.execPath, WRITER, folder, String(firstBlobOf(told))]);
  const starting = round % STARTING === STARTING - 1;
  if (!starting) await writer.said(1);
  setTimeout(() => writer.child.kill('SIGKILL'), Math.random() * (starting ? START_MS_MAX : WRITING_MS_MAX));
  const signal = await writer.ended;
  expect(`${signal} after ${writer.lines().at(-1)}`).toMatch(/^SIGKILL after (?!ended)/);
  return writer.lines();
}

it(
  `keeps all that was acknowledged through ${KILLS} kills`,
  async () => {
    const told = nothingTold();
    for (let round = 0; round < KILLS; round++) {
      note(told, await killedWriter(told, round));
      const storage = get(await openStorage({ folder }));
      await judge(storage, told);
      await storage.close();
      expect((await readdir(join(folder, 'blobs'))).filter((name) => !name.endsWith('.blob'))).toEqual([]);
    }
    process.stdout.write(`storage: ${KILLS} kills; acknowledged or read: ${JSON.stringify(told)}\n`);
    for (const count of [told.record, told.dropping, told.value, told.blob, told.deleted]) expect(count).toBeGreaterThan(0);
  },
  TIMEOUT_MS,
);
