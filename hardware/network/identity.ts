// Who a certificate says its holder is: exactly one subject alternative name `wasmmatrix://<name>`. Nothing else in it names
// anybody. Pure.
import { X509Certificate } from 'node:crypto';
import type { Err } from '../../system/domain/outcome.ts';
import { certificateRefused } from './status.ts';

/** PEM throughout. The private key stays with the machine that made it. */
export type Identity = {
  readonly certificate: string;
  readonly privateKey: string;
  /** Certificates that vouch for peers. Two of them while one authority replaces another. */
  readonly authorities: readonly string[];
};

/** All that a peer has that is not enrolled yet: whom it would believe. */
export type Trust = Pick<Identity, 'authorities'>;

/** What a server shows: its certificate, and its authority's for those who know that by its digest only. */
export const chainOf = ({ certificate, authorities }: Identity): string => [certificate, ...authorities].join('\n');

export const NAME_SCHEME = 'wasmmatrix://';
/** Names of machines and users: `node/truck-7`, `operator/ops`, `controller`. */
export const NAME = /^[a-z0-9](?:[a-z0-9._-]{0,62})(?:\/[a-z0-9][a-z0-9._-]{0,62}){0,3}$/;
/** Bound: clocks of two machines may differ by this much: certificates are valid so long before they are issued. */
export const CLOCK_SKEW_MS = 5 * 60_000;

const SEPARATOR = ', ';

/** `subjectAltName` as Node prints it; what needs quoting there is no name of ours. Null: it names nobody, or several. */
export function nameOf(subjectAltName: string | undefined): string | null {
  const prefix = `URI:${NAME_SCHEME}`;
  const names = (subjectAltName ?? '').split(SEPARATOR).filter((entry) => entry.startsWith(prefix));
  const name = names[0]?.slice(prefix.length);
  return names.length === 1 && name !== undefined && NAME.test(name) ? name : null;
}

export type Holder = { readonly name: string; readonly serial: string; readonly notAfterMs: number };

/** The authority's signature was verified before, by TLS. */
export function holderOf(subjectAltName: string | undefined, serial: string, validTo: string): Holder | null {
  const name = nameOf(subjectAltName);
  return name === null ? null : { name, serial: serial.toUpperCase(), notAfterMs: Date.parse(validTo) };
}

/** Why an own identity cannot be used, before anybody else has to say it; null when it can. */
export function checkIdentity({ certificate }: Identity, civilMs: number): Err | null {
  let own: X509Certificate;
  try {
    own = new X509Certificate(certificate);
  } catch {
    return certificateRefused('The certificate of this machine cannot be read.', {});
  }
  const detail = { serial: own.serialNumber, validTo: own.validTo };
  const name = nameOf(own.subjectAltName);
  if (name === null) return certificateRefused(`The certificate of this machine does not name it (${NAME_SCHEME}…).`, detail);
  if (civilMs > own.validToDate.getTime()) return certificateRefused(`The certificate of ${name} expired on ${own.validTo}.`, detail);
  if (civilMs < own.validFromDate.getTime()) {
    return certificateRefused(`The certificate of ${name} is not valid before ${own.validFrom}.`, detail);
  }
  return null;
}
