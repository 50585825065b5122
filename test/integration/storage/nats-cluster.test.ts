// A store on three servers: each write is on two of them before it is acknowledged, and one of them may die.
import { connect } from '@nats-io/transport-node';
import type { NatsConnection } from '@nats-io/transport-node';
import { jetstreamManager } from '@nats-io/jetstream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openNatsStorage } from '../../../hardware/storage/nats/nats.ts';
import type { OpenStorage } from '../../../hardware/storage/storage.ts';
import type { Outcome } from '../../../system/domain/outcome.ts';
import { reserveAddress } from '../../support/network/reserve.ts';
import { NATS, startNats } from '../../support/nats/nats.ts';
import type { NatsServer } from '../../support/nats/nats.ts';
import { until } from '../leadership/site.ts';
import { blobOf, digestOf, examine, get, recordOf, valueOf } from './contents.ts';

const REPLICAS = 3;
const RECORDS = 200;
const GROUP = 10;

const sentenceOf = (outcome: Outcome<unknown>): string => (outcome.ok ? 'ok' : `${outcome.error.code} ${outcome.error.message}`);

// Left out where there is neither a nats-server nor Go to build one.
describe.skipIf('missing' in NATS)(`a store on a cluster (${'missing' in NATS ? NATS.missing : NATS.title})`, () => {
  const servers: NatsServer[] = [];
  const connections: NatsConnection[] = [];
  beforeAll(async () => {
    const routes = await Promise.all(Array.from({ length: REPLICAS }, reserveAddress));
    const all = routes.map((route) => `"nats://${route}"`).join(', ');
    for (const route of routes) {
      servers.push(await startNats({ config: `max_payload: 2MB\ncluster { name: test, listen: "${route}", routes: [${all}] }` }));
    }
  });
  afterAll(async () => {
    await Promise.all(connections.map((connection) => connection.close()));
    await Promise.all(servers.map((server) => server.stop()));
  });

  async function open(asked: readonly NatsServer[] = servers): Promise<Outcome<OpenStorage>> {
    const connection = await connect({ servers: servers.map(({ url }) => url), maxReconnectAttempts: -1 });
    connections.push(connection);
    return openNatsStorage({
      connection,
      replicas: REPLICAS,
      durability: { kind: 'monitor', urls: asked.map(({ monitorUrl }) => monitorUrl) },
    });
  }

  /** Writes one round, and gives the sequence that was acknowledged; null where the cluster is not ready for all of it. */
  async function write(storage: OpenStorage, round: number, acknowledged: number): Promise<number | null> {
    const journal = await storage.journal('main');
    if (!journal.ok) return null;
    expect(journal.value.lastSequence).toBeGreaterThanOrEqual(acknowledged);
    for (let i = 0; i < RECORDS; i++) {
      const last = journal.value.lastSequence;
      get(journal.value.append(recordOf(last + 1), { expectedSequence: last }));
      if (i % GROUP === GROUP - 1 && !(await journal.value.sync()).ok) return null;
    }
    const put = await storage.keyValue('b').put('k', valueOf(1), { expectedVersion: null });
    const stored = await storage.blobs.put(digestOf(blobOf(round)), blobOf(round));
    return put.ok && stored.ok ? journal.value.lastSequence : null;
  }

  it('asks all of them whether they sync, and keeps what was acknowledged when one after the other is killed', async () => {
    const connection = await connect({ servers: servers.map(({ url }) => url) });
    await until('the cluster has a leader', async () => {
      try {
        return (await (await jetstreamManager(connection)).getAccountInfo()).streams >= 0;
      } catch {
        return false;
      }
    });
    await connection.close();

    let acknowledged = 0;
    for (const [round, server] of servers.entries()) {
      await until('a round is written', async () => {
        const opened = await open();
        if (!opened.ok) return false;
        const written = await write(opened.value, round, acknowledged);
        acknowledged = Math.max(acknowledged, written ?? 0);
        await opened.value.close();
        return written !== null;
      });
      await server.kill();
      await server.restart();
    }
    await until('everything is read', async () => {
      const opened = await open();
      const journal = opened.ok ? await opened.value.journal('main') : opened;
      if (!opened.ok || !journal.ok) return false;
      expect(journal.value.lastSequence).toBeGreaterThanOrEqual(acknowledged);
      expect((await examine(journal.value)).faults).toEqual([]);
      const blobs = await Promise.all(servers.map((_, round) => opened.value.blobs.get(digestOf(blobOf(round)))));
      const entry = await opened.value.keyValue('b').get('k');
      await opened.value.close();
      if (!entry.ok || blobs.some((blob) => !blob.ok)) return false;
      expect(entry.value?.version).toBeGreaterThanOrEqual(REPLICAS);
      for (const [round, blob] of blobs.entries()) expect(get(blob)).toEqual(blobOf(round));
      return true;
    });

    // Only one was asked: it may be another than the one that the connection has chosen, which is refused as well.
    expect(sentenceOf(await open(servers.slice(0, 1)))).toMatch(
      /^WM_STORAGE_UNSUITABLE (1 of the 3 servers that keep the streams said that they sync|The server that was asked)/,
    );
  });
});
