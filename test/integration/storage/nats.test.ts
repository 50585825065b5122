// What the contract cannot say of a store on NATS: it refuses servers that would make it lie, a second writer ends the first,
// and what somebody changed on the server is noticed.
import type { NatsConnection } from '@nats-io/transport-node';
import { connect, headers } from '@nats-io/transport-node';
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { openNatsStorage } from '../../../hardware/storage/nats/nats.ts';
import type { Durability, NatsStorageOptions } from '../../../hardware/storage/nats/nats.ts';
import type { OpenStorage } from '../../../hardware/storage/storage.ts';
import type { Outcome } from '../../../system/domain/outcome.ts';
import type { Digest } from '../../../system/domain/identifiers.ts';
import { NATS, startNats } from '../../support/nats/nats.ts';
import type { NatsOptions, NatsServer } from '../../support/nats/nats.ts';
import { blobOf, digestOf, examine, get, recordOf } from './contents.ts';

const LARGE = { config: 'max_payload: 2MB' };
const ACCEPTED: Durability = { kind: 'accept-loss-at-power-cut' };
const HOUR_MS = 3_600_000;

const codeOf = (outcome: Outcome<unknown>): string => (outcome.ok ? 'ok' : outcome.error.code);
const sentenceOf = (outcome: Outcome<unknown>): string => (outcome.ok ? 'ok' : `${outcome.error.code} ${outcome.error.message}`);

