// How machines and users get their certificates, on the port where everything else is served. A join token lets a peer without a
// certificate ask for its first; from then on the certificate itself is the proof (R1.1, R13.3).
import { isName } from './identifiers.ts';

/** The one method of ours that a peer without a certificate may call. */
export const ENROL_METHOD = '/wasmmatrix.v1.Enrolment/Enrol';
export const RENEW_METHOD = '/wasmmatrix.v1.Enrolment/Renew';
export const REVOKE_METHOD = '/wasmmatrix.v1.Enrolment/Revoke';
export const TOKENS_METHOD = '/wasmmatrix.v1.Enrolment/Tokens';

/** Whom a join token lets in: nodes under `node/<id>`, operators under `operator/<id>`. */
export const TOKEN_ROLES = ['node', 'operator'] as const;
export type TokenRole = (typeof TOKEN_ROLES)[number];

/** Bytes of the secret in a join token: too many to be guessed. */
export const TOKEN_SECRET_BYTES = 16;

/** The role under which a name is enrolled; null when it is no such name. */
export function roleOf(name: string): TokenRole | null {
  const [role, id, ...rest] = name.split('/');
  const known = TOKEN_ROLES.find((each) => each === role);
  return known !== undefined && id !== undefined && rest.length === 0 && isName(id) ? known : null;
}

export type EnrolRequest = {
  /** `node/truck-7` or `operator/ops`. */
  readonly name: string;
  readonly secret: Uint8Array;
  /** Subject public key info, DER. The private half never leaves its machine. */
  readonly publicKey: Uint8Array;
  /** Host names and addresses under which stock clients dial the node; operators have none. */
  readonly hosts: readonly string[];
};

/** How the bus is reached when it is no part of the controller. */
export type BusSettings = {
  readonly kind: 'nats';
  readonly servers: readonly string[];
  readonly user: string | null;
  readonly password: string | null;
  /** Beginning of the platform's names there. */
  readonly prefix: string;
};

export type EnrolReply = {
  /** PEM. */
  readonly certificate: string;
  /** PEM: whom to trust from now on. Two of them while one authority replaces another. */
  readonly authorities: readonly string[];
  readonly notAfterMs: number;
  /** Its holder asks for the next one from here on. */
  readonly renewAtMs: number;
  /** Null: embedded, reached through the controller. */
  readonly bus: BusSettings | null;
};

/** For the name that the connection shows, and no other. */
export type RenewRequest = { readonly publicKey: Uint8Array; readonly hosts: readonly string[] };

/** Ends every certificate of the name; it can then be enrolled anew, by whoever holds a join token. */
export type RevokeRequest = { readonly name: string };
export type RevokeReply = { readonly serials: readonly string[] };

/** `current` shows the newest of the role, `rotate` ends all earlier ones of the role. */
export type TokensRequest = { readonly kind: 'list' } | { readonly kind: 'current' | 'create' | 'rotate'; readonly role: TokenRole };

export type TokenView = { readonly id: string; readonly role: TokenRole; readonly createdAtMs: number };

export type TokensReply = {
  readonly tokens: readonly TokenView[];
  /** Text of the token that was asked for; a list has none. */
  readonly token: string | null;
};
