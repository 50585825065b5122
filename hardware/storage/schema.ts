// What the database of a store looks like, version by version. A version that was released is never edited: the next one is
// added at the end, as the change from the one before. Refuses databases of newer versions and of other programs.
import type { DatabaseSync } from 'node:sqlite';
import { ok, rejected } from '../../system/domain/outcome.ts';
import type { Outcome } from '../../system/domain/outcome.ts';

/** 'WMtx': what SQLite keeps in the header of the file for its owner. */
const APPLICATION_ID = 0x574d7478;

export type Migration = { readonly why: string; readonly sql: string };

/** Entry `n` leads from version `n` to version `n + 1`. */
export const MIGRATIONS: readonly Migration[] = [
  {
    why: 'Journals, their records with a checksum each, and the entries of buckets.',
    sql: `
      CREATE TABLE journals (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, dropped INTEGER NOT NULL) STRICT;
      CREATE TABLE records (
        journal INTEGER NOT NULL, sequence INTEGER NOT NULL, checksum INTEGER NOT NULL, record BLOB NOT NULL,
        PRIMARY KEY (journal, sequence)
      ) STRICT, WITHOUT ROWID;
      CREATE TABLE entries (
        bucket TEXT NOT NULL, key TEXT NOT NULL, version INTEGER NOT NULL, checksum INTEGER NOT NULL, value BLOB NOT NULL,
        PRIMARY KEY (bucket, key)
      ) STRICT, WITHOUT ROWID;`,
  },
];

function numberOf(database: DatabaseSync, sql: string): number {
  return Number(Object.values(database.prepare(sql).get() ?? {})[0]);
}

/** The version of a database, 0 for an empty one; nothing is written. */
export function checkVersion(database: DatabaseSync, path: string, migrations: readonly Migration[]): Outcome<number> {
  const owner = numberOf(database, 'PRAGMA application_id');
  const version = numberOf(database, 'PRAGMA user_version');
  const empty = owner === 0 && version === 0 && numberOf(database, 'SELECT count(*) FROM sqlite_schema') === 0;
  if (empty) return ok(0);
  if (owner !== APPLICATION_ID || version < 1) {
    return rejected('WM_STORAGE_VERSION', {
      message: `${path} is a database of another program.`,
      next: 'Name another folder.',
      detail: { path },
    });
  }
  if (version > migrations.length) {
    return rejected('WM_STORAGE_VERSION', {
      message: `${path} has schema version ${version}; this program knows versions up to ${migrations.length}.`,
      next: 'Start the version of the program that wrote it, or a newer one; nothing was changed.',
      detail: { path, version, versionMax: migrations.length },
    });
  }
  return ok(version);
}

/** Each step is one transaction with its version: a crash leaves the version before it or the one after it. */
export function migrate(database: DatabaseSync, version: number, migrations: readonly Migration[]): void {
  for (const [i, { sql }] of migrations.entries()) {
    if (i < version) continue;
    database.exec('BEGIN IMMEDIATE');
    database.exec(sql);
    database.exec(`PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = ${i + 1}; COMMIT`);
  }
}
