// What enrolment must not forget: certificates that were issued, those that were revoked, and the digests of join tokens. Each
// change is durable before it is answered. Writers on two machines are kept apart by the version of each key; a change that meets
// another is made again on what is there now. Holds no secret.
import { createHash, timingSafeEqual } from 'node:crypto';
import { TOKEN_ROLES } from '../../system/domain/enrolment.ts';
import type { TokenRole, TokenView } from '../../system/domain/enrolment.ts';
import { ok, rejected } from '../../system/domain/outcome.ts';
import type { Outcome } from '../../system/domain/outcome.ts';
import type { KeyValueStore } from '../../system/ports/storage.ts';
import { RevocationList } from './authority.ts';
import type { IssuedCertificate } from './authority.ts';

/** Bound: certificates of one name that hold at the same time. A renewal whose answer was lost leaves one behind. */
export const CERTIFICATES_PER_NAME_MAX = 256;
/** Bound: revoked certificates that would still hold. */
export const REVOKED_MAX = 5_000;
/** Bound: join tokens. */
export const TOKENS_MAX = 32;
/** Bound: changes made again because another writer was faster. */
const CONFLICTS_MAX = 16;

/** A certificate that was issued. */
export type Entry = { readonly serial: string; readonly notAfterMs: number; readonly keySha256: string };
export type TokenEntry = TokenView & { readonly secretSha256: string };

type Revoked = readonly (readonly [serial: string, notAfterMs: number])[];

const TOKENS_KEY = 'tokens';
const REVOKED_KEY = 'revoked';
const nameKey = (name: string): string => `name/${name}`;

export const sha256Hex = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

export const entryOf = ({ serial, notAfterMs }: IssuedCertificate, publicKey: Uint8Array): Entry => ({
  serial,
  notAfterMs,
  keySha256: sha256Hex(publicKey),
});

export class Ledger {
  readonly #store: KeyValueStore;
  readonly #civilMs: () => number;
  #tokens: readonly TokenEntry[] = [];
  #revoked: RevocationList;

  private constructor(store: KeyValueStore, civilMs: () => number) {
    this.#store = store;
    this.#civilMs = civilMs;
    this.#revoked = new RevocationList(civilMs);
  }

  static async open(store: KeyValueStore, civilMs: () => number): Promise<Outcome<Ledger>> {
    const ledger = new Ledger(store, civilMs);
    const read = await ledger.refresh();
    return read.ok ? ok(ledger) : read;
  }

  /** What is asked without waiting, revocations and tokens, is held in memory; this reads it again. */
  async refresh(): Promise<Outcome<void>> {
    const tokens = await this.#read(TOKENS_KEY, isTokens);
    if (!tokens.ok) return tokens;
    const revoked = await this.#read(REVOKED_KEY, isRevoked);
    if (!revoked.ok) return revoked;
    this.#tokens = tokens.value.content ?? [];
    this.#revoked = new RevocationList(this.#civilMs, revoked.value.content ?? []);
    return ok();
  }

  get tokens(): readonly TokenEntry[] {
    return this.#tokens;
  }

  isRevoked(serial: string): boolean {
    return this.#revoked.has(serial);
  }

