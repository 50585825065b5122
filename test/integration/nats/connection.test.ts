// The connection to real NATS servers: who is let in, what is said when it fails, and what a lost server does to what was asked.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { checkJetStream, checkSyncAlways, connectNats, type NatsLink, type NatsOptions } from '../../../hardware/nats/nats.ts';
import type { Outcome } from '../../../system/domain/outcome.ts';
import { get, TestAuthority } from '../../contract/grpc-world.ts';
import { createCredentials } from '../../support/nats/credentials.ts';
import { NATS, startNats, type NatsOptions as ServerOptions, type NatsServer } from '../../support/nats/nats.ts';

const OPEN = { name: 'test', credentials: { kind: 'none' }, tls: null } as const;
const textOf = (outcome: Outcome<unknown>): string =>
  outcome.ok ? 'ok' : `${outcome.error.code}: ${outcome.error.message} ${outcome.error.next}`;

async function connected<T>(options: NatsOptions, body: (link: NatsLink) => Promise<T>): Promise<T> {
  const link = get(await connectNats(options));
  try {
    return await body(link);
  } finally {
    await link.close();
  }
}

async function serving<T>(options: ServerOptions, body: (server: NatsServer) => Promise<T>): Promise<T> {
  const server = await startNats(options);
  try {
    return await body(server);
  } finally {
    await server.stop();
  }
}

