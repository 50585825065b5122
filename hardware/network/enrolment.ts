// The side that lets in: owns the authority, the join tokens and the revocations, and answers the methods of enrolment in front of
// everything else that the controller's endpoint serves. Refuses wrong secrets, a few times aloud and then unheard; a name that
// another key holds; and to tell anybody but operators about tokens. A token's secret is a function of a private key and the
// token's identifier: it can be shown again after a restart although only its digest is stored.
import { createHash, randomBytes, X509Certificate } from 'node:crypto';
import { ENROL_METHOD, RENEW_METHOD, REVOKE_METHOD, roleOf, TOKEN_SECRET_BYTES, TOKENS_METHOD } from '../../system/domain/enrolment.ts';
import type {
  BusSettings,
  EnrolReply,
  EnrolRequest,
  RenewRequest,
  RevokeReply,
  RevokeRequest,
  TokenRole,
  TokensReply,
  TokensRequest,
} from '../../system/domain/enrolment.ts';
import { ok, rejected } from '../../system/domain/outcome.ts';
import type { Err, Outcome } from '../../system/domain/outcome.ts';
import type { Keys } from '../../system/ports/keys.ts';
import type { PeerIdentity, ServiceHandler } from '../../system/ports/network.ts';
import type { KeyValueStore } from '../../system/ports/storage.ts';
import * as codec from '../../system/wire/codec/enrolment.ts';
import { placeOf } from './admission.ts';
import type { Authority, CertificateRequest } from './authority.ts';
import { Guesses, WRONG_SECRETS_MAX, WRONG_SECRETS_WINDOW_MS } from './guesses.ts';
import { encodeJoinToken } from './join-token.ts';
import { entryOf, Ledger, sha256Hex } from './ledger.ts';
import type { Entry, TokenEntry } from './ledger.ts';

/** Name of the key that secrets of join tokens are made of. */
const TOKEN_KEY_NAME = 'join-tokens';
const TOKEN_ID_BYTES = 8;

export type EnrolmentOptions = {
  readonly authority: Authority;
  readonly keys: Pick<Keys, 'open' | 'sign'>;
  readonly store: KeyValueStore;
  readonly civilMs: () => number;
  /** `host:port` of each controller, for join tokens; asked whenever one is shown. */
  readonly addresses: () => readonly string[];
  /** What those who enrol are told of the bus; null, the default: it is embedded. */
  readonly bus?: BusSettings | null;
  readonly lifetimeMs?: number;
  /** Sentences for the log; never with a secret. */
  readonly onRefused?: (sentence: string) => void;
  /** The list of revoked certificates has grown; whoever is on it is still connected. */
  readonly onRevoked?: () => void;
};

type Issue = { readonly name: string; readonly publicKey: Uint8Array; readonly hosts: readonly string[] };

export class Enrolment {
  readonly #options: EnrolmentOptions;
  readonly #ledger: Ledger;
  readonly #guesses: Guesses;

  private constructor(options: EnrolmentOptions, ledger: Ledger) {
    this.#options = options;
    this.#ledger = ledger;
    this.#guesses = new Guesses(options.civilMs);
  }

  static async open(options: EnrolmentOptions): Promise<Outcome<Enrolment>> {
    const key = await options.keys.open(TOKEN_KEY_NAME);
    if (!key.ok) return key;
    const ledger = await Ledger.open(options.store, options.civilMs);
    return ledger.ok ? ok(new Enrolment(options, ledger.value)) : ledger;
  }

  /** For the network: asked at every call. */
  revoked(serial: string): boolean {
    return this.#ledger.isRevoked(serial);
  }

  /** Reads again what another controller may have written: call it when this one takes the lead. */
  refresh(): Promise<Outcome<void>> {
    return this.#ledger.refresh();
  }

