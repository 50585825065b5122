// The database of a store, synchronously: it runs in the thread of worker.ts. A batch of operations is one transaction,
// and so durable as a whole or not at all. Safety: in exclusive mode SQLite holds the lock of the operating system from the
// first look to the end of the process, however that ends; nothing else in this process may open and close the file, since
// POSIX would give the lock back.
import { DatabaseSync } from 'node:sqlite';
import type { StatementSync } from 'node:sqlite';
import { crc32 } from 'node:zlib';
import type { StateEntry } from '../../system/domain/broker.ts';
import { assert, assertNever, ok, rejected } from '../../system/domain/outcome.ts';
import type { Outcome } from '../../system/domain/outcome.ts';
import { PAGE_BYTES_MAX } from './operations.ts';
import type { BatchResult, JournalPosition, JournalRow, Operation } from './operations.ts';
import { checkVersion, migrate, MIGRATIONS } from './schema.ts';
import type { Migration } from './schema.ts';
import { corrupt, describeTrouble } from './trouble.ts';

/** Bound: bytes of the write-ahead log that are kept for its next round; more is given back to the disk. */
const LOG_BYTES_KEPT_MAX = 64 * 1024 * 1024;
/** Bound: pages of 4 KiB in the write-ahead log before they are moved into the database. */
const LOG_PAGES_MAX = 1_000;

type Row = { readonly sequence: number; readonly checksum: number; readonly record: Uint8Array };

/** Of the bytes and of where they belong, so that a record in the place of another is noticed too. */
const checksumOf = (bytes: Uint8Array, place: number): number => crc32(bytes, place >>> 0);

export type DatabaseOptions = { readonly path: string; readonly lockWaitMs: number; readonly migrations?: readonly Migration[] };

export class Database {
  readonly #database: DatabaseSync;
  readonly #path: string;
  readonly #statements = new Map<string, StatementSync>();
  /** Sequence of the last record of each open journal. */
  readonly #last = new Map<number, number>();

  private constructor(database: DatabaseSync, path: string) {
    this.#database = database;
    this.#path = path;
  }

  static open({ path, lockWaitMs, migrations = MIGRATIONS }: DatabaseOptions): Outcome<Database> {
    let database: DatabaseSync | null = null;
    try {
      database = new DatabaseSync(path, { timeout: lockWaitMs });
      database.exec('PRAGMA locking_mode = EXCLUSIVE');
      const version = checkVersion(database, path, migrations);
      if (!version.ok) {
        database.close();
        return version;
      }
      database.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA journal_size_limit = ${LOG_BYTES_KEPT_MAX}`);
      database.exec(`PRAGMA wal_autocheckpoint = ${LOG_PAGES_MAX}`);
      assert(database.prepare('PRAGMA journal_mode').get()?.['journal_mode'] === 'wal', 'a store writes ahead');
      const found = Object.values(database.prepare('PRAGMA quick_check(1)').get() ?? {})[0];
      if (found !== 'ok') {
        database.close();
        return corrupt(`${path} is damaged: ${String(found)}.`, { path });
      }
      migrate(database, version.value, migrations);
      return ok(new Database(database, path));
    } catch (error) {
      const trouble = describeTrouble(error, path, 'opened');
      if (database?.isOpen === true) database.close();
      return trouble;
    }
  }

  /** Invariant: an outcome that is not ok belongs to an operation that changed nothing. */
  run(operations: readonly Operation[]): BatchResult {
    try {
      this.#database.exec('BEGIN IMMEDIATE');
      const outcomes = operations.map((operation) => this.#apply(operation));
      this.#database.exec('COMMIT');
      return { committed: true, outcomes };
    } catch (error) {
      // What was not committed is forgotten with the connection: this store is not used again.
      if (!(error instanceof Error && 'errcode' in error)) throw error;
      return { committed: false, reason: describeTrouble(error, this.#path, 'written') };
    }
  }

  close(): void {
    this.#database.close();
  }

  #apply(operation: Operation): Outcome<unknown> {
    switch (operation.kind) {
      case 'open':
        return this.#open(operation.name);
      case 'append':
        return this.#append(operation);
      case 'page':
        return this.#page(operation);
      case 'get':
        return this.#get(operation.bucket, operation.key);
      case 'put':
        return this.#put(operation);
      default:
        return assertNever(operation, 'an operation');
    }
  }

  #prepare(sql: string): StatementSync {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      statement = this.#database.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }

  /** Reads all of it once, so that damage is told before anything is built on it. */
  #open(name: string): Outcome<JournalPosition> {
    this.#prepare('INSERT INTO journals (name, dropped) VALUES (?, 0) ON CONFLICT DO NOTHING').run(name);
    const { id: journal, dropped } = this.#prepare('SELECT id, dropped FROM journals WHERE name = ?').get(name) as {
      readonly id: number;
      readonly dropped: number;
    };
    let last = dropped;
    for (const row of this.#rows(journal, 0, Number.MAX_SAFE_INTEGER)) {
      if (row.sequence !== last + 1) return corrupt(`Journal ${name} in ${this.#path} lacks record ${last + 1}.`, { sequence: last + 1 });
      if (checksumOf(row.record, row.sequence) !== row.checksum) return this.#damaged(row.sequence);
      last = row.sequence;
    }
    this.#last.set(journal, last);
    return ok({ journal, dropped, last });
  }

  #append({ journal, first, records, dropped }: Operation & { kind: 'append' }): Outcome<void> {
    let last = this.#last.get(journal) ?? Number.NaN;
    assert(first === last + 1, 'records reach the database in order and once');
    const insert = this.#prepare('INSERT INTO records (journal, sequence, checksum, record) VALUES (?, ?, ?, ?)');
    for (const record of records) insert.run(journal, ++last, checksumOf(record, last), record);
    assert(dropped <= last, 'only what was written is dropped');
    const moved = this.#prepare('UPDATE journals SET dropped = ? WHERE id = ? AND dropped < ?').run(dropped, journal, dropped);
    if (moved.changes !== 0) this.#prepare('DELETE FROM records WHERE journal = ? AND sequence <= ?').run(journal, dropped);
    this.#last.set(journal, last);
    return ok();
  }