// Left out where there is neither a nats-server nor Go to build one.
describe.skipIf('missing' in NATS)(`a connection to NATS (${'missing' in NATS ? NATS.missing : NATS.title})`, () => {
  const folder = mkdtempSync(join(tmpdir(), 'wasmmatrix-nats-client-'));
  const fileOf = (name: string, text: string): string => {
    writeFileSync(join(folder, name), text, { mode: 0o600 });
    return join(folder, name);
  };
  let server: NatsServer;
  beforeAll(async () => {
    server = await startNats();
  });
  afterAll(async () => {
    rmSync(folder, { recursive: true, force: true });
    await server.stop();
  });

  test('is made with one server of the list that answers, and finds JetStream', async () => {
    await connected({ ...OPEN, servers: ['nats://127.0.0.1:1', server.url] }, async (link) => {
      expect(link.state()).toBe('connected');
      get(await checkJetStream(link));
    });
  });

  test('says which servers cannot be reached', async () => {
    const outcome = await connectNats({ ...OPEN, servers: ['nats://127.0.0.1:1'] });
    expect(textOf(outcome)).toMatch(/^WM_UNREACHABLE: No NATS server can be reached at nats:\/\/127\.0\.0\.1:1: .* Start the server/);
    expect(textOf(await connectNats({ ...OPEN, servers: ['nats://nowhere.invalid:4222'] }))).toMatch(/^WM_UNREACHABLE: .*nowhere\.invalid/);
  });

  test('lets in by user and password, and says that a wrong one was refused', async () => {
    await serving({ config: 'authorization { user: ops, password: right }' }, async ({ url }) => {
      const options = (password: string): NatsOptions => ({
        ...OPEN,
        servers: [url],
        credentials: { kind: 'password', user: 'ops', password },
      });
      await connected(options('right'), async (link) => void get(await checkJetStream(link)));
      expect(textOf(await connectNats(options('wrong')))).toMatch(
        /^WM_NATS_REFUSED: .* refused the credentials of this process \(kind: password\)/,
      );
      expect(textOf(await connectNats({ ...OPEN, servers: [url] }))).toContain('it gave none');
      expect(textOf(await connectNats(options('wrong')))).not.toContain('wrong');
    });
  });

  test('lets in by token', async () => {
    await serving({ config: 'authorization { token: secret }' }, async ({ url }) => {
      const options = (token: string): NatsOptions => ({ ...OPEN, servers: [url], credentials: { kind: 'token', token } });
      await connected(options('secret'), async (link) => void get(await checkJetStream(link)));
      expect(textOf(await connectNats(options('other')))).toMatch(/^WM_NATS_REFUSED/);
    });
  });

  test('lets in by a credentials file, and says when it cannot be read or is of nobody', async () => {
    const known = createCredentials();
    await serving({ config: known.config, jetStream: false }, async ({ url }) => {
      const options = (path: string): NatsOptions => ({ ...OPEN, servers: [url], credentials: { kind: 'file', path } });
      await connected(options(fileOf('known.creds', known.file)), (link) => link.connection.flush());
      expect(textOf(await connectNats(options(fileOf('stranger.creds', createCredentials().file))))).toMatch(
        /^WM_NATS_REFUSED.*kind: file/,
      );
      expect(textOf(await connectNats(options(join(folder, 'absent.creds'))))).toMatch(
        /^WM_NATS_REFUSED: The credentials file .*absent\.creds/,
      );
      expect(textOf(await connectNats(options(fileOf('empty.creds', 'nothing'))))).toMatch(/^WM_NATS_REFUSED/);
    });
  });

  test('speaks TLS with both sides named, and says when the authority of the server is not known', async () => {
    const authority = await TestAuthority.create();
    const [machine, client] = [
      (await authority.issue('nats', { hosts: ['localhost'] })).identity,
      (await authority.issue('agent')).identity,
    ];
    const files = { 'server.pem': machine.certificate, 'server.key': machine.privateKey, 'ca.pem': machine.authorities.join('\n') };
    const config = 'tls { cert_file: "files/server.pem", key_file: "files/server.key", ca_file: "files/ca.pem", verify: true }';
    await serving({ config, files }, async (own) => {
      const url = own.url.replace('127.0.0.1', 'localhost');
      const caFile = fileOf('ca.pem', files['ca.pem']);
      const certificateFile = fileOf('client.pem', client.certificate);
      const keyFile = fileOf('client.key', client.privateKey);
      await connected({ ...OPEN, servers: [url], tls: { caFile, certificateFile, keyFile } }, (link) => link.connection.flush());
      expect(textOf(await connectNats({ ...OPEN, servers: [url] }))).toMatch(/^WM_NATS_REFUSED: TLS with the NATS server/);
      expect((await connectNats({ ...OPEN, servers: [url], tls: { caFile } })).ok).toBe(false);
    });
  });

  test('says that a server has no JetStream', async () => {
    await serving({ jetStream: false }, ({ url }) =>
      connected({ ...OPEN, servers: [url] }, async (link) => {
        expect(textOf(await checkJetStream(link))).toMatch(/^WM_NATS_REFUSED.*needs JetStream/);
      }),
    );
  });

  test('says whether a server calls fsync before it acknowledges', async () => {
    get(await checkSyncAlways([server.monitorUrl]));
    await serving({ syncAlways: false }, async ({ monitorUrl }) => {
      expect(textOf(await checkSyncAlways([server.monitorUrl, monitorUrl]))).toMatch(
        /^WM_NATS_REFUSED: .*calls fsync every 120 s.*sync_interval: always/,
      );
    });
    await serving({ jetStream: false }, async ({ monitorUrl }) => {
      expect(textOf(await checkSyncAlways([monitorUrl]))).toMatch(/^WM_NATS_REFUSED: .*not enabled JetStream/);
    });
    expect(textOf(await checkSyncAlways(['http://127.0.0.1:1']))).toMatch(/^WM_UNREACHABLE: .*does not answer/);
  });

  test('fails at once what is asked while the server is away, ends what was asked before, and returns on its own', async () => {
    await serving({}, async (own) => {
      await connected({ ...OPEN, servers: [own.url] }, async (link) => {
        const states: string[] = [];
        const changed = new Map<string, () => void>();
        const until = (state: string): Promise<void> => new Promise((resolve) => changed.set(state, resolve));
        const unwatch = link.watch((state) => {
          states.push(state);
          changed.get(state)?.();
        });
        link.connection.subscribe('silent', { callback: () => {} });
        const lost = until('lost');
        const asked = link.ask('a question', () => link.connection.request('silent', '', { timeout: 60_000 }));
        await own.kill();
        expect(textOf(await asked)).toMatch(/^WM_CONNECTION_LOST/);
        await lost;
        expect(textOf(await checkJetStream(link))).toMatch(/^WM_UNREACHABLE: NATS: the question for JetStream was not sent/);
        const back = until('connected');
        await own.restart();
        await back;
        get(await checkJetStream(link));
        expect(states).toEqual(['lost', 'connected']);
        unwatch();
      });
    });
  });

  test('closes without waiting for a server that is away, and refuses from then on', async () => {
    await serving({}, async (own) => {
      const link = get(await connectNats({ ...OPEN, servers: [own.url] }));
      await own.kill();
      await link.close();
      expect([link.state(), textOf(await checkJetStream(link))]).toEqual(['closed', expect.stringMatching(/^WM_CANCELLED/)]);
    });
  });
});
