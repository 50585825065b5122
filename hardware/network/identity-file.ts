// The one file of a machine or user that is enrolled: key, certificate, whom to trust, where the controllers are. Readable by its
// owner alone; written aside and renamed, so that a crash leaves the old one or the new one, whole.
import { createPrivateKey, createPublicKey, randomUUID, X509Certificate } from 'node:crypto';
import { constants } from 'node:fs';
import { mkdir, open, rename, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { BusSettings } from '../../system/domain/enrolment.ts';
import { ok, rejected, unknown } from '../../system/domain/outcome.ts';
import type { Err, Outcome } from '../../system/domain/outcome.ts';
import { whyOf } from '../../system/domain/why.ts';
import type { Identity } from './identity.ts';

export type KeptIdentity = {
  /** `node/truck-7`, `operator/ops`. */
  readonly name: string;
  readonly identity: Identity;
  /** `host:port` of each controller. */
  readonly addresses: readonly string[];
  readonly notAfterMs: number;
  readonly renewAtMs: number;
  readonly bus: BusSettings | null;
};

const FORMAT = 'wasmmatrix-identity';
const VERSION = 1;
/** Bound: a few certificates and addresses are far smaller. */
const FILE_BYTES_MAX = 256 * 1_024;
const OTHERS_MASK = 0o077;
const OWNER_ONLY = 0o600;

const DAMAGED = 'Remove it and join again with a join token, or restore a copy that only its owner could read.';

function unusable(path: string, why: string, next = DAMAGED): Err {
  return rejected('WM_KEY_UNUSABLE', {
    message: `Identity file ${path}: ${why}.`,
    next,
    detail: { path },
  });
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : String(error);
}

function notWritten(path: string, error: unknown): Err {
  return unknown('WM_STORAGE_FAILED', {
    message: `Identity file ${path} could not be read or written: ${whyOf(error)}.`,
    next: 'Check the directory, its permissions and the space on its disk.',
    detail: { path },
  });
}

export async function saveIdentity(path: string, kept: KeptIdentity): Promise<Outcome<void>> {
  const aside = `${path}.${randomUUID()}.new`;
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    const file = await open(aside, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, OWNER_ONLY);
    try {
      await file.writeFile(`${JSON.stringify({ format: FORMAT, version: VERSION, ...kept }, null, 2)}\n`);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(aside, path);
    const directory = await open(dirname(path), constants.O_RDONLY);
    try {
      await directory.sync();
    } finally {
      await directory.close();
    }
    return ok();
  } catch (error) {
    await unlink(aside).catch(() => {});
    return notWritten(path, error);
  }
}

/** Null when there is no such file: whoever it would be has not joined. */
export async function loadIdentity(path: string): Promise<Outcome<KeptIdentity | null>> {
  let file;
  try {
    file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return ok<KeptIdentity | null>(null);
    if (codeOf(error) === 'ELOOP') return unusable(path, 'it is a symbolic link');
    return notWritten(path, error);
  }
  try {
    // Safety: the checks are of the opened file, so that it cannot be exchanged between check and reading.
    const status = await file.stat();
    if (!status.isFile() || status.size > FILE_BYTES_MAX) return unusable(path, 'it is no identity file');
    if ((status.mode & OTHERS_MASK) !== 0) {
      return unusable(
        path,
        `others than its owner may use it (mode ${(status.mode & 0o777).toString(8)})`,
        'Give it back to its owner alone (chmod 600) if you trust that nobody copied it; otherwise remove it and join again with a join token.',
      );
    }
    return read(path, await file.readFile('utf8'));
  } catch (error) {
    return notWritten(path, error);
  } finally {
    await file.close();
  }
}

function read(path: string, text: string): Outcome<KeptIdentity | null> {
  let value: Partial<KeptIdentity & { format: unknown; version: unknown }>;
  try {
    value = JSON.parse(text) as typeof value;
  } catch {
    return unusable(path, 'it is damaged');
  }
  if (value === null || typeof value !== 'object' || value.format !== FORMAT) return unusable(path, 'it is no identity file');
  if (value.version !== VERSION) return unusable(path, `it is of version ${String(value.version)}, which this version cannot read`);
  const { name, identity, addresses, notAfterMs, renewAtMs, bus = null } = value;
  if (
    typeof name !== 'string' ||
    typeof notAfterMs !== 'number' ||
    typeof renewAtMs !== 'number' ||
    !isTexts(addresses) ||
    !isIdentity(identity) ||
    !isBus(bus)
  ) {
    return unusable(path, 'something is missing in it');
  }
  if (!fits(identity)) return unusable(path, 'its key and its certificate are damaged, or do not belong together');
  return ok<KeptIdentity | null>({ name, identity, addresses, notAfterMs, renewAtMs, bus });
}

const isText = (value: unknown): value is string => typeof value === 'string';
const isTexts = (value: unknown): value is string[] => Array.isArray(value) && value.every(isText);

function isIdentity(value: unknown): value is Identity {
  const { certificate, privateKey, authorities } = (value ?? {}) as Partial<Identity>;
  return isText(certificate) && isText(privateKey) && isTexts(authorities) && authorities.length > 0;
}

function isBus(value: unknown): value is BusSettings | null {
  if (value === null) return true;
  const { kind, servers, user, password, prefix } = value as Partial<BusSettings>;
  return kind === 'nats' && isTexts(servers) && isText(prefix) && [user, password].every((each) => each === null || isText(each));
}

function fits({ certificate, privateKey }: Identity): boolean {
  try {
    const own = createPublicKey(createPrivateKey(privateKey)).export({ format: 'der', type: 'spki' });
    return new X509Certificate(certificate).publicKey.export({ format: 'der', type: 'spki' }).equals(own);
  } catch {
    return false;
  }
}
