// R13.3: how machines and users get in, and who does not.
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { WRONG_SECRETS_MAX, WRONG_SECRETS_WINDOW_MS } from '../../../hardware/network/guesses.ts';
import {
  createIdentityKey,
  decodeJoinToken,
  encodeJoinToken,
  join,
  loadIdentity,
  renewThrough,
  saveIdentity,
} from '../../../hardware/network/network.ts';
import type { KeptIdentity } from '../../../hardware/network/network.ts';
import { RENEW_METHOD, REVOKE_METHOD, TOKENS_METHOD } from '../../../system/domain/enrolment.ts';
import type { TokensRequest } from '../../../system/domain/enrolment.ts';
import { EXECUTE_METHOD, QUERY_METHOD } from '../../../system/domain/operator.ts';
import type { Outcome } from '../../../system/domain/outcome.ts';
import {
  decodeRevokeReply,
  decodeTokensReply,
  encodeRenewRequest,
  encodeRevokeRequest,
  encodeTokensRequest,
} from '../../../system/wire/codec/enrolment.ts';
import { get } from '../../contract/grpc-world.ts';
import { CONTROLLER, EnrollingSite, WAIT } from '../../support/network/enrolling.ts';

const NAME = 'node/truck-7';
const EMPTY = new Uint8Array(1);

let site: EnrollingSite;

beforeEach(async () => {
  site = await EnrollingSite.create();
});

afterEach(() => site.world.close());

const sentenceOf = (outcome: Outcome<unknown>): string => (outcome.ok ? 'ok' : `${outcome.error.code}: ${outcome.error.message}`);
const textOf = (outcome: Outcome<Uint8Array>): string => (outcome.ok ? Buffer.from(outcome.value).toString() : sentenceOf(outcome));
const tokenOf = async (role: 'node' | 'operator' = 'node'): Promise<string> => get(await site.enrolment.joinToken(role));
const joinAs = async (name: string, token?: string): Promise<Outcome<KeptIdentity>> =>
  join({ token: token ?? (await tokenOf(name.startsWith('operator/') ? 'operator' : 'node')), name });
const who = async (kept: KeptIdentity): Promise<string> => textOf(await site.call(kept, QUERY_METHOD, EMPTY));
const revoke = async (by: KeptIdentity, name: string): Promise<Outcome<Uint8Array>> =>
  site.call(by, REVOKE_METHOD, encodeRevokeRequest({ name }));
const tokens = async (by: KeptIdentity, request: TokensRequest): Promise<Outcome<Uint8Array>> =>
  site.call(by, TOKENS_METHOD, encodeTokensRequest(request));

/** As `text`, with another secret: well formed, and wrong. */
function withWrongSecret(text: string, secret = 1): string {
  return encodeJoinToken({ ...get(decodeJoinToken(text)), secret: new Uint8Array(16).fill(secret) });
}

