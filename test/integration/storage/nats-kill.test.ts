// Kill -9 of the nats-server under load, which syncs always: nothing acknowledged is lost and nothing is half-written. The log of
// what was acknowledged is kept by this process. WASMMATRIX_KILLS=300 plays more.
import { connect } from '@nats-io/transport-node';
import { describe, expect, it } from 'vitest';
import { openNatsStorage } from '../../../hardware/storage/nats/nats.ts';
import { NATS, startNats } from '../../support/nats/nats.ts';
import { get } from './contents.ts';
import { firstBlobOf, judge, note, nothingTold } from './told.ts';
import { startWriter, WRITER } from './writer.ts';

const KILLS_LEAST = 30;
const KILLS = Number(process.env['WASMMATRIX_KILLS'] ?? KILLS_LEAST);
/** The server is killed at most this long after the writer opened the store. */
const WRITING_MS_MAX = 300;
const TIMEOUT_MS = 60_000 + KILLS * 6_000;

// Left out where there is neither a nats-server nor Go to build one.
describe.skipIf('missing' in NATS)(`a store on NATS (${'missing' in NATS ? NATS.missing : NATS.title})`, () => {
  it(
    `keeps all that was acknowledged through ${KILLS} kills of the server`,
    async () => {
      const server = await startNats({ config: 'max_payload: 2MB' });
      const told = nothingTold();
      try {
        for (let round = 0; round < KILLS; round++) {
          const writer = startWriter([process.execPath, WRITER, server.url, String(firstBlobOf(told))]);
          await writer.said(1);
          await new Promise((resolve) => setTimeout(resolve, Math.random() * WRITING_MS_MAX));
          await server.kill();
          writer.child.kill('SIGKILL');
          // It may have ended by itself: a store that lost its server ends.
          await writer.ended;
          note(told, writer.lines());
          await server.restart();
          const connection = await connect({ servers: server.url });
          const durability = { kind: 'monitor', urls: [server.monitorUrl] } as const;
          const storage = get(await openNatsStorage({ connection, durability }));
          await judge(storage, told);
          await storage.close();
          await connection.close();
        }
      } finally {
        await server.stop();
      }
      process.stdout.write(`storage on NATS: ${KILLS} kills of the server; acknowledged or read: ${JSON.stringify(told)}\n`);
      for (const count of [told.record, told.dropping, told.value, told.blob, told.deleted]) expect(count).toBeGreaterThan(0);
    },
    TIMEOUT_MS,
  );
});