  #page({ journal, from, to }: Operation & { kind: 'page' }): Outcome<readonly JournalRow[]> {
    const page: JournalRow[] = [];
    let bytes = 0;
    for (const { sequence, checksum, record } of this.#rows(journal, from, to)) {
      if (checksumOf(record, sequence) !== checksum) return this.#damaged(sequence);
      page.push({ sequence, record });
      bytes += record.length;
      if (bytes >= PAGE_BYTES_MAX) break;
    }
    return ok<readonly JournalRow[]>(page);
  }

  #rows(journal: number, from: number, to: number): IterableIterator<Row> {
    const sql = 'SELECT sequence, checksum, record FROM records WHERE journal = ? AND sequence BETWEEN ? AND ? ORDER BY sequence';
    return this.#prepare(sql).iterate(journal, from, to) as IterableIterator<Row>;
  }

  #get(bucket: string, key: string): Outcome<StateEntry | null> {
    const row = this.#prepare('SELECT version, checksum, value FROM entries WHERE bucket = ? AND key = ?').get(bucket, key) as
      | { readonly version: number; readonly checksum: number; readonly value: Uint8Array }
      | undefined;
    if (row === undefined) return ok<StateEntry | null>(null);
    const { version, checksum, value } = row;
    if (checksumOf(value, version) !== checksum) {
      return corrupt(`Key ${key} of bucket ${bucket} in ${this.#path} is not what was written.`, { bucket, key });
    }
    return ok<StateEntry | null>({ version, value });
  }

  #put({ bucket, key, value, expectedVersion }: Operation & { kind: 'put' }): Outcome<number> {
    const found = this.#prepare('SELECT version FROM entries WHERE bucket = ? AND key = ?').get(bucket, key);
    const current = Number(found?.['version'] ?? 0);
    if (expectedVersion !== null && expectedVersion !== current) {
      return rejected('WM_CONFLICT', {
        message: `Key ${key} is at version ${current}, not ${expectedVersion}.`,
        next: 'Read the key again and decide on its new value.',
        detail: { key, version: current, expectedVersion },
      });
    }
    const version = current + 1;
    this.#prepare(
      `INSERT INTO entries (bucket, key, version, checksum, value) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE
       SET version = excluded.version, checksum = excluded.checksum, value = excluded.value`,
    ).run(bucket, key, version, checksumOf(value, version), value);
    return ok(version);
  }

  #damaged(sequence: number): Outcome<never> {
    return corrupt(`Record ${sequence} in ${this.#path} is not what was written.`, { path: this.#path, sequence });
  }
}
