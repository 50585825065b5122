// The side that asks to be let in. The server is known by the digest of its authority alone, which the token names: that is
// compared before anything is sent, and the secret goes over a second connection that TLS verifies against that authority. So
// somebody in between who has another authority learns nothing.
import { createHash, X509Certificate } from 'node:crypto';
import type { DetailedPeerCertificate, TLSSocket } from 'node:tls';
import { connect as connectTls } from 'node:tls';
import { ENROL_METHOD, RENEW_METHOD, roleOf } from '../../system/domain/enrolment.ts';
import type { EnrolReply } from '../../system/domain/enrolment.ts';
import type { Endpoint } from '../../system/domain/identifiers.ts';
import { ok, rejected } from '../../system/domain/outcome.ts';
import type { Err, Outcome } from '../../system/domain/outcome.ts';
import { MICROS_PER_MS } from '../../system/ports/clock.ts';
import type { Network } from '../../system/ports/network.ts';
import { decodeEnrolReply, encodeEnrolRequest, encodeRenewRequest } from '../../system/wire/codec/enrolment.ts';
import { createIdentityKey } from './authority.ts';
import { dial } from './client.ts';
import type { KeptIdentity } from './identity-file.ts';
import { checkIdentity } from './identity.ts';
import { decodeJoinToken } from './join-token.ts';
import type { JoinToken } from './join-token.ts';
import { certificateRefused, unreachable } from './status.ts';
import { hostOf, WAIT_MS_MAX } from './transport.ts';
import type { Keepalive } from './transport.ts';

/** Bound: how long joining may take over all addresses, unless the caller says otherwise. */
export const JOIN_MS_MAX = 30_000;
/** Bound: how long a renewal may wait for its connection, and for its answer. */
const RENEW_MS_MAX = 15_000;
/** Bound: certificates of a chain that are looked at. */
const CHAIN_LENGTH_MAX = 8;
const CONTROLLER = 'controller';
const PATIENT: Keepalive = { idleMs: WAIT_MS_MAX, answerMs: JOIN_MS_MAX };
const DIGEST_DIGITS_SHOWN = 16;

export type JoinOptions = {
  readonly token: string;
  readonly name: string;
  readonly hosts?: readonly string[];
  readonly deadlineMs?: number;
};

/** May a machine of this name serve the controller's endpoint? Standby controllers are `controller/<id>`. */
export const isController = (name: string): boolean => name === CONTROLLER || name.startsWith(`${CONTROLLER}/`);

export async function join({ token: text, name, hosts = [], deadlineMs = JOIN_MS_MAX }: JoinOptions): Promise<Outcome<KeptIdentity>> {
  const decoded = decodeJoinToken(text);
  if (!decoded.ok) return decoded;
  const token = decoded.value;
  if (roleOf(name) !== token.role) {
    return rejected('WM_ARGUMENT', {
      message: `This join token is for a name ${token.role}/…, and not for '${name}'.`,
      next: 'Use a token of the other role, or another name: 1 to 63 lower-case letters, digits and inner hyphens.',
    });
  }
  const endMs = performance.now() + deadlineMs;
  let refused: Err = unreachable(CONTROLLER, 'the token names no address');
  for (const [index, address] of token.addresses.entries()) {
    const leftMs = endMs - performance.now();
    if (leftMs <= 0) break;
    const joined = await joinAt(address, { token, name, hosts, deadlineMs: leftMs / (token.addresses.length - index) });
    if (joined.outcome.ok || joined.isFinal) return joined.outcome;
    // That somebody is not who he should be is worth more to know than that nobody was there.
    if (refused.error.kind !== 'rejected') refused = joined.outcome;
  }
  return refused;
}

type Attempt = { readonly token: JoinToken; readonly name: string; readonly hosts: readonly string[]; readonly deadlineMs: number };
/** Final: a controller has answered, and another address would bring no other answer. */
type Attempted = { readonly outcome: Outcome<KeptIdentity>; readonly isFinal: boolean };