describe('joining', () => {
  it('gives a machine an identity with which it is known from then on', async () => {
    const kept = get(await join({ token: await tokenOf(), name: NAME, hosts: ['localhost'] }));
    expect(kept).toMatchObject({ name: NAME, addresses: [site.address], bus: null });
    expect(kept.renewAtMs).toBeLessThan(kept.notAfterMs);
    expect(await who(kept)).toBe(NAME);
    expect(await who(get(await joinAs('operator/ops')))).toBe('operator/ops');
  });

  it('tells where the bus is when it is not in the controller', async () => {
    const bus = { kind: 'nats', servers: ['nats://10.0.0.1:4222'], user: 'fleet', password: 'hidden', prefix: 'fleet' } as const;
    await site.start({ bus });
    expect(get(await joinAs(NAME)).bus).toEqual(bus);
  });

  it('shows the same token after a restart, and stores no secret', async () => {
    const token = await tokenOf();
    const stored: string[] = [];
    const store = site.disk.portOf(null as never).keyValue('enrolment');
    for (const key of ['tokens', 'revoked']) stored.push(Buffer.from(get(await store.get(key))?.value ?? []).toString());
    const { secret } = get(decodeJoinToken(token));
    expect(stored[0]).toContain('"role":"node"');
    for (const form of ['hex', 'base64', 'base64url'] as const) expect(stored.join()).not.toContain(Buffer.from(secret).toString(form));
    await site.start();
    expect(get(decodeJoinToken(await tokenOf())).secret).toEqual(secret);
  });

  it('with a wrong token is refused in a sentence, and the log names the caller but not the secret', async () => {
    const token = withWrongSecret(await tokenOf());
    const refused = await joinAs(NAME, token);
    expect(sentenceOf(refused)).toBe('WM_NODE_REFUSED: The join token is none of this control plane; it may have been rotated.');
    expect(site.log).toEqual(['anonymous@127.0.0.1 was refused: The join token is none of this control plane; it may have been rotated.']);
  });

  it('is not listened to for a while after too many wrong tokens, also with the right one', async () => {
    const token = await tokenOf();
    for (let n = 0; n < WRONG_SECRETS_MAX; n++) expect((await joinAs(NAME, withWrongSecret(token, n + 1))).ok).toBe(false);
    expect(sentenceOf(await joinAs(NAME, token))).toBe(
      'WM_NODE_REFUSED: More than 5 wrong join tokens came from this address within 60 seconds.',
    );
    expect((await joinAs(NAME, token)).ok).toBe(false);
    expect(site.log.filter((sentence) => sentence.includes('More than 5'))).toHaveLength(1);
    site.offsetMs = WRONG_SECRETS_WINDOW_MS;
    expect(sentenceOf(await joinAs(NAME, token))).toBe('ok');
  });

  it('sends no secret to a server of another authority, whatever stands in between', async () => {
    const mallory = await EnrollingSite.create('2');
    try {
      const token = encodeJoinToken({ ...get(decodeJoinToken(await tokenOf())), addresses: [mallory.address] });
      expect(sentenceOf(await joinAs(NAME, token))).toMatch(
        /^WM_CERTIFICATE_REFUSED: 127\.0\.0\.1:\d+ is not the controller of this join token: its authority is [0-9a-f]{16}…, the token names [0-9a-f]{16}…\. The secret was not sent\.$/,
      );
      // A wrong secret would have been refused there, aloud.
      expect(mallory.log).toEqual([]);
    } finally {
      await mallory.world.close();
    }
  });

  it('sends no secret to an enrolled machine that poses as the controller', async () => {
    const posing = site.machine((await site.authority.issue('node/mallory')).identity);
    const seen: string[] = [];
    get(
      await posing.listen(CONTROLLER, { call: async (method) => (seen.push(method), { ok: true, value: EMPTY }), stream: async () => {} }),
    );
    const token = encodeJoinToken({ ...get(decodeJoinToken(await tokenOf())), addresses: [posing.addressOf(CONTROLLER)!] });
    expect(sentenceOf(await joinAs(NAME, token))).toMatch(/is node\/mallory, which may not serve controller\.$/);
    expect(seen).toEqual([]);
  });

  it('tries each address of the token', async () => {
    const token = { ...get(decodeJoinToken(await tokenOf())), addresses: ['127.0.0.1:1', site.address] };
    const kept = get(await joinAs(NAME, encodeJoinToken(token)));
    expect(kept.addresses).toEqual([site.address, '127.0.0.1:1']);
    const nobody = encodeJoinToken({ ...token, addresses: ['127.0.0.1:1'] });
    expect(sentenceOf(await joinAs('node/truck-8', nobody))).toBe(
      'WM_UNREACHABLE: 127.0.0.1:1 could not be reached: nothing listens there (ECONNREFUSED).',
    );
  });

  it('under a name that another key holds is refused until that is revoked', async () => {
    const first = get(await joinAs(NAME));
    expect(sentenceOf(await joinAs(NAME))).toMatch(
      /^WM_NODE_REFUSED: node\/truck-7 is enrolled with another key, whose certificate holds until .+Z\.$/,
    );
    expect(await who(first)).toBe(NAME);
    get(await revoke(get(await joinAs('operator/ops')), NAME));
    expect(await who(get(await joinAs(NAME)))).toBe(NAME);
    expect(await who(first)).toBe('WM_CERTIFICATE_REFUSED: The certificate of node/truck-7 was revoked.');
  });

  it('under a name whose certificate has expired is free', async () => {
    get(await joinAs(NAME));
    site.offsetMs = 25 * 3_600_000;
    expect(sentenceOf(await joinAs(NAME))).toBe('ok');
  });

  it('gives a token of one role no name of the other', async () => {
    expect(sentenceOf(await joinAs('operator/ops', await tokenOf('node')))).toMatch(/^WM_ARGUMENT: This join token is for a name node\/…/);
    // The server does not take the client's word for it.
    const posing = encodeJoinToken({ ...get(decodeJoinToken(await tokenOf('node'))), role: 'operator' });
    expect(sentenceOf(await joinAs('operator/ops', posing))).toBe(
      'WM_NODE_REFUSED: The join token is for a name node/…, and not for operator/ops.',
    );
    expect(sentenceOf(await joinAs('node/Truck', await tokenOf()))).toMatch(/^WM_ARGUMENT/);
  });

  it('gives nothing that could not be stored', async () => {
    const token = await tokenOf();
    site.disk.isBroken = true;
    expect(sentenceOf(await joinAs(NAME, token))).toMatch(/^WM_STORAGE_FAILED/);
    site.disk.isBroken = false;
    expect(sentenceOf(await joinAs(NAME, token))).toBe('ok');
  });

  it('is refused by a name and hosts that no certificate can hold', async () => {
    expect(sentenceOf(await join({ token: await tokenOf(), name: NAME, hosts: ['not a host'] }))).toMatch(/'not a host' is no host/);
    expect(sentenceOf(await join({ token: await tokenOf('operator'), name: 'operator/ops', hosts: ['localhost'] }))).toMatch(
      /operator\/ops is a user/,
    );
  });
});

