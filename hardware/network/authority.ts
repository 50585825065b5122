// The controller's own certificate authority. Owns what a certificate says and for how long it holds; whom to give one to is the
// business of enrolment. Its private key never leaves the keys port, and its certificate is a function of that key alone, so
// that it is the same after every restart and nothing has to be stored beside the key.
import { createHash, createPublicKey, generateKeyPairSync, randomBytes, X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { ok, rejected } from '../../system/domain/outcome.ts';
import type { Outcome } from '../../system/domain/outcome.ts';
import type { Keys } from '../../system/ports/keys.ts';
import { addressBytes, bits, integer, octets, OID, oid, sequence, set, tagged, time, utf8, yes } from './der.ts';
import { CLOCK_SKEW_MS, NAME, NAME_SCHEME } from './identity.ts';

const HOUR_MS = 3_600_000;
/** How long a certificate holds unless its request says less. Short, so that a list of revoked ones stays short too. */
export const CERTIFICATE_LIFETIME_MS = 24 * HOUR_MS;
/** Bound: the longest that anybody may ask for. */
export const CERTIFICATE_LIFETIME_MS_MAX = 7 * 24 * HOUR_MS;
/** Its holder asks for the next one when this part of the lifetime has passed; what is left bridges a controller that is away. */
export const RENEWAL_PART = [2, 3] as const;
/** Bound: names under which a server may be dialled. */
export const HOSTS_MAX = 16;

/** The authority's own validity does not end it: it is replaced by a new key, which peers trust beside the old one. */
const AUTHORITY_FROM_MS = Date.UTC(2020, 0, 1);
const AUTHORITY_TO_MS = Date.UTC(9999, 11, 31, 23, 59, 59);
const SERIAL_BYTES = 16;
const COMMON_NAME_LENGTH_MAX = 64;
const ED25519_SPKI_PREFIX = Buffer.from('302a300506032b6570032100', 'hex');
const HOST = /^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/i;
const ADDRESS_OF_ONE_LINK_OR_MIXED = /%|:.*\./u;
const KEY_USAGE_SIGN_CERTIFICATES = bits(Buffer.from([0x06]), 1);
const KEY_USAGE_SIGN = bits(Buffer.from([0x80]), 7);
const ALGORITHM = sequence(oid(OID.ed25519));
const TAG_URI = 0x86;
const TAG_DNS = 0x82;
const TAG_ADDRESS = 0x87;

export type CertificateRequest = {
  /** `node/truck-7`, `operator/ops`, `controller`. */
  readonly name: string;
  /** Subject public key info, DER; Ed25519 or ECDSA. */
  readonly publicKey: Uint8Array;
  /** Host names and addresses, for servers that stock clients dial. */
  readonly hosts?: readonly string[];
  readonly lifetimeMs?: number;
};

export type IssuedCertificate = {
  /** PEM. */
  readonly certificate: string;
  /** Upper-case hexadecimal, as Node prints it. */
  readonly serial: string;
  readonly notAfterMs: number;
  readonly renewAtMs: number;
};

export type AuthorityOptions = {
  readonly keys: Pick<Keys, 'open' | 'sign'>;
  /** Name of its key in the keys port. */
  readonly keyName: string;
  readonly civilMs: () => number;
};

type Body = {
  readonly serial: Uint8Array;
  readonly issuer: string;
  readonly subject: string;
  readonly fromMs: number;
  readonly toMs: number;
  readonly publicKey: Uint8Array;
  readonly extensions: readonly Buffer[];
};

const commonName = (text: string): Buffer => sequence(set(sequence(oid(OID.commonName), utf8(text.slice(0, COMMON_NAME_LENGTH_MAX)))));

const extension = (id: string, critical: boolean, value: Buffer): Buffer =>
  critical ? sequence(oid(id), yes, octets(value)) : sequence(oid(id), octets(value));

const keyIdOf = (spki: Uint8Array): Buffer => createHash('sha256').update(spki).digest().subarray(0, 20);

/** What is signed (RFC 5280 §4.1.2), version 3. */
function bodyOf(body: Body): Buffer {
  return sequence(
    tagged(0xa0, integer(Buffer.of(2))),
    integer(body.serial),
    ALGORITHM,
    commonName(body.issuer),
    sequence(time(body.fromMs), time(body.toMs)),
    commonName(body.subject),
    body.publicKey,
    tagged(0xa3, sequence(...body.extensions)),
  );
}

function pemOf(body: Buffer, signature: Uint8Array): string {
  return new X509Certificate(sequence(body, ALGORITHM, bits(signature))).toString();
}

function alternativeNames(name: string, hosts: readonly string[]): Buffer {
  return sequence(
    tagged(TAG_URI, Buffer.from(`${NAME_SCHEME}${name}`)),
    ...hosts.map((host) => (isIP(host) === 0 ? tagged(TAG_DNS, Buffer.from(host)) : tagged(TAG_ADDRESS, addressBytes(host)))),
  );
}

function newSerial(): Buffer {
  const serial = randomBytes(SERIAL_BYTES);
  // Positive, and of one length for all.
  serial[0] = (serial[0]! & 0x3f) | 0x40;
  return serial;
}

/** A key pair for a machine; the private half stays where it was made. */
export function createIdentityKey(): { readonly privateKey: string; readonly publicKey: Uint8Array } {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  return {
    privateKey: privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(),
    publicKey: publicKey.export({ format: 'der', type: 'spki' }),
  };
}

export class Authority {
  /** PEM; what peers trust. */
  readonly certificate: string;
  readonly #options: AuthorityOptions;
  readonly #subject: string;
  readonly #keyId: Buffer;

  private constructor(options: AuthorityOptions, subject: string, keyId: Buffer, certificate: string) {
    this.#options = options;
    this.#subject = subject;
    this.#keyId = keyId;
    this.certificate = certificate;
  }

  static async open(options: AuthorityOptions): Promise<Outcome<Authority>> {
    const opened = await options.keys.open(options.keyName);
    if (!opened.ok) return opened;
    const publicKey = Buffer.concat([ED25519_SPKI_PREFIX, opened.value.publicKey]);
    const keyId = keyIdOf(publicKey);
    const subject = `wasmmatrix ${keyId.toString('hex').slice(0, 16)}`;
    const body = bodyOf({
      serial: Buffer.of(1),
      issuer: subject,
      subject,
      fromMs: AUTHORITY_FROM_MS,
      toMs: AUTHORITY_TO_MS,
      publicKey,
      extensions: [
        extension(OID.basicConstraints, true, sequence(yes, integer(Buffer.of(0)))),
        extension(OID.keyUsage, true, KEY_USAGE_SIGN_CERTIFICATES),
        extension(OID.subjectKey, false, octets(keyId)),
      ],
    });
    const signed = await options.keys.sign(options.keyName, body);
    return signed.ok ? ok(new Authority(options, subject, keyId, pemOf(body, signed.value))) : signed;
  }

  /** A new certificate; renewing is issuing again, with the same key or another. The caller has checked who asks. */
  async issue(request: CertificateRequest): Promise<Outcome<IssuedCertificate>> {
    const { name, publicKey, hosts = [], lifetimeMs = CERTIFICATE_LIFETIME_MS } = request;
    const wrong = checkRequest(request);
    if (wrong !== null) {
      return rejected('WM_ARGUMENT', { message: `No certificate for '${name}': ${wrong}.`, next: 'Correct the request.' });
    }
    const nowMs = this.#options.civilMs();
    const notAfterMs = nowMs + lifetimeMs;
    const serial = newSerial();
    const body = bodyOf({
      serial,
      issuer: this.#subject,
      subject: name,
      fromMs: nowMs - CLOCK_SKEW_MS,
      toMs: notAfterMs,
      publicKey,
      extensions: [
        extension(OID.basicConstraints, true, sequence()),
        extension(OID.keyUsage, true, KEY_USAGE_SIGN),
        extension(OID.extendedKeyUsage, false, sequence(oid(OID.serverAuth), oid(OID.clientAuth))),
        extension(OID.alternativeName, false, alternativeNames(name, hosts)),
        extension(OID.subjectKey, false, octets(keyIdOf(publicKey))),
        extension(OID.authorityKey, false, sequence(tagged(0x80, this.#keyId))),
      ],
    });
    const signed = await this.#options.keys.sign(this.#options.keyName, body);
    if (!signed.ok) return signed;
    const renewAtMs = nowMs + Math.floor((lifetimeMs * RENEWAL_PART[0]) / RENEWAL_PART[1]);
    return ok({ certificate: pemOf(body, signed.value), serial: serial.toString('hex').toUpperCase(), notAfterMs, renewAtMs });
  }
}

/** What is wrong with a request; null when nothing is. */
function checkRequest({ name, publicKey, hosts = [], lifetimeMs = CERTIFICATE_LIFETIME_MS }: CertificateRequest): string | null {
  if (!NAME.test(name)) return 'it is no name of a machine or user';
  if (!Number.isSafeInteger(lifetimeMs) || lifetimeMs <= 0 || lifetimeMs > CERTIFICATE_LIFETIME_MS_MAX) {
    return `it may hold for at most ${CERTIFICATE_LIFETIME_MS_MAX / HOUR_MS} hours`;
  }
  if (hosts.length > HOSTS_MAX) return `it may have at most ${HOSTS_MAX} hosts`;
  const host = hosts.find((each) => (isIP(each) === 0 ? !HOST.test(each) : ADDRESS_OF_ONE_LINK_OR_MIXED.test(each)));
  if (host !== undefined) return `'${host}' is no host`;
  try {
    const key = createPublicKey({ key: Buffer.from(publicKey), format: 'der', type: 'spki' });
    const fits = key.asymmetricKeyType === 'ed25519' || key.asymmetricKeyType === 'ec';
    // Exactly the key and nothing behind it: these bytes go into the certificate as they are.
    return fits && key.export({ format: 'der', type: 'spki' }).equals(publicKey) ? null : 'its key is not an Ed25519 or ECDSA key';
  } catch {
    return 'its key cannot be read';
  }
}

/** Certificates that hold no longer than they would have. Bound: one leaves when the certificate itself would have expired. */
export class RevocationList {
  readonly #notAfterMs = new Map<string, number>();
  readonly #civilMs: () => number;

  constructor(civilMs: () => number, entries: Iterable<readonly [serial: string, notAfterMs: number]> = []) {
    this.#civilMs = civilMs;
    for (const [serial, notAfterMs] of entries) this.#notAfterMs.set(serial.toUpperCase(), notAfterMs);
  }

  revoke(serial: string, notAfterMs: number): void {
    const nowMs = this.#civilMs();
    for (const [old, endMs] of this.#notAfterMs) if (endMs + CLOCK_SKEW_MS < nowMs) this.#notAfterMs.delete(old);
    this.#notAfterMs.set(serial.toUpperCase(), notAfterMs);
  }

  has(serial: string): boolean {
    return this.#notAfterMs.has(serial);
  }

  /** To be stored, and given to the constructor again. */
  entries(): (readonly [serial: string, notAfterMs: number])[] {
    return [...this.#notAfterMs];
  }
}