  /** The token with this secret. Safety: takes as long whichever it is, and when it is none. */
  findToken(secret: Uint8Array): TokenEntry | null {
    const digest = createHash('sha256').update(secret).digest();
    let found: TokenEntry | null = null;
    for (const token of this.#tokens) if (timingSafeEqual(digest, Buffer.from(token.secretSha256, 'hex'))) found = token;
    return found;
  }

  /** Adds to the certificates of a name what `issue` makes of those that hold now. */
  async issue<T>(name: string, issue: (held: readonly Entry[]) => Promise<Outcome<{ entry: Entry; value: T }>>): Promise<Outcome<T>> {
    let value: T | null = null;
    const changed = await this.#change(nameKey(name), isEntries, async (entries) => {
      const held = this.#holding(entries);
      if (held.length >= CERTIFICATES_PER_NAME_MAX) {
        return rejected('WM_NODE_REFUSED', {
          message: `${name} has ${held.length} certificates that hold, and asks for another.`,
          next: 'Wait until some have expired, or revoke the name and join again.',
        });
      }
      const issued = await issue(held);
      if (!issued.ok) return issued;
      value = issued.value.value;
      return ok([...held, issued.value.entry]);
    });
    return changed.ok ? ok(value as T) : changed;
  }

  /** Ends all certificates of a name; their serial numbers. Also one that is issued while this happens. */
  async revoke(name: string): Promise<Outcome<readonly string[]>> {
    const ended = new Set<string>();
    const emptied = await this.#change(nameKey(name), isEntries, async (entries) => {
      const held = this.#holding(entries);
      const listed = await this.#revokeAll(held);
      if (!listed.ok) return listed;
      for (const { serial } of held) ended.add(serial);
      return ok([]);
    });
    return emptied.ok ? ok([...ended]) : emptied;
  }

  async changeTokens(change: (tokens: readonly TokenEntry[]) => Outcome<readonly TokenEntry[]>): Promise<Outcome<void>> {
    const changed = await this.#change(TOKENS_KEY, isTokens, async (tokens) => {
      const next = change(tokens ?? []);
      if (!next.ok || next.value.length <= TOKENS_MAX) return next;
      return rejected('WM_ARGUMENT', {
        message: `There are ${TOKENS_MAX} join tokens, and room for no more.`,
        next: 'Rotate the tokens of a role, which ends the earlier ones.',
      });
    });
    if (!changed.ok) return changed;
    this.#tokens = changed.value;
    return ok();
  }

  #holding(entries: readonly Entry[] | null): readonly Entry[] {
    const nowMs = this.#civilMs();
    return (entries ?? []).filter(({ serial, notAfterMs }) => notAfterMs > nowMs && !this.isRevoked(serial));
  }

  async #revokeAll(entries: readonly Entry[]): Promise<Outcome<void>> {
    const changed = await this.#change(REVOKED_KEY, isRevoked, async (revoked) => {
      const list = new RevocationList(this.#civilMs, revoked ?? []);
      for (const { serial, notAfterMs } of entries) list.revoke(serial, notAfterMs);
      if (list.entries().length <= REVOKED_MAX) return ok(list.entries() as Revoked);
      return rejected('WM_ARGUMENT', {
        message: `${REVOKED_MAX} certificates are revoked that would still hold, and there is room for no more.`,
        next: 'Wait a day, or replace the authority.',
      });
    });
    if (!changed.ok) return changed;
    this.#revoked = new RevocationList(this.#civilMs, changed.value);
    return ok();
  }

  async #change<T>(
    key: string,
    isContent: (value: unknown) => value is T,
    change: (content: T | null) => Promise<Outcome<T>>,
  ): Promise<Outcome<T>> {
    let last: Outcome<number> = ok(0);
    for (let tried = 0; tried < CONFLICTS_MAX; tried++) {
      const read = await this.#read(key, isContent);
      if (!read.ok) return read;
      const next = await change(read.value.content);
      if (!next.ok) return next;
      last = await this.#store.put(key, Buffer.from(JSON.stringify(next.value)), { expectedVersion: read.value.version });
      if (last.ok) return next;
      if (last.error.code !== 'WM_CONFLICT') return last;
    }
    return last as Outcome<never>;
  }

  async #read<T>(key: string, isContent: (value: unknown) => value is T): Promise<Outcome<{ content: T | null; version: number }>> {
    const found = await this.#store.get(key);
    if (!found.ok) return found;
    if (found.value === null) return ok({ content: null, version: 0 });
    const content = parse(found.value.value);
    if (isContent(content)) return ok({ content, version: found.value.version });
    return rejected('WM_STORAGE_VERSION', {
      message: `What is stored about enrolment under '${key}' cannot be read.`,
      next: 'Start the version that wrote it.',
      detail: { key },
    });
  }
}

function parse(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch {
    return undefined;
  }
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null;

const isEntries = (value: unknown): value is readonly Entry[] =>
  Array.isArray(value) &&
  value.every(
    (each) =>
      isObject(each) &&
      typeof each['serial'] === 'string' &&
      typeof each['notAfterMs'] === 'number' &&
      typeof each['keySha256'] === 'string',
  );

const isRevoked = (value: unknown): value is Revoked =>
  Array.isArray(value) && value.every((each) => Array.isArray(each) && typeof each[0] === 'string' && typeof each[1] === 'number');

const DIGEST = /^[0-9a-f]{64}$/u;

const isTokens = (value: unknown): value is readonly TokenEntry[] =>
  Array.isArray(value) &&
  value.every(
    (each) =>
      isObject(each) &&
      typeof each['id'] === 'string' &&
      typeof each['createdAtMs'] === 'number' &&
      TOKEN_ROLES.includes(each['role'] as TokenRole) &&
      DIGEST.test(String(each['secretSha256'])),
  );
