// The server that the other suites rely on is a real one, and comes back with what it had.
import { connect } from '@nats-io/transport-node';
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { describe, expect, test } from 'vitest';
import { NATS, startNats } from '../../support/nats/nats.ts';

// Left out where there is neither a nats-server nor Go to build one.
describe.skipIf('missing' in NATS)(`a NATS server for tests (${'missing' in NATS ? NATS.missing : NATS.title})`, () => {
  test('keeps its address and what it acknowledged over a kill and over a restart', async () => {
    const server = await startNats();
    try {
      expect('missing' in NATS ? null : NATS.how).toBe(server.how);
      const first = await connect({ servers: server.url });
      await (await jetstreamManager(first)).streams.add({ name: 'KEPT', subjects: ['kept'] });
      await jetstream(first).publish('kept', 'one');
      await first.close();
      await server.kill();
      await expect(connect({ servers: server.url, maxReconnectAttempts: 0 })).rejects.toThrow(/refused/);
      await server.restart();
      const second = await connect({ servers: server.url });
      await jetstream(second).publish('kept', 'two');
      await second.close();
      await server.restart();
      const third = await connect({ servers: server.url });
      expect((await (await jetstreamManager(third)).streams.info('KEPT')).state.messages).toBe(2);
      await third.close();
    } finally {
      await server.stop();
    }
  });

  test('says whether it calls fsync before it acknowledges', async () => {
    for (const syncAlways of [true, false]) {
      const server = await startNats({ syncAlways });
      try {
        const { config } = (await (await fetch(`${server.monitorUrl}/jsz`)).json()) as {
          readonly config: { readonly sync_always?: boolean };
        };
        expect(config.sync_always ?? false).toBe(syncAlways);
      } finally {
        await server.stop();
      }
    }
  });

  test('takes configuration and files of a test, and tells why it did not start', async () => {
    const server = await startNats({
      jetStream: false,
      config: 'include "files/users.conf"',
      files: { 'users.conf': 'authorization { user: a, password: b }' },
    });
    try {
      await expect(connect({ servers: server.url, maxReconnectAttempts: 0 })).rejects.toThrow(/[Aa]uthorization/);
      await (await connect({ servers: server.url, user: 'a', pass: 'b' })).close();
    } finally {
      await server.stop();
    }
    await expect(startNats({ config: 'no such setting' })).rejects.toThrow(/Parse error/);
  });
});