async function joinAt(address: string, { token, name, hosts, deadlineMs }: Attempt): Promise<Attempted> {
  const endMs = performance.now() + deadlineMs;
  const authority = await authorityAt(address, token.authoritySha256, deadlineMs);
  if (!authority.ok) return { outcome: authority, isFinal: false };
  const leftMicros = (): number => (endMs - performance.now()) * MICROS_PER_MS;
  const connected = await dial({
    endpoint: CONTROLLER,
    address,
    identity: { authorities: [authority.value] },
    accepts: isController,
    revoked: () => false,
    keepalive: PATIENT,
    deadlineMicros: leftMicros(),
    onBegin: () => {},
    onEnd: () => {},
    onLost: () => {},
  });
  if (!connected.ok) return { outcome: connected, isFinal: false };
  const { privateKey, publicKey } = createIdentityKey();
  const request = encodeEnrolRequest({ name, secret: token.secret, publicKey, hosts });
  const answered = await connected.value.call(ENROL_METHOD, request, { deadlineMicros: leftMicros() });
  connected.value.close();
  const reply = answered.ok ? readReply(answered.value, privateKey) : answered;
  if (!reply.ok) return { outcome: reply, isFinal: reply.error.kind === 'rejected' };
  const { certificate, authorities, notAfterMs, renewAtMs, bus } = reply.value;
  const addresses = [address, ...token.addresses.filter((each) => each !== address)];
  const identity = { certificate, privateKey, authorities };
  return { outcome: ok({ name, identity, addresses, notAfterMs, renewAtMs, bus }), isFinal: true };
}

/** PEM of the authority that the server shows, if it is the one that is asked for. Nothing is sent but the handshake. */
function authorityAt(address: string, sha256: Uint8Array, deadlineMs: number): Promise<Outcome<string>> {
  return new Promise((resolve) => {
    const port = Number(address.slice(address.lastIndexOf(':') + 1));
    const socket = connectTls({
      host: hostOf(address),
      port,
      // Safety: nothing is believed and nothing sent here; what is believed is checked by the digest.
      rejectUnauthorized: false,
      minVersion: 'TLSv1.3',
      ALPNProtocols: ['h2'],
    });
    const settle = (outcome: Outcome<string>): void => {
      clearTimeout(deadline);
      resolve(outcome);
      socket.destroy();
    };
    const deadline = setTimeout(
      () => settle(unreachable(address, `no answer within ${Math.round(deadlineMs)} ms`)),
      Math.min(WAIT_MS_MAX, deadlineMs),
    );
    socket.on('error', (error: NodeJS.ErrnoException) => settle(unreachable(address, describe(error))));
    socket.once('secureConnect', () => settle(findAuthority(socket, address, sha256)));
    socket.once('close', () => settle(unreachable(address, 'it hung up during the handshake')));
  });
}

function findAuthority(socket: TLSSocket, address: string, sha256: Uint8Array): Outcome<string> {
  const digests: string[] = [];
  let link: DetailedPeerCertificate | undefined = socket.getPeerCertificate(true);
  for (let depth = 0; depth < CHAIN_LENGTH_MAX && link?.raw !== undefined; depth++) {
    const digest = createHash('sha256').update(link.raw).digest();
    if (digest.equals(sha256)) return ok(new X509Certificate(link.raw).toString());
    digests.push(digest.toString('hex').slice(0, DIGEST_DIGITS_SHOWN));
    const above: DetailedPeerCertificate = link.issuerCertificate;
    if (above === link || above?.raw?.equals(link.raw)) break;
    link = above;
  }
  const expected = Buffer.from(sha256).toString('hex').slice(0, DIGEST_DIGITS_SHOWN);
  return certificateRefused(
    `${address} is not the controller of this join token: its authority is ${digests.at(-1) ?? 'none'}…, the token names ${expected}…. The secret was not sent.`,
    { address },
    'Take the current token of that controller; if this is it, somebody may stand between the two machines.',
  );
}

function describe({ code, message }: NodeJS.ErrnoException): string {
  if (code === 'ECONNREFUSED') return 'nothing listens there (ECONNREFUSED)';
  if (code === 'ENOTFOUND') return 'no such host (ENOTFOUND)';
  return code === 'EPROTO' || code === 'ECONNRESET' ? `it hung up during the handshake (${code})` : message;
}

function readReply(bytes: Uint8Array, privateKey: string): Outcome<EnrolReply> {
  const reply = decodeEnrolReply(bytes);
  if (!reply.ok) return reply;
  const { certificate, authorities } = reply.value;
  return checkIdentity({ certificate, authorities, privateKey }, Date.now()) ?? reply;
}

/** How a keeper asks for the next certificate of its own name, under the certificate that still holds. */
export function renewThrough(
  network: Pick<Network, 'connect'>,
  endpoint: Endpoint,
  hosts: readonly string[] = [],
): (publicKey: Uint8Array) => Promise<Outcome<EnrolReply>> {
  const deadlineMicros = RENEW_MS_MAX * MICROS_PER_MS;
  return async (publicKey) => {
    const connected = await network.connect(endpoint, { deadlineMicros });
    if (!connected.ok) return connected;
    const answered = await connected.value.call(RENEW_METHOD, encodeRenewRequest({ publicKey, hosts }), { deadlineMicros });
    connected.value.close();
    return answered.ok ? readReply(answered.value, '') : answered;
  };
}
