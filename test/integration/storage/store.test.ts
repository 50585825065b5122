// A store in a folder, from its first version on: who may open it, what it says of damage, and its bounds.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { crc32 } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Database } from '../../../hardware/storage/database.ts';
import { BYTES_PENDING_MAX, OPERATIONS_MAX } from '../../../hardware/storage/operations.ts';
import { MIGRATIONS } from '../../../hardware/storage/schema.ts';
import { openStorage } from '../../../hardware/storage/storage.ts';
import type { OpenStorage } from '../../../hardware/storage/storage.ts';
import type { Outcome } from '../../../system/domain/outcome.ts';
import { JOURNAL_RECORD_BYTES_MAX } from '../../../system/ports/storage.ts';
import { digestOf, get } from './contents.ts';
import { startWriter, WRITER } from './writer.ts';

const LOCK_WAIT_MS = 50;
/** Version 1 as it was released. It stays as it is for good: stores of that version are out there. */
const VERSION_1 = `
  CREATE TABLE journals (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, dropped INTEGER NOT NULL) STRICT;
  CREATE TABLE records (
    journal INTEGER NOT NULL, sequence INTEGER NOT NULL, checksum INTEGER NOT NULL, record BLOB NOT NULL,
    PRIMARY KEY (journal, sequence)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE entries (
    bucket TEXT NOT NULL, key TEXT NOT NULL, version INTEGER NOT NULL, checksum INTEGER NOT NULL, value BLOB NOT NULL,
    PRIMARY KEY (bucket, key)
  ) STRICT, WITHOUT ROWID;
  PRAGMA application_id = ${0x574d7478};
  PRAGMA user_version = 1;`;

let folder = '';
let path = '';
const stores: OpenStorage[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'wasmmatrix-store-'));
  path = join(folder, 'store.sqlite');
});
afterEach(async () => {
  for (const store of stores.splice(0)) await store.close();
  rmSync(folder, { recursive: true });
});

async function open(): Promise<OpenStorage> {
  const store = get(await openStorage({ folder }));
  stores.push(store);
  return store;
}

async function refusal(outcome: Promise<Outcome<unknown>> | Outcome<unknown>): Promise<string> {
  const settled = await outcome;
  return settled.ok ? 'ok' : `${settled.error.code}: ${settled.error.message}`;
}

const text = (record: string): Uint8Array => new TextEncoder().encode(record);

async function written(...records: readonly string[]): Promise<void> {
  const store = await open();
  const journal = get(await store.journal('main'));
  for (const [i, record] of records.entries()) get(journal.append(text(record), { expectedSequence: i }));
  get(await journal.sync());
  await store.close();
}

async function readAll(store: OpenStorage): Promise<readonly string[]> {
  const all: string[] = [];
  for await (const { record } of get(await store.journal('main')).read(1)) all.push(new TextDecoder().decode(record));
  return all;
}

function sql(statements: string): void {
  const database = new DatabaseSync(path);
  database.exec(statements);
  database.close();
}

describe('one process at a time', () => {
  it('a second one is refused, and none is after kill -9', async () => {
    const writer = startWriter([process.execPath, WRITER, folder]);
    await writer.said(5);
    expect(await refusal(openStorage({ folder }))).toBe(`WM_STORAGE_IN_USE: Another process has ${path} open.`);
    writer.child.kill('SIGKILL');
    expect(await writer.ended).toBe('SIGKILL');
    expect((await readAll(await open())).length).toBeGreaterThan(0);
  });

  it('not even the same process opens it twice, and it may after a close', async () => {
    const store = await open();
    expect(await refusal(openStorage({ folder }))).toBe(`WM_STORAGE_IN_USE: Another process has ${path} open.`);
    await store.close();
    await open();
  });

  it('a closed store refuses everything, and closing it again is free', async () => {
    const store = await open();
    const journal = get(await store.journal('main'));
    get(journal.append(text('a'), { expectedSequence: 0 }));
    const synced = journal.sync();
    await store.close();
    await store.close();
    get(await synced);
    const closed = 'WM_CANCELLED: The store was closed.';
    expect(await refusal(journal.append(text('b'), { expectedSequence: 1 }))).toBe(closed);
    expect(await refusal(journal.sync())).toBe(closed);
    expect(await refusal(store.journal('other'))).toBe(closed);
    expect(await refusal(store.keyValue('b').get('k'))).toBe(closed);
    expect(await refusal(store.blobs.list())).toBe(closed);
    expect(await refusal(store.blobs.put(digestOf(text('a')), text('a')))).toBe(closed);
  });
});