describe('renewal', () => {
  it('gives the holder of a name a certificate for a new key, and ends neither', async () => {
    const kept = get(await joinAs(NAME));
    const { privateKey, publicKey } = createIdentityKey();
    const { certificate, authorities } = get(await renewThrough(site.machine(kept.identity), CONTROLLER)(publicKey));
    expect(await who({ ...kept, identity: { certificate, privateKey, authorities } })).toBe(NAME);
    expect(await who(kept)).toBe(NAME);
  });

  it('is for those who are enrolled: not without a certificate, nor for the controller, nor after a revocation', async () => {
    const request = encodeRenewRequest({ publicKey: createIdentityKey().publicKey, hosts: [] });
    const { identity } = await site.authority.issue('controller');
    expect(textOf(await site.call({ identity } as KeptIdentity, RENEW_METHOD, request))).toMatch(/^WM_ARGUMENT: 'controller' is no name/);
    const unknown = await site.authority.issue('node/unknown');
    expect(textOf(await site.call({ identity: unknown.identity } as KeptIdentity, RENEW_METHOD, request))).toBe(
      'WM_NODE_REFUSED: node/unknown is not enrolled here, or was revoked.',
    );
  });

  it('is covered by a revocation that follows, like every certificate of the name', async () => {
    const kept = get(await joinAs(NAME));
    const ops = get(await joinAs('operator/ops'));
    const { privateKey, publicKey } = createIdentityKey();
    const { certificate, authorities } = get(await renewThrough(site.machine(kept.identity), CONTROLLER)(publicKey));
    expect(get(decodeRevokeReply(get(await revoke(ops, NAME)))).serials).toHaveLength(2);
    const renewed = { ...kept, identity: { certificate, privateKey, authorities } };
    expect(await who(renewed)).toBe('WM_CERTIFICATE_REFUSED: The certificate of node/truck-7 was revoked.');
  });
});

