// Who is let in, and what the others are told.
import { execFileSync, spawnSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectPlain } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { TLSSocket } from 'node:tls';
import { Client, credentials, status } from '@grpc/grpc-js';
import type { ServiceError } from '@grpc/grpc-js';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { STRANGERS_MAX, STRANGERS_OF_PLACE_MAX } from '../../../hardware/network/server.ts';
import { createGrpcNetwork, createIdentityKey } from '../../../hardware/network/network.ts';
import type { GrpcNetwork } from '../../../hardware/network/network.ts';
import type { Endpoint } from '../../../system/domain/identifiers.ts';
import { ok } from '../../../system/domain/outcome.ts';
import type { Outcome } from '../../../system/domain/outcome.ts';
import type { ServiceHandler } from '../../../system/ports/network.ts';
import { get, GrpcWorld, TestAuthority } from '../../contract/grpc-world.ts';

const SERVICE = 'service' as Endpoint;
const SECOND = 1_000_000;
const HOUR_MS = 3_600_000;
/** Not one of npm's binaries. */
const OPENSSL = 'openssl';
const WAIT = { deadlineMicros: 10 * SECOND };
const WHO: ServiceHandler = {
  call: async (_method, peer) => ok(Buffer.from(peer.name)),
  stream: async (_method, stream) => void (await stream.receive()),
};

let authority: TestAuthority;
let other: TestAuthority;
let world: GrpcWorld;
let server: GrpcNetwork;

beforeAll(async () => {
  authority = await TestAuthority.create('1');
  other = await TestAuthority.create('2');
});

beforeEach(async () => {
  world = new GrpcWorld();
  server = world.machine((await authority.issue('controller')).identity);
  get(await server.listen(SERVICE, WHO));
});

afterEach(() => world.close());

const sentenceOf = (outcome: Outcome<unknown>): string => (outcome.ok ? 'ok' : `${outcome.error.code}: ${outcome.error.message}`);

const ask = async (client: GrpcNetwork): Promise<string> => {
  const connection = await client.connect(SERVICE, WAIT);
  if (!connection.ok) return sentenceOf(connection);
  const answer = await connection.value.call('/a/B', new Uint8Array(1), WAIT);
  connection.value.close();
  return answer.ok ? Buffer.from(answer.value).toString() : sentenceOf(answer);
};