describe('versions', () => {
  const NEXT = [
    ...MIGRATIONS,
    { why: 'A note on each journal.', sql: `ALTER TABLE journals ADD COLUMN note TEXT NOT NULL DEFAULT 'none'` },
  ];

  it('a store of version 1 is read by this program', async () => {
    sql(`${VERSION_1}
      INSERT INTO journals VALUES (1, 'main', 6);
      INSERT INTO records VALUES (1, 7, ${crc32('seven', 7)}, CAST('seven' AS BLOB));
      INSERT INTO entries VALUES ('b', 'k', 3, ${crc32('three', 3)}, CAST('three' AS BLOB));`);
    const store = await open();
    expect(await readAll(store)).toEqual(['seven']);
    expect(get(await store.keyValue('b').get('k'))).toEqual({ version: 3, value: text('three') });
  });

  it('each migration is applied once to what is there', async () => {
    await written('a', 'b');
    for (let i = 0; i < 2; i++) get(Database.open({ path, lockWaitMs: LOCK_WAIT_MS, migrations: NEXT })).close();
    const database = new DatabaseSync(path);
    expect(database.prepare('SELECT name, note FROM journals').all()).toEqual([{ name: 'main', note: 'none' }]);
    expect(database.prepare('SELECT count(*) AS records FROM records').get()).toEqual({ records: 2 });
    database.close();
  });

  it('a migration that fails changes nothing', async () => {
    await written('a');
    const migrations = [...NEXT, { why: 'It cannot be done.', sql: 'CREATE TABLE more (x INTEGER) STRICT; DROP TABLE missing' }];
    expect(await refusal(Database.open({ path, lockWaitMs: LOCK_WAIT_MS, migrations }))).toContain('no such table: missing');
    const database = new DatabaseSync(path);
    expect(database.prepare('PRAGMA user_version').get()).toEqual({ user_version: 2 });
    expect(database.prepare(`SELECT count(*) AS tables FROM sqlite_schema WHERE name = 'more'`).get()).toEqual({ tables: 0 });
    database.close();
  });

  it('a newer store is refused and not changed', async () => {
    await written('a');
    get(Database.open({ path, lockWaitMs: LOCK_WAIT_MS, migrations: NEXT })).close();
    const before = readFileSync(path);
    expect(await refusal(openStorage({ folder }))).toBe(
      `WM_STORAGE_VERSION: ${path} has schema version 2; this program knows versions up to 1.`,
    );
    expect(readFileSync(path)).toEqual(before);
  });

  it('a database of another program is refused and not changed', async () => {
    sql('CREATE TABLE recipes (name TEXT)');
    const before = readFileSync(path);
    expect(await refusal(openStorage({ folder }))).toBe(`WM_STORAGE_VERSION: ${path} is a database of another program.`);
    expect(readFileSync(path)).toEqual(before);
  });
});

