// What a store does with a disk: it syncs before it acknowledges, and a disk that is full or refuses to write loses nothing.
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { openStorage } from '../../../hardware/storage/storage.ts';
import type { Outcome } from '../../../system/domain/outcome.ts';
import { examine, get, recordOf } from './contents.ts';
import { startWriter, WRITER } from './writer.ts';

const DISK_MIB = 2;
/** In blocks of 512 bytes, as the shell counts. */
const FILE_BLOCKS_MAX = 600;
const LINES_TRACED = 12;

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'wasmmatrix-disk-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const works = (program: string, args: readonly string[]): boolean => spawnSync(program, args, { stdio: 'ignore' }).status === 0;

function run(program: string, args: readonly string[]): void {
  expect(works(program, args), [program, ...args].join(' ')).toBe(true);
}

function canMount(): boolean {
  const probe = mkdtempSync(join(tmpdir(), 'wasmmatrix-mount-'));
  const mounted = works('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', probe]);
  if (mounted) run('umount', [probe]);
  rmSync(probe, { recursive: true });
  return mounted;
}

const MOUNTS = canMount();
const TRACES = works('strace', ['-o', '/dev/null', 'true']);
if (!MOUNTS) process.stdout.write('storage: no small disk can be mounted here; the test of a full disk is SKIPPED.\n');
if (!TRACES) process.stdout.write('storage: strace does not work here; the test that syncs reach the disk is SKIPPED.\n');

const codeOf = (outcome: Outcome<unknown>): string => (outcome.ok ? 'ok' : outcome.error.code);

/** All records that are told, equal, and nothing half-written. Returns the sequence of the last one. */
async function judge(path: string, lines: readonly string[]): Promise<number> {
  const told = Math.max(0, ...lines.map((line) => Number(/^record (\d+)$/.exec(line)?.[1] ?? 0)));
  const store = get(await openStorage({ folder: path }));
  const journal = get(await store.journal('main'));
  expect(journal.lastSequence).toBeGreaterThanOrEqual(told);
  expect((await examine(journal)).faults).toEqual([]);
  await store.close();
  return journal.lastSequence;
}

// Skipped where no small disk can be mounted: without root, or in a locked container.
it.skipIf(!MOUNTS)('a full disk ends the store with a sentence; what was told is there, also while the disk is full', async () => {
  const disk = join(folder, 'disk');
  mkdirSync(disk);
  run('mount', ['-t', 'tmpfs', '-o', `size=${DISK_MIB}m`, 'tmpfs', disk]);
  try {
    const store = join(disk, 'store');
    const writer = startWriter([process.execPath, WRITER, store, '1', 'journal']);
    expect(await writer.ended).toBeNull();
    expect(writer.lines().at(-1)).toBe(
      `ended WM_STORAGE_FULL There is no room on the disk of ${join(store, 'store.sqlite')}: it was not written.`,
    );
    const last = await judge(store, writer.lines());
    expect(last).toBeGreaterThan(0);

    const open = get(await openStorage({ folder: store }));
    const journal = get(await open.journal('main'));
    const big = new Uint8Array(1024 * 1024);
    for (let i = 0; i < DISK_MIB; i++) get(journal.append(big, { expectedSequence: last + i }));
    expect(codeOf(await journal.sync())).toBe('WM_STORAGE_FULL');
    expect(codeOf(await journal.sync())).toBe('WM_STORAGE_FULL');
    expect(codeOf(await open.keyValue('b').get('k'))).toBe('WM_STORAGE_FULL');
    await open.close();

    run('mount', ['-o', `remount,size=${DISK_MIB * 4}m`, disk]);
    expect(await judge(store, writer.lines())).toBe(last);
    const roomy = get(await openStorage({ folder: store }));
    const again = get(await roomy.journal('main'));
    get(again.append(recordOf(last + 1), { expectedSequence: last }));
    get(await again.sync());
    await roomy.close();
  } finally {
    run('umount', [disk]);
  }
});

