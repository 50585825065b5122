// The text that lets a machine in: where the controllers are, by which authority to know them, and a secret. One copied line, so
// it says of itself whether it is whole: a token that was mistyped or cut off is told from one that is wrong. Pure.
import { createHash } from 'node:crypto';
import { TOKEN_ROLES, TOKEN_SECRET_BYTES } from '../../system/domain/enrolment.ts';
import type { TokenRole } from '../../system/domain/enrolment.ts';
import { assert, ok, rejected } from '../../system/domain/outcome.ts';
import type { Err, Outcome } from '../../system/domain/outcome.ts';
import { ADDRESSES_MAX } from './routes.ts';

export type JoinToken = {
  readonly role: TokenRole;
  /** `host:port` of each controller. */
  readonly addresses: readonly string[];
  /** SHA-256 of the authority's certificate (DER). */
  readonly authoritySha256: Uint8Array;
  readonly secret: Uint8Array;
};

const PREFIX = 'wm1.';
const ANY_PREFIX = /^wm(\d+)\./u;
const BASE64URL = /^[A-Za-z0-9_-]+$/u;
const ADDRESS = /^[^\s:]+:\d{1,5}$|^\[[0-9a-f:.]+\]:\d{1,5}$/iu;
const DIGEST_BYTES = 32;
const CHECKSUM_BYTES = 4;
const LENGTH_BYTES = 2;
/** Bound: bytes of an address. */
const ADDRESS_BYTES_MAX = 255;
/** Bound: characters of a token: sixteen of the longest addresses. */
const TOKEN_LENGTH_MAX = 8_192;

const checksumOf = (body: Uint8Array): Buffer => createHash('sha256').update(PREFIX).update(body).digest().subarray(0, CHECKSUM_BYTES);

export function encodeJoinToken({ role, addresses, authoritySha256, secret }: JoinToken): string {
  assert(secret.length === TOKEN_SECRET_BYTES && authoritySha256.length === DIGEST_BYTES, 'a join token has a secret and a digest');
  assert(addresses.length > 0 && addresses.length <= ADDRESSES_MAX, `a join token names 1 to ${ADDRESSES_MAX} addresses`);
  assert(
    addresses.every((address) => ADDRESS.test(address) && Buffer.byteLength(address) <= ADDRESS_BYTES_MAX),
    'the addresses of a join token are host:port',
  );
  const parts = addresses.map((address) => Buffer.from(address)).flatMap((address) => [Buffer.of(address.length), address]);
  const body = Buffer.concat([Buffer.of(TOKEN_ROLES.indexOf(role)), authoritySha256, secret, Buffer.of(addresses.length), ...parts]);
  const length = Buffer.alloc(LENGTH_BYTES);
  length.writeUInt16BE(LENGTH_BYTES + body.length + CHECKSUM_BYTES);
  const counted = Buffer.concat([length, body]);
  return PREFIX + Buffer.concat([counted, checksumOf(counted)]).toString('base64url');
}

/** Says nothing of what stands in the text: it may be nearly right. */
export function decodeJoinToken(given: string): Outcome<JoinToken> {
  const text = given.trim();
  const version = ANY_PREFIX.exec(text)?.[1];
  if (version === undefined) return refuse(`it does not begin with '${PREFIX}'`);
  if (!text.startsWith(PREFIX)) return refuse(`it is of version ${version}, made by a newer version of WasmMatrix`);
  const rest = text.slice(PREFIX.length);
  if (text.length > TOKEN_LENGTH_MAX) return refuse('it is far too long');
  if (!BASE64URL.test(rest)) return refuse('it is cut off, or holds a character that is in no token');
  const bytes = Buffer.from(rest, 'base64url');
  const length = bytes.length < LENGTH_BYTES ? Infinity : bytes.readUInt16BE(0);
  const counted = bytes.subarray(0, length - CHECKSUM_BYTES);
  const isPlain = bytes.toString('base64url') === rest;
  const isWhole = isPlain && bytes.length === length && checksumOf(counted).equals(bytes.subarray(length - CHECKSUM_BYTES));
  if (bytes.length < length) return refuse('it is cut off');
  return (isWhole ? read(counted.subarray(LENGTH_BYTES)) : null) ?? refuse('it was mistyped: its checksum does not fit');
}

/** Null when the bytes mean nothing although their checksum fits. */
function read(body: Buffer): Outcome<JoinToken> | null {
  const role = TOKEN_ROLES[body[0] ?? -1];
  const secretAt = 1 + DIGEST_BYTES;
  let at = secretAt + TOKEN_SECRET_BYTES;
  const count = body[at++] ?? 0;
  const addresses: string[] = [];
  for (let index = 0; index < Math.min(count, ADDRESSES_MAX); index++) {
    const end = at + 1 + (body[at] ?? 0);
    addresses.push(body.toString('utf8', at + 1, end));
    at = end;
  }
  if (role === undefined || count === 0 || at !== body.length || !addresses.every((address) => ADDRESS.test(address))) return null;
  return ok({
    role,
    addresses,
    authoritySha256: body.subarray(1, secretAt),
    secret: body.subarray(secretAt, secretAt + TOKEN_SECRET_BYTES),
  });
}

function refuse(why: string): Err {
  return rejected('WM_ARGUMENT', {
    message: `This is no join token: ${why}.`,
    next: 'Copy the whole line again that `wasmmatrix up` or `wasmmatrix token` printed.',
  });
}