  /** The newest join token of a role, made at the first call. Whoever reads it can let himself in. */
  async joinToken(role: TokenRole): Promise<Outcome<string>> {
    const newest = this.#ledger.tokens.findLast((token) => token.role === role);
    if (newest !== undefined) {
      const secret = await this.#secretOf(newest);
      if (!secret.ok) return secret;
      // Otherwise the key was replaced, and nobody can say that secret any more.
      if (sha256Hex(secret.value) === newest.secretSha256) return ok(this.#textOf(role, secret.value));
    }
    return this.#createToken(role, (tokens) => tokens);
  }

  /** A certificate for this process itself, which is under no name that can be enrolled, and is not kept. */
  async issueOwn({ name, publicKey, hosts = [] }: CertificateRequest): Promise<Outcome<EnrolReply>> {
    const issued = await this.#certify({ name, publicKey, hosts });
    return issued.ok ? ok(issued.value.value) : issued;
  }

  /** Null: none of its methods. */
  answer(method: string, peer: PeerIdentity, bytes: Uint8Array): Promise<Outcome<Uint8Array>> | null {
    switch (method) {
      case ENROL_METHOD:
        return through(codec.decodeEnrolRequest(bytes), (request) => this.#enrol(peer, request), codec.encodeEnrolReply);
      case RENEW_METHOD:
        return through(codec.decodeRenewRequest(bytes), (request) => this.#renew(peer, request), codec.encodeEnrolReply);
      case REVOKE_METHOD:
        return through(codec.decodeRevokeRequest(bytes), (request) => this.#revoke(peer, request), codec.encodeRevokeReply);
      case TOKENS_METHOD:
        return through(codec.decodeTokensRequest(bytes), (request) => this.#tokens(peer, request), codec.encodeTokensReply);
      default:
        return null;
    }
  }

  async #enrol(peer: PeerIdentity, { name, secret, publicKey, hosts }: EnrolRequest): Promise<Outcome<EnrolReply>> {
    const place = placeOf(peer);
    if (this.#guesses.isTooMany(place)) return this.#refuseGuesser(peer, place);
    const token = this.#ledger.findToken(secret);
    if (token === null) {
      this.#guesses.add(place);
      return this.#refuse(
        peer,
        'The join token is none of this control plane; it may have been rotated.',
        'Ask an operator for the current one (`wasmmatrix token`).',
      );
    }
    const wrong = checkName(name, hosts);
    if (wrong !== null) return wrong;
    if (roleOf(name) !== token.role) {
      return this.#refuse(peer, `The join token is for a name ${token.role}/…, and not for ${name}.`, `Use a token of the other role.`);
    }
    const keySha256 = sha256Hex(publicKey);
    const enrolled = await this.#ledger.issue(name, async (held) => {
      const other = held.find((entry) => entry.keySha256 !== keySha256);
      return other === undefined ? this.#certify({ name, publicKey, hosts }) : this.#taken(peer, name, held);
    });
    return enrolled;
  }

  async #renew(peer: PeerIdentity, { publicKey, hosts }: RenewRequest): Promise<Outcome<EnrolReply>> {
    const { name } = peer;
    const wrong = checkName(name, hosts);
    if (wrong !== null) return wrong;
    return this.#ledger.issue(name, async (held) => {
      if (held.length > 0) return this.#certify({ name, publicKey, hosts });
      return this.#refuse(peer, `${name} is not enrolled here, or was revoked.`, 'Join again with a join token.');
    });
  }

  async #revoke(peer: PeerIdentity, { name }: RevokeRequest): Promise<Outcome<RevokeReply>> {
    const refused = this.#refuseOthers(peer, REVOKE_METHOD);
    if (refused !== null) return refused;
    const revoked = await this.#ledger.revoke(name);
    if (!revoked.ok) return revoked;
    if (revoked.value.length === 0) {
      return rejected('WM_NOT_FOUND', { message: `${name} holds no certificate.`, next: 'Check the name: node/<id> or operator/<id>.' });
    }
    this.#options.onRevoked?.();
    return ok({ serials: revoked.value });
  }

  async #tokens(peer: PeerIdentity, request: TokensRequest): Promise<Outcome<TokensReply>> {
    const refused = this.#refuseOthers(peer, TOKENS_METHOD);
    if (refused !== null) return refused;
    const shown = await this.#shownToken(request);
    if (!shown.ok) return shown;
    const tokens = this.#ledger.tokens.map(({ id, role, createdAtMs }) => ({ id, role, createdAtMs }));
    return ok({ tokens, token: shown.value });
  }

  async #shownToken(request: TokensRequest): Promise<Outcome<string | null>> {
    switch (request.kind) {
      case 'list':
        return ok<string | null>(null);
      case 'current':
        return this.joinToken(request.role);
      case 'create':
        return this.#createToken(request.role, (tokens) => tokens);
      case 'rotate':
        return this.#createToken(request.role, (tokens) => tokens.filter(({ role }) => role !== request.role));
    }
  }

  async #createToken(role: TokenRole, keep: (tokens: readonly TokenEntry[]) => readonly TokenEntry[]): Promise<Outcome<string>> {
    const view = { id: randomBytes(TOKEN_ID_BYTES).toString('hex'), role, createdAtMs: this.#options.civilMs() };
    const secret = await this.#secretOf(view);
    if (!secret.ok) return secret;
    const token: TokenEntry = { ...view, secretSha256: sha256Hex(secret.value) };
    const stored = await this.#ledger.changeTokens((tokens) => ok([...keep(tokens), token]));
    return stored.ok ? ok(this.#textOf(role, secret.value)) : stored;
  }

  /** Ed25519 signatures are functions of key and message. */
  async #secretOf({ role, id }: { readonly role: TokenRole; readonly id: string }): Promise<Outcome<Uint8Array>> {
    const signed = await this.#options.keys.sign(TOKEN_KEY_NAME, Buffer.from(`wasmmatrix join token ${role} ${id}`));
    return signed.ok ? ok(createHash('sha256').update(signed.value).digest().subarray(0, TOKEN_SECRET_BYTES)) : signed;
  }

  #textOf(role: TokenRole, secret: Uint8Array): string {
    const authority = new X509Certificate(this.#options.authority.certificate).raw;
    const authoritySha256 = createHash('sha256').update(authority).digest();
    return encodeJoinToken({ role, addresses: this.#options.addresses(), authoritySha256, secret });
  }

  async #certify({ name, publicKey, hosts }: Issue): Promise<Outcome<{ entry: Entry; value: EnrolReply }>> {
    const { authority, bus = null, lifetimeMs } = this.#options;
    const issued = await authority.issue({ name, publicKey, hosts, ...(lifetimeMs === undefined ? {} : { lifetimeMs }) });
    if (!issued.ok) return issued;
    const { certificate, notAfterMs, renewAtMs } = issued.value;
    return ok({
      entry: entryOf(issued.value, publicKey),
      value: { certificate, authorities: [authority.certificate], notAfterMs, renewAtMs, bus },
    });
  }

  #taken(peer: PeerIdentity, name: string, held: readonly Entry[]): Err {
    const until = new Date(Math.max(...held.map(({ notAfterMs }) => notAfterMs))).toISOString();
    return this.#refuse(
      peer,
      `${name} is enrolled with another key, whose certificate holds until ${until}.`,
      `Choose another name, or revoke ${name} first if its machine is gone.`,
    );
  }

  /** Said in the log once for each window: whoever guesses does not write our log. */
  #refuseGuesser(peer: PeerIdentity, place: string): Err {
    const seconds = WRONG_SECRETS_WINDOW_MS / 1_000;
    const message = `More than ${WRONG_SECRETS_MAX} wrong join tokens came from this address within ${seconds} seconds.`;
    const next = `Wait ${seconds} seconds, then join with the current token.`;
    if (this.#guesses.add(place) === WRONG_SECRETS_MAX + 1) return this.#refuse(peer, message, next);
    return rejected('WM_NODE_REFUSED', { message, next, detail: { peer: peer.name } });
  }

  #refuseOthers(peer: PeerIdentity, method: string): Err | null {
    if (roleOf(peer.name) === 'operator') return null;
    return this.#refuse(peer, `${peer.name} is not an operator and may not call ${method}.`, 'Call it with the identity of an operator.');
  }

  #refuse(peer: PeerIdentity, message: string, next: string): Err {
    this.#options.onRefused?.(`${peer.name} was refused: ${message}`);
    return rejected('WM_NODE_REFUSED', { message, next, detail: { peer: peer.name } });
  }
}

function checkName(name: string, hosts: readonly string[]): Err | null {
  const role = roleOf(name);
  if (role === null) {
    return rejected('WM_ARGUMENT', {
      message: `'${name}' is no name that can be enrolled.`,
      next: 'Use node/<id> or operator/<id>, where <id> is 1 to 63 lower-case letters, digits and inner hyphens.',
    });
  }
  if (role === 'node' || hosts.length === 0) return null;
  return rejected('WM_ARGUMENT', { message: `${name} is a user, who serves nobody under host names.`, next: 'Give no hosts.' });
}

async function through<Request, Reply>(
  request: Outcome<Request>,
  answer: (request: Request) => Promise<Outcome<Reply>>,
  encode: (reply: Reply) => Uint8Array,
): Promise<Outcome<Uint8Array>> {
  if (!request.ok) return request;
  const reply = await answer(request.value);
  return reply.ok ? ok(encode(reply.value)) : reply;
}

/** Puts enrolment in front of what an endpoint serves. */
export function withEnrolment(handler: ServiceHandler, enrolment: Enrolment): ServiceHandler {
  return {
    call: (method, peer, request) => enrolment.answer(method, peer, request) ?? handler.call(method, peer, request),
    stream: handler.stream,
  };
}