describe('mutual TLS', () => {
  it('shows each side the name of the other', async () => {
    const client = world.machine((await authority.issue('node/truck-7')).identity);
    const connection = get(await client.connect(SERVICE, WAIT));
    expect(connection.peer.name).toBe('controller');
    expect(await ask(client)).toBe('node/truck-7');
  });

  it('refuses a server of another authority', async () => {
    const { identity } = await authority.issue('node/truck-7');
    const client = world.machine({ ...identity, authorities: [other.authority.certificate] });
    expect(await ask(client)).toMatch(/^WM_CERTIFICATE_REFUSED: The certificate of service \(127.0.0.1:\d+\) is not accepted: .+/);
  });

  it('refuses a client of another authority and says so on both sides', async () => {
    const { identity } = await other.issue('node/truck-7');
    const client = world.machine({ ...identity, authorities: [authority.authority.certificate] });
    const sentence = 'The certificate of node/truck-7 is not from the authority of this control plane (UNABLE_TO_VERIFY_LEAF_SIGNATURE).';
    expect(await ask(client)).toBe(`WM_CERTIFICATE_REFUSED: ${sentence}`);
    expect(world.refused).toEqual([`anonymous@127.0.0.1 was not let in: ${sentence}`]);
  });

  it('refuses a client that speaks plain text', async () => {
    const client = world.machine(null);
    expect(await ask(client)).toMatch(/^WM_UNREACHABLE: /);
  });

  it('says which own certificate expired, and when', async () => {
    const { identity } = await authority.issue('node/truck-7', { lifetimeMs: HOUR_MS }, -3 * HOUR_MS);
    expect(await ask(world.machine(identity))).toMatch(/^WM_CERTIFICATE_REFUSED: The certificate of node\/truck-7 expired on .+ GMT\.$/);
    expect(sentenceOf(await world.machine(identity).listen('late' as Endpoint, WHO))).toMatch(/expired on/);
  });

  it('refuses a client that does not look at its own expired certificate', async () => {
    const { identity } = await authority.issue('node/truck-7', { lifetimeMs: HOUR_MS }, -3 * HOUR_MS);
    const [host, port] = server.addressOf(SERVICE)!.split(':');
    const { certificate: cert, privateKey: key, authorities: ca } = identity;
    const socket = connectTls({
      host: host!,
      port: Number(port),
      cert,
      key,
      ca: [...ca],
      ALPNProtocols: ['h2'],
      checkServerIdentity: () => undefined,
    });
    socket.on('error', () => {});
    socket.resume();
    await new Promise((resolve) => socket.once('close', resolve));
    const { validTo } = new X509Certificate(cert);
    expect(world.refused).toEqual([`anonymous@127.0.0.1 was not let in: The certificate of node/truck-7 expired on ${validTo}.`]);
  });

  it('tells a stock client with an expired certificate so, in a sentence', async () => {
    const { identity } = await authority.issue('node/truck-7', { lifetimeMs: HOUR_MS }, -3 * HOUR_MS);
    const { certificate, privateKey } = identity;
    const secured = credentials.createSsl(
      Buffer.from(authority.authority.certificate),
      Buffer.from(privateKey),
      Buffer.from(certificate),
      // Its host is not in the certificate of this server.
      { checkServerIdentity: () => undefined },
    );
    const client = new Client(server.addressOf(SERVICE)!, secured);
    const asIs = (bytes: Buffer): Buffer => bytes;
    const error = await new Promise<ServiceError | null>((resolve) => {
      client.makeUnaryRequest('/a/B', asIs, asIs, Buffer.of(1), (refused: ServiceError | null) => resolve(refused));
    });
    client.close();
    expect(error?.code).toBe(status.UNAUTHENTICATED);
    expect(error?.details).toMatch(/^WM_CERTIFICATE_REFUSED \(rejected\): The certificate of node\/truck-7 expired on .+ GMT\. Join again/);
  });

  it('lets in no more peers without a certificate than its bounds, here and from one place, and members beside them', async () => {
    const [host, port] = server.addressOf(SERVICE)!.split(':');
    const sockets: TLSSocket[] = [];
    const anonymousFrom = async (localAddress: string): Promise<TLSSocket> => {
      const plain = connectPlain({ host: host!, port: Number(port), localAddress });
      const socket = connectTls({ socket: plain, rejectUnauthorized: false, ALPNProtocols: ['h2'] });
      sockets.push(socket);
      plain.on('error', () => {});
      socket.on('error', () => {});
      socket.resume();
      await new Promise((resolve) => socket.once('secureConnect', resolve).once('close', resolve));
      return socket;
    };
    const isPutOut = async (socket: TLSSocket): Promise<boolean> =>
      socket.destroyed || (await new Promise((resolve) => socket.once('close', () => resolve(true))));
    const sentence = 'was not let in: too many peers without a good certificate are connected, here or from there.';
    // Side by side: who came first is put out when their time is over.
    const fill = async (place: number): Promise<void> => {
      await Promise.all(Array.from({ length: STRANGERS_OF_PLACE_MAX }, () => anonymousFrom(`127.0.1.${place}`)));
    };
    await fill(1);
    expect(await isPutOut(await anonymousFrom('127.0.1.1'))).toBe(true);
    for (let place = 2; place <= STRANGERS_MAX / STRANGERS_OF_PLACE_MAX; place++) await fill(place);
    expect(await isPutOut(await anonymousFrom('127.0.2.1'))).toBe(true);
    expect(world.refused).toEqual([`anonymous@127.0.1.1 ${sentence}`, `anonymous@127.0.2.1 ${sentence}`]);
    expect(sockets.filter(({ destroyed }) => destroyed)).toHaveLength(2);
    expect(await ask(world.machine((await authority.issue('node/truck-7')).identity))).toBe('node/truck-7');
    for (const socket of sockets) socket.destroy();
  });

  it('refuses a server whose certificate expired', async () => {
    const { identity } = await authority.issue('controller', { lifetimeMs: 4_000 });
    const brief = world.machine(identity);
    const endpoint = 'brief' as Endpoint;
    get(await brief.listen(endpoint, WHO));
    await new Promise((resolve) => setTimeout(resolve, 4_600));
    const client = world.machine((await authority.issue('node/truck-7')).identity);
    expect(sentenceOf(await client.connect(endpoint, WAIT))).toMatch(
      /^WM_CERTIFICATE_REFUSED: .* is not accepted: certificate has expired\.$/,
    );
  });

  it('puts a client out when its certificate expires', async () => {
    const { identity } = await authority.issue('node/truck-7', { lifetimeMs: 4_000 });
    const connection = get(await world.machine(identity).connect(SERVICE, WAIT));
    const stream = get(await connection.open('/a/S'));
    expect(sentenceOf(await stream.receive())).toMatch(/^WM_CONNECTION_LOST/);
    expect(world.refused).toContain('node/truck-7 was put out: its certificate expired.');
  });

  it('tells a revoked client so at its first call, and puts it out', async () => {
    const { identity, issued } = await authority.issue('node/truck-7');
    const client = world.machine(identity, { revoked: () => false });
    const before = get(await client.connect(SERVICE, WAIT));
    const stream = get(await before.open('/a/S'));
    expect(await ask(client)).toBe('node/truck-7');
    world.revocations.revoke(issued.serial, issued.notAfterMs);
    expect(await ask(client)).toBe('WM_CERTIFICATE_REFUSED: The certificate of node/truck-7 was revoked.');
    server.expel();
    expect(sentenceOf(await stream.receive())).toMatch(/^WM_CONNECTION_LOST/);
    expect(world.refused).toContain('node/truck-7 was put out: its certificate was revoked.');
  });

  it('does not connect to a revoked server, nor to an enrolled machine that poses as one', async () => {
    const { identity, issued } = await authority.issue('controller');
    get(await world.machine(identity).listen('revoked' as Endpoint, WHO));
    get(await world.machine((await authority.issue('node/mallory')).identity).listen('posing' as Endpoint, WHO));
    world.revocations.revoke(issued.serial, issued.notAfterMs);
    const client = world.machine((await authority.issue('node/truck-7')).identity, { accepts: (_endpoint, name) => name === 'controller' });
    expect(sentenceOf(await client.connect('revoked' as Endpoint, WAIT))).toMatch(/The certificate of controller \(.+\) was revoked\.$/);
    expect(sentenceOf(await client.connect('posing' as Endpoint, WAIT))).toMatch(/is node\/mallory, which may not serve posing\.$/);
    expect(await ask(client)).toBe('node/truck-7');
  });

  it('goes on through a renewal, and while one authority replaces another', async () => {
    const client = world.machine((await authority.issue('node/truck-7')).identity);
    const connection = get(await client.connect(SERVICE, WAIT));
    const both = [authority.authority.certificate, other.authority.certificate];
    server.renew({ ...(await authority.issue('controller')).identity, authorities: both });
    expect(sentenceOf(await connection.call('/a/B', new Uint8Array(1), WAIT))).toBe('ok');
    client.renew({ ...(await other.issue('node/truck-7')).identity, authorities: both });
    expect(await ask(client)).toBe('node/truck-7');
    expect(sentenceOf(await connection.call('/a/B', new Uint8Array(1), WAIT))).toBe('ok');
  });

  it('speaks plain text on loopback only, and says so', async () => {
    const warned = new Promise<Error>((resolve) => process.once('warning', resolve));
    const plain = createGrpcNetwork({ addresses: () => null, listen: () => '0.0.0.0:0', identity: null, accepts: () => true });
    expect((await warned).message).toContain('plain text');
    expect(sentenceOf(await plain.listen(SERVICE, WHO))).toBe(
      'WM_ARGUMENT: service cannot listen on 0.0.0.0:0: it would speak plain text beyond this machine.',
    );
    const here = world.machine(null);
    get(await here.listen('plain' as Endpoint, WHO));
    expect(get(await world.machine(null).connect('plain' as Endpoint, WAIT)).peer.name).toBe('plain-text');
    await plain.close();
  });
});