describe('damage', () => {
  it('a file that is no database', async () => {
    writeFileSync(path, 'x'.repeat(8_192));
    expect(await refusal(openStorage({ folder }))).toMatch(/^WM_JOURNAL_CORRUPT: .* is damaged and cannot be opened/);
  });

  it('a file that lost its end', async () => {
    await written(...Array.from({ length: 50 }, (_, i) => `${i}`.repeat(500)));
    const bytes = readFileSync(path);
    writeFileSync(path, bytes.subarray(0, bytes.length / 2));
    expect(await refusal(openStorage({ folder }))).toMatch(/^WM_JOURNAL_CORRUPT: .* is damaged/);
  });

  it('one bit of one record', async () => {
    await written('first', 'second', 'third');
    const bytes = readFileSync(path);
    const at = bytes.indexOf('second');
    bytes[at] = bytes[at]! ^ 1;
    writeFileSync(path, bytes);
    expect(await refusal((await open()).journal('main'))).toBe(`WM_JOURNAL_CORRUPT: Record 2 in ${path} is not what was written.`);
  });

  it('a record that is gone', async () => {
    await written('first', 'second', 'third');
    sql('DELETE FROM records WHERE sequence = 2');
    expect(await refusal((await open()).journal('main'))).toBe(`WM_JOURNAL_CORRUPT: Journal main in ${path} lacks record 2.`);
  });

  it('one bit of a value, while the other values can be read', async () => {
    const store = await open();
    const bucket = store.keyValue('bucket');
    get(await bucket.put('good', text('good value'), { expectedVersion: 0 }));
    get(await bucket.put('bad', text('bad value'), { expectedVersion: 0 }));
    await store.close();
    sql(`UPDATE entries SET value = CAST('bae value' AS BLOB) WHERE key = 'bad'`);
    const again = (await open()).keyValue('bucket');
    expect(await refusal(again.get('bad'))).toBe(`WM_JOURNAL_CORRUPT: Key bad of bucket bucket in ${path} is not what was written.`);
    expect(get(await again.get('good'))?.value).toEqual(text('good value'));
  });

  it('a blob that a killed process left aside is gone after the next start', async () => {
    mkdirSync(join(folder, 'blobs'));
    writeFileSync(join(folder, 'blobs', 'half.new'), 'half');
    const store = await open();
    expect(get(await store.blobs.list())).toEqual([]);
    expect(() => readFileSync(join(folder, 'blobs', 'half.new'))).toThrow('ENOENT');
  });
});

describe('bounds', () => {
  it('more operations than the queue takes are refused, and the others are done', async () => {
    const store = await open();
    const bucket = store.keyValue('bucket');
    const outcomes = await Promise.all(Array.from({ length: OPERATIONS_MAX + 3 }, () => bucket.get('key')));
    const refused = outcomes.filter((outcome) => !outcome.ok);
    expect(refused).toHaveLength(3);
    expect(await refusal(refused[0]!)).toBe(`WM_STORAGE_FULL: ${path} has ${OPERATIONS_MAX} operations to do.`);
    get(await bucket.put('key', text('after'), { expectedVersion: 0 }));
  });

  it('more bytes than may wait for a sync are refused, and taken after it', async () => {
    const store = await open();
    const journal = get(await store.journal('main'));
    const record = new Uint8Array(JOURNAL_RECORD_BYTES_MAX);
    const append = (): Outcome<number> => journal.append(record, { expectedSequence: journal.lastSequence });
    for (let bytes = 0; bytes < BYTES_PENDING_MAX; bytes += record.length) get(append());
    expect(await refusal(append())).toMatch(/^WM_STORAGE_FULL: .* bytes to write; 1048576 more do not fit\.$/);
    get(await journal.sync());
    get(append());
  });

  it('names that lead nowhere are refused', async () => {
    const store = await open();
    expect(await refusal(store.blobs.put('sha256:../../etc/passwd' as never, text('a')))).toMatch(/^WM_ARGUMENT: /);
    expect(await refusal(store.journal(''))).toBe('WM_ARGUMENT: The name of a journal has 0 characters.');
    expect(await refusal(store.keyValue('b').get('k'.repeat(2_000)))).toBe('WM_ARGUMENT: The name of a key has 2000 characters.');
  });

  it('a folder that cannot be made is named', async () => {
    writeFileSync(join(folder, 'file'), '');
    expect(await refusal(openStorage({ folder: join(folder, 'file') }))).toBe(
      `WM_STORAGE_FAILED: ${join(folder, 'file')} could not be made: a part of its path is a file and no folder, ENOTDIR.`,
    );
  });
});