describe('revocation', () => {
  it('puts the holder out at once, and outlives the process', async () => {
    const kept = get(await joinAs(NAME));
    const ops = get(await joinAs('operator/ops'));
    const connection = get(await site.machine(kept.identity).connect(CONTROLLER, WAIT));
    const pending = get(await connection.open('/wasmmatrix.v1.Agent/Session'));
    get(await revoke(ops, NAME));
    expect(sentenceOf(await pending.receive())).toMatch(/^WM_CONNECTION_LOST/);
    await site.start();
    expect(await who(kept)).toBe('WM_CERTIFICATE_REFUSED: The certificate of node/truck-7 was revoked.');
    expect(await who(ops)).toBe('operator/ops');
  });

  it('by another controller is known as soon as this one reads again', async () => {
    const kept = get(await joinAs(NAME));
    const ops = get(await joinAs('operator/ops'));
    const standby = site.enrolment;
    await site.start();
    get(await revoke(ops, NAME));
    const { serialNumber } = new X509Certificate(kept.identity.certificate);
    expect(standby.revoked(serialNumber)).toBe(false);
    get(await standby.refresh());
    expect(standby.revoked(serialNumber)).toBe(true);
  });

  it('is for operators only, and says so to a node', async () => {
    const node = get(await joinAs(NAME));
    expect(textOf(await revoke(node, 'node/truck-8'))).toBe(
      'WM_NODE_REFUSED: node/truck-7 is not an operator and may not call /wasmmatrix.v1.Enrolment/Revoke.',
    );
    expect(textOf(await tokens(node, { kind: 'list' }))).toMatch(/^WM_NODE_REFUSED: node\/truck-7 is not an operator/);
    expect(await who(node)).toBe(NAME);
  });

  it('of a name that holds nothing is told so', async () => {
    const ops = get(await joinAs('operator/ops'));
    expect(textOf(await revoke(ops, 'node/truck-9'))).toBe('WM_NOT_FOUND: node/truck-9 holds no certificate.');
  });
});

describe('join tokens', () => {
  it('are listed without their text, made, and rotated by operators', async () => {
    const ops = get(await joinAs('operator/ops'));
    const first = await tokenOf();
    const made = get(decodeTokensReply(get(await tokens(ops, { kind: 'create', role: 'node' }))));
    expect(made.tokens.map(({ role }) => role)).toEqual(['operator', 'node', 'node']);
    expect(sentenceOf(await joinAs('node/a', first))).toBe('ok');
    expect(sentenceOf(await joinAs('node/b', made.token!))).toBe('ok');
    const rotated = get(decodeTokensReply(get(await tokens(ops, { kind: 'rotate', role: 'node' }))));
    expect(rotated.tokens.map(({ role }) => role)).toEqual(['operator', 'node']);
    expect(sentenceOf(await joinAs('node/c', first))).toMatch(/^WM_NODE_REFUSED: The join token is none of this control plane/);
    expect(sentenceOf(await joinAs('node/c', rotated.token!))).toBe('ok');
    expect(get(decodeTokensReply(get(await tokens(ops, { kind: 'current', role: 'node' })))).token).toBe(rotated.token);
    expect(get(decodeTokensReply(get(await tokens(ops, { kind: 'list' }))))).toEqual({ tokens: rotated.tokens, token: null });
  });
});

describe('a peer without a certificate', () => {
  it('may enrol and nothing else, and is told what to do first', async () => {
    const refused = await site.anonymously(EXECUTE_METHOD, EMPTY);
    expect(refused).toMatchObject({ ok: false, error: { kind: 'rejected', code: 'WM_CERTIFICATE_REFUSED' } });
    expect(sentenceOf(refused)).toBe(`WM_CERTIFICATE_REFUSED: ${EXECUTE_METHOD} needs a certificate, and this connection shows none.`);
    expect(refused.ok ? '' : refused.error.next).toMatch(/^Enrol first with a join token/);
    expect(sentenceOf(await site.anonymously(RENEW_METHOD, EMPTY))).toMatch(/needs a certificate/);
  });

  it('may say no more than a certificate needs', async () => {
    expect(sentenceOf(await site.anonymously('/wasmmatrix.v1.Enrolment/Enrol', new Uint8Array(65 * 1_024)))).toMatch(
      /^WM_MESSAGE_TOO_LARGE/,
    );
  });
});

it('keeps an identity on disk that a later process goes on with', async () => {
  const directory = mkdtempSync(path.join(tmpdir(), 'wasmmatrix-joined-'));
  const file = path.join(directory, 'identity.json');
  try {
    get(await saveIdentity(file, get(await joinAs(NAME))));
    expect(await who(get(await loadIdentity(file))!)).toBe(NAME);
  } finally {
    rmSync(directory, { recursive: true });
  }
});
