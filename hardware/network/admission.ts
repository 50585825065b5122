// Who a peer is by its certificate, and what one is told that is not let in. TLS has verified signature and time; whether that
// went well is judged here and not by TLS, so that whoever is refused hears a sentence and not a broken handshake. Pure but for
// the socket that it looks at.
import { isIPv6 } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { Err } from '../../system/domain/outcome.ts';
import type { PeerIdentity } from '../../system/ports/network.ts';
import { holderOf, nameOf } from './identity.ts';
import type { Holder } from './identity.ts';
import { certificateRefused } from './status.ts';

/** A member shows a certificate that holds, a stranger none; whoever shows another is refused whatever he calls. */
export type Admission =
  | { readonly kind: 'member'; readonly peer: PeerIdentity; readonly holder: Holder }
  | { readonly kind: 'stranger'; readonly peer: PeerIdentity }
  | { readonly kind: 'refused'; readonly peer: PeerIdentity; readonly refusal: Err };

const JOIN_AGAIN = 'Join again with a join token; check that the clock of this machine is right.';
const JOIN_FIRST = 'Enrol first with a join token of this control plane, which `wasmmatrix up` and `wasmmatrix token` print.';

/** No certificate can hold this name: `@` is in no name of ours. */
export const strangerAt = (address: string | undefined): PeerIdentity => ({ name: `anonymous@${address ?? 'unknown'}` });

export const isStranger = ({ name }: PeerIdentity): boolean => name.startsWith('anonymous@');

/** What counts as one place when it guesses: an address, of IPv6 the network that one subscriber has. */
export function placeOf({ name }: PeerIdentity): string {
  const address = name.slice(name.indexOf('@') + 1);
  return isStranger({ name }) && isIPv6(address) && !address.startsWith('::ffff:') ? address.split(':').slice(0, 4).join(':') : name;
}

export function admit(socket: TLSSocket): Admission {
  const peer = strangerAt(socket.remoteAddress);
  const certificate = socket.getPeerCertificate();
  if (Object.keys(certificate).length === 0) return { kind: 'stranger', peer };
  const { subjectaltname, serialNumber, valid_from: validFrom, valid_to: validTo } = certificate;
  const holder = holderOf(subjectaltname, serialNumber, validTo);
  if (socket.authorized && holder !== null) return { kind: 'member', peer: { name: holder.name }, holder };
  // A code, although its type says otherwise.
  const code = String(socket.authorizationError);
  const of = nameOf(subjectaltname) ?? 'this peer';
  const detail = { serial: serialNumber };
  const refused = (message: string, next: string): Admission => ({
    kind: 'refused',
    peer,
    refusal: certificateRefused(message, detail, next),
  });
  if (socket.authorized) return refused('The certificate of this peer names no machine and no user of ours.', JOIN_FIRST);
  if (code === 'CERT_HAS_EXPIRED') return refused(`The certificate of ${of} expired on ${validTo}.`, JOIN_AGAIN);
  if (code === 'CERT_NOT_YET_VALID') return refused(`The certificate of ${of} is not valid before ${validFrom}.`, JOIN_AGAIN);
  return refused(`The certificate of ${of} is not from the authority of this control plane (${code}).`, JOIN_FIRST);
}

export function needsCertificate(path: string): Err {
  return certificateRefused(`${path} needs a certificate, and this connection shows none.`, { method: path }, JOIN_FIRST);
}