// Skipped where no small disk can be mounted: without root, or in a locked container.
it.skipIf(!MOUNTS)('a blob that finds no room is refused alone, and leaves nothing', async () => {
  const disk = join(folder, 'disk');
  mkdirSync(disk);
  run('mount', ['-t', 'tmpfs', '-o', `size=${DISK_MIB}m`, 'tmpfs', disk]);
  try {
    const store = get(await openStorage({ folder: disk }));
    const digest = `sha256:${'a'.repeat(64)}` as never;
    expect(codeOf(await store.blobs.put(digest, new Uint8Array(DISK_MIB * 1024 * 1024)))).toBe('WM_STORAGE_FULL');
    expect(get(await store.blobs.list())).toEqual([]);
    get(await store.blobs.put(digest, new Uint8Array([1])));
    get(await store.keyValue('b').put('k', new Uint8Array([1]), { expectedVersion: 0 }));
    await store.close();
  } finally {
    run('umount', [disk]);
  }
});

it('a disk that refuses to write leaves it unknown, and loses nothing', async () => {
  const shell = ['sh', '-c', `ulimit -f ${FILE_BLOCKS_MAX}; exec "$0" "$@"`];
  const writer = startWriter([...shell, process.execPath, WRITER, folder, '1', 'journal']);
  expect(await writer.ended).toBeNull();
  expect(writer.lines().at(-1)).toMatch(/^ended WM_STORAGE_FAILED .*store\.sqlite could not be written: disk I\/O error \(SQLite \d+\)\.$/);
  expect(await judge(folder, writer.lines())).toBeGreaterThan(0);
});

/** Calls that succeeded, in order, with the paths that their descriptors stand for. */
async function traced(only: string): Promise<readonly string[]> {
  const log = join(folder, 'trace');
  const store = join(folder, 'store');
  const calls = 'trace=fsync,fdatasync,rename,renameat,renameat2,write';
  const writer = startWriter(['strace', '-f', '-y', '-s', '64', '-e', calls, '-o', log, process.execPath, WRITER, store, '1', only]);
  await writer.said(LINES_TRACED);
  process.kill(Number(/^open (\d+)$/.exec(writer.lines()[0] ?? '')?.[1]), 'SIGKILL');
  await writer.ended;
  return readFileSync(log, 'utf8').split('\n');
}

const told = (what: string, call: string): boolean => new RegExp(`write\\(1<.*"${what} \\d+`).test(call);

/** For each line of this kind that was told, the steps since the one before. */
function stepsBefore(what: string, calls: readonly string[], steps: readonly (readonly [RegExp, string])[]): readonly string[] {
  const all: string[] = [];
  let since: string[] = [];
  for (const call of calls) {
    since.push(...steps.filter(([pattern]) => pattern.test(call)).map(([, name]) => name));
    if (!told(what, call)) continue;
    all.push(since.join(' '));
    since = [];
  }
  return all;
}

// Skipped where strace is missing or may not trace.
it.skipIf(!TRACES)('a record is told only after the log was synced', async () => {
  const before = stepsBefore('record', await traced('journal'), [[/f(data)?sync\(.*store\.sqlite-wal>/, 'synced']]);
  expect(before.length).toBeGreaterThan(LINES_TRACED / 2);
  expect(before.filter((steps) => !steps.includes('synced'))).toEqual([]);
});

// Skipped where strace is missing or may not trace.
it.skipIf(!TRACES)('a blob is told only after its bytes, and then its name, were synced', async () => {
  const before = stepsBefore('blob', await traced('blobs'), [
    [/f(data)?sync\(.*\.new>/, 'bytes'],
    [/rename\w*\(.*\.new/, 'rename'],
    [/f(data)?sync\(.*\/blobs>/, 'names'],
  ]);
  expect(before.length).toBeGreaterThan(LINES_TRACED / 2);
  expect(before.filter((steps) => !steps.endsWith('bytes rename names'))).toEqual([]);
});