describe('the authority', () => {
  it('has the same certificate after every start', async () => {
    expect((await TestAuthority.create('1')).authority.certificate).toBe(authority.authority.certificate);
    expect(other.authority.certificate).not.toBe(authority.authority.certificate);
  });

  it('writes certificates that are strictly valid', async ({ skip }) => {
    const { identity } = await authority.issue('node/truck-7', { hosts: ['localhost', '127.0.0.1', 'fe80::1:2', '::1', '2001:db8::'] });
    const certificate = new X509Certificate(identity.certificate);
    expect(certificate.subjectAltName).toBe(
      'URI:wasmmatrix://node/truck-7, DNS:localhost, IP Address:127.0.0.1, IP Address:FE80:0:0:0:0:0:1:2, IP Address:0:0:0:0:0:0:0:1, IP Address:2001:DB8:0:0:0:0:0:0',
    );
    expect(certificate.verify(new X509Certificate(authority.authority.certificate).publicKey)).toBe(true);
    if (spawnSync(OPENSSL, ['version']).status !== 0) skip('openssl is not installed: the strict verification did not run');
    const directory = mkdtempSync(join(tmpdir(), 'wasmmatrix-authority-'));
    try {
      writeFileSync(join(directory, 'authority.pem'), authority.authority.certificate);
      writeFileSync(join(directory, 'truck.pem'), identity.certificate);
      const verified = execFileSync(OPENSSL, ['verify', '-x509_strict', '-purpose', 'sslclient', '-CAfile', 'authority.pem', 'truck.pem'], {
        cwd: directory,
      });
      expect(verified.toString()).toBe('truck.pem: OK\n');
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  it('refuses requests that it cannot put its name to', async () => {
    const { publicKey } = createIdentityKey();
    const refuse = async (request: object): Promise<string> =>
      sentenceOf(await authority.authority.issue({ name: 'node/truck-7', publicKey, ...request }));
    expect(await refuse({ name: 'node/truck-7, URI:wasmmatrix://controller' })).toMatch(/no name of a machine/);
    expect(await refuse({ name: '' })).toMatch(/no name of a machine/);
    expect(await refuse({ lifetimeMs: 365 * 24 * HOUR_MS })).toMatch(/at most 168 hours/);
    expect(await refuse({ hosts: ['a b'] })).toMatch(/'a b' is no host/);
    expect(await refuse({ publicKey: new Uint8Array(9) })).toMatch(/key cannot be read/);
    expect(await refuse({ publicKey: Buffer.concat([publicKey, Buffer.of(0)]) })).toMatch(/key/);
  });

  it('forgets a revocation when the certificate would have expired', () => {
    const { revocations } = new GrpcWorld();
    revocations.revoke('aa', 1_000);
    revocations.revoke('bb', Number.MAX_SAFE_INTEGER);
    expect(revocations.entries()).toEqual([['BB', Number.MAX_SAFE_INTEGER]]);
  });
});