// Left out where there is neither a nats-server nor Go to build one.
describe.skipIf('missing' in NATS)(`a store on NATS (${'missing' in NATS ? NATS.missing : NATS.title})`, () => {
  let shared: NatsServer;
  let stores = 0;
  const ends: (() => Promise<unknown>)[] = [];
  beforeAll(async () => {
    shared = await startNats(LARGE);
  });
  afterAll(() => shared.stop());
  afterEach(async () => {
    for (const end of ends.splice(0).toReversed()) await end();
  });

  async function connection(server: NatsServer, options: { readonly user?: string; readonly pass?: string } = {}): Promise<NatsConnection> {
    const made = await connect({ servers: server.url, ...options });
    ends.push(() => made.close());
    return made;
  }

  async function serverOf(options: NatsOptions): Promise<NatsServer> {
    const server = await startNats(options);
    ends.push(() => server.stop());
    return server;
  }

  async function open(name: string, options: Partial<NatsStorageOptions> = {}): Promise<OpenStorage> {
    const storage = get(await openNatsStorage({ connection: await connection(shared), name, durability: ACCEPTED, ...options }));
    ends.push(() => storage.close());
    return storage;
  }

  const newName = (): string => `store-${++stores}`;

  it('refuses a server that acknowledges before it syncs, unless the operator accepts what a power cut takes', async () => {
    const server = await serverOf({ ...LARGE, syncAlways: false });
    const made = await connection(server);
    const refused = await openNatsStorage({ connection: made, durability: { kind: 'monitor', urls: [server.monitorUrl] } });
    expect(sentenceOf(refused)).toMatch(/^WM_STORAGE_UNSUITABLE NATS server test-\d+ acknowledges before it has synced/);
    expect(refused.ok ? '' : refused.error.next).toContain('sync_interval: always');
    get(await openNatsStorage({ connection: made, durability: ACCEPTED }));
  });

  it('takes the word of the very server that it is connected to, and says when nobody could be asked', async () => {
    const other = await serverOf(LARGE);
    const made = await connection(shared);
    const asked = (url: string): Promise<Outcome<OpenStorage>> =>
      openNatsStorage({ connection: made, name: newName(), durability: { kind: 'monitor', urls: [url] } });
    expect(sentenceOf(await asked(other.monitorUrl))).toMatch(/^WM_STORAGE_UNSUITABLE The server that was asked .* is not the one/);
    await other.kill();
    expect(sentenceOf(await asked(other.monitorUrl))).toMatch(/^WM_UNREACHABLE http.* could not be asked whether it syncs/);
    get(await asked(shared.monitorUrl));
  });

  it.each([true, false])('asks through the system account (the server syncs: %s)', async (syncAlways) => {
    const config = `${LARGE.config}
      accounts { SYS { users: [{ user: sys, password: s }] }, APP { jetstream: enabled, users: [{ user: app, password: a }] } }
      system_account: SYS`;
    const server = await serverOf({ syncAlways, config });
    const system = await connection(server, { user: 'sys', pass: 's' });
    const made = await connection(server, { user: 'app', pass: 'a' });
    const opened = await openNatsStorage({ connection: made, durability: { kind: 'system', connection: system } });
    expect(codeOf(opened)).toBe(syncAlways ? 'ok' : 'WM_STORAGE_UNSUITABLE');
  });

  it('refuses a server without JetStream, and one that takes too small messages', async () => {
    const plain = await serverOf({ ...LARGE, jetStream: false });
    const without = await openNatsStorage({ connection: await connection(plain), durability: ACCEPTED });
    expect(sentenceOf(without)).toBe('WM_STORAGE_UNSUITABLE The NATS server has no JetStream.');
    const small = await serverOf({});
    const narrow = await openNatsStorage({ connection: await connection(small), durability: ACCEPTED });
    expect(sentenceOf(narrow)).toMatch(/^WM_STORAGE_UNSUITABLE The NATS server takes messages of 1048576 bytes/);
    expect(narrow.ok ? '' : narrow.error.next).toContain('max_payload: 2MB');
  });

  it('refuses a stream that somebody made or changed so that it forgets', async () => {
    const name = newName();
    const manager = await jetstreamManager(await connection(shared));
    get(await (await open(name)).journal('main'));
    await manager.streams.update(`${name}-journal-main`, { max_age: HOUR_MS * 1_000_000 });
    expect(sentenceOf(await (await open(name)).journal('main'))).toMatch(/^WM_STORAGE_UNSUITABLE Stream .* was changed: max_age/);
    await manager.streams.add({ name: `${name}-journal-other`, subjects: [`${name}-journal.other`] });
    expect(sentenceOf(await (await open(name)).journal('other'))).toBe(
      `WM_STORAGE_VERSION Stream ${name}-journal-other is none of WasmMatrix.`,
    );
  });

  it('ends the store whose journal another process has written to, and says that to everyone who waits', async () => {
    const name = newName();
    const [old, young] = [await open(name), await open(name)];
    const journals = [get(await old.journal('main')), get(await young.journal('main'))] as const;
    get(journals[1].append(recordOf(1), { expectedSequence: 0 }));
    get(await journals[1].sync());
    const syncs: Promise<Outcome<void>>[] = [];
    for (let i = 0; i < 20; i++) {
      get(journals[0].append(recordOf(i + 1), { expectedSequence: i }));
      syncs.push(journals[0].sync());
    }
    for (const synced of await Promise.all(syncs)) {
      expect(sentenceOf(synced)).toBe(
        `WM_JOURNAL_CONFLICT Journal main is beyond sequence 0: another process wrote to stream ${name}-journal-main.`,
      );
    }
    expect(codeOf(journals[0].append(recordOf(21), { expectedSequence: 20 }))).toBe('WM_JOURNAL_CONFLICT');
    expect(codeOf(await old.keyValue('b').put('k', recordOf(1), { expectedVersion: null }))).toBe('WM_JOURNAL_CONFLICT');
    get(journals[1].append(recordOf(2), { expectedSequence: 1 }));
    get(await journals[1].sync());
    expect((await examine(get(await (await open(name)).journal('main')))).faults).toEqual([]);
  });

  it('refuses the writes of a store whose bucket another process has opened', async () => {
    const name = newName();
    const [old, young] = [await open(name), await open(name)];
    get(await old.keyValue('b').put('k', recordOf(1), { expectedVersion: 0 }));
    expect(get(await young.keyValue('b').get('k'))?.version).toBe(1);
    expect(sentenceOf(await old.keyValue('b').put('k', recordOf(2), { expectedVersion: 1 }))).toMatch(
      /^WM_JOURNAL_CONFLICT Bucket .* another process wrote to it/,
    );
    expect(get(await young.keyValue('b').put('k', recordOf(3), { expectedVersion: 1 }))).toBe(2);
    expect(get(await young.keyValue('b').get('k'))?.value).toEqual(recordOf(3));
  });

  it('writes nothing more when this process does not lead, before anybody else has written', async () => {
    const name = newName();
    let isLeading = true;
    const storage = await open(name, { isLeading: () => isLeading });
    const journal = get(await storage.journal('main'));
    get(journal.append(recordOf(1), { expectedSequence: 0 }));
    get(await journal.sync());
    get(await storage.keyValue('b').put('k', recordOf(1), { expectedVersion: 0 }));
    isLeading = false;
    get(journal.append(recordOf(2), { expectedSequence: 1 }));
    expect(sentenceOf(await journal.sync())).toBe(
      'WM_JOURNAL_CONFLICT journal main on NATS was not written: this process does not hold the lease any more.',
    );
    expect(codeOf(await storage.keyValue('b').put('k', recordOf(2), { expectedVersion: 1 }))).toBe('WM_JOURNAL_CONFLICT');
    const next = await open(name);
    expect(get(await next.journal('main')).lastSequence).toBe(1);
    expect(get(await next.keyValue('b').get('k'))?.version).toBe(1);
  });

  it('keeps a long run of records that goes in several writes, in order', async () => {
    const name = newName();
    const journal = get(await (await open(name)).journal('main'));
    const COUNT = 3_000;
    for (let i = 0; i < COUNT; i++) get(journal.append(recordOf(i + 1), { expectedSequence: i }));
    get(await journal.sync());
    const again = get(await (await open(name)).journal('main'));
    expect(again.lastSequence).toBe(COUNT);
    expect(await examine(again)).toEqual({ first: 1, faults: [] });
  });

  it('says which record, value or blob is not what was written', async () => {
    const name = newName();
    const storage = await open(name);
    get(await storage.journal('main'));
    const blob = blobOf(1);
    get(await storage.blobs.put(digestOf(blob), blob));
    get(await storage.keyValue('b').put('k', recordOf(1), { expectedVersion: 0 }));
    const made = await connection(shared);
    const client = jetstream(made);
    const manager = await jetstreamManager(made);
    await client.publish(`${name}-journal.main`, 'no record');
    await client.publish(`$KV.${name}-b.k`, 'no value');
    const subject = `$O.${name}-blobs.M.>`;
    const described = await manager.streams.getMessage(`OBJ_${name}-blobs`, { last_by_subj: subject });
    const rollup = headers();
    rollup.set('Nats-Rollup', 'sub');
    const other = { ...described!.json<Record<string, unknown>>(), digest: `SHA-256=${Buffer.alloc(32).toString('base64url')}=` };
    await client.publish(described!.subject, JSON.stringify(other), { headers: rollup });

    expect(sentenceOf(await (await open(name)).journal('main'))).toMatch(/^WM_JOURNAL_CORRUPT Record 1 in stream .* not what was written/);
    expect(sentenceOf(await storage.keyValue('b').get('k'))).toMatch(/^WM_JOURNAL_CORRUPT Key k of bucket .* is not what was written/);
    expect(sentenceOf(await storage.blobs.get(digestOf(blob)))).toMatch(/^WM_JOURNAL_CORRUPT Blob sha256:.* is not what was written/);
  });

  it('tells keys and journals apart whose names NATS would refuse or confuse', async () => {
    const storage = await open(newName());
    const bucket = storage.keyValue('état de/la nuit');
    const keys = ['a.b', 'a b', 'a_b', 'a>', 'a*', 'ü', 'x'.repeat(1_024), `${'é'.repeat(1_023)}1`, `${'é'.repeat(1_023)}2`, '_opened'];
    for (const [i, key] of keys.entries()) {
      expect(codeOf(await bucket.put(key, recordOf(i), { expectedVersion: 0 }))).toBe('ok');
    }
    for (const [i, key] of keys.entries()) expect(get(await bucket.get(key))?.value).toEqual(recordOf(i));
    expect(codeOf(await bucket.get(''))).toBe('WM_ARGUMENT');
    for (const name of ['a.b', 'a_b', 'a b']) {
      const journal = get(await storage.journal(name));
      get(journal.append(new TextEncoder().encode(name), { expectedSequence: 0 }));
      get(await journal.sync());
    }
  });

  it('keeps blobs of many parts, and takes away the parts that a killed process left, once they are old', async () => {
    const name = newName();
    const storage = await open(name);
    const large = new Uint8Array(3 * 1024 * 1024 + 17).map((_, i) => i % 251);
    get(await storage.blobs.put(digestOf(large), large));
    expect(Buffer.compare(get(await storage.blobs.get(digestOf(large)))!, large)).toBe(0);
    const empty = new Uint8Array();
    get(await storage.blobs.put(digestOf(empty), empty));
    expect(get(await storage.blobs.get(digestOf(empty)))).toEqual(empty);

    const made = await connection(shared);
    const parts = async (): Promise<number> =>
      (await (await jetstreamManager(made)).streams.info(`OBJ_${name}-blobs`, { subjects_filter: `$O.${name}-blobs.C.left` })).state
        .subjects?.[`$O.${name}-blobs.C.left`] ?? 0;
    await jetstream(made).publish(`$O.${name}-blobs.C.left`, 'half of a blob');
    await open(name);
    expect(await parts()).toBe(1);
    const later = await open(name, { civilMs: () => Date.now() + 2 * HOUR_MS });
    expect(await parts()).toBe(0);
    expect(get(await later.blobs.list())).toEqual([digestOf(empty), digestOf(large)].sort());
    get(await later.blobs.delete(digestOf(large)));
    expect(get(await later.blobs.list())).toEqual([digestOf(empty)]);
    expect(codeOf(await later.blobs.put('sha256:no' as Digest, empty))).toBe('WM_ARGUMENT');
  });

  it('a server that has no room refuses, and what was acknowledged stays', async () => {
    const config = `${LARGE.config}
      accounts { APP { jetstream: { max_file: 3MB }, users: [{ user: app, password: a }] } }`;
    const server = await serverOf({ config });
    const made = await connection(server, { user: 'app', pass: 'a' });
    const storage = get(await openNatsStorage({ connection: made, durability: ACCEPTED }));
    const journal = get(await storage.journal('main'));
    let acknowledged = 0;
    let refused: Outcome<void> | null = null;
    while (refused === null && acknowledged < 10) {
      get(journal.append(new Uint8Array(900_000), { expectedSequence: acknowledged }));
      const synced = await journal.sync();
      if (synced.ok) acknowledged++;
      else refused = synced;
    }
    expect(sentenceOf(refused!)).toMatch(/^WM_STORAGE_FULL The NATS server has no room for journal main/);
    expect(acknowledged).toBeGreaterThan(0);
    const again = get(await openNatsStorage({ connection: made, durability: ACCEPTED }));
    expect(get(await again.journal('main')).lastSequence).toBe(acknowledged);
  });

  it('a server that goes away makes what is under way unknown, and ends the store', async () => {
    const server = await serverOf(LARGE);
    const storage = get(await openNatsStorage({ connection: await connection(server), durability: ACCEPTED }));
    const journal = get(await storage.journal('main'));
    get(journal.append(recordOf(1), { expectedSequence: 0 }));
    get(await journal.sync());
    await server.kill();
    get(journal.append(recordOf(2), { expectedSequence: 1 }));
    const synced = await journal.sync();
    expect(synced.ok ? 'ok' : synced.error.kind).toBe('unknown');
    expect(sentenceOf(synced)).toMatch(/^WM_STORAGE_FAILED journal main on NATS could not be written/);
    expect(codeOf(journal.append(recordOf(3), { expectedSequence: 2 }))).toBe('WM_STORAGE_FAILED');
  });
});
