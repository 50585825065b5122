// Branded types for primitives that must not be swapped, and the rules their text obeys.

declare const brand: unique symbol;
export type Brand<T, Name extends string> = T & { readonly [brand]: Name };

export type NodeId = Brand<string, 'NodeId'>;
/** Slash-separated, most general first: `cloud/eu-west`, `fleet/truck-7`. */
export type ZonePath = Brand<string, 'ZonePath'>;
export type ModuleName = Brand<string, 'ModuleName'>;
export type DeploymentName = Brand<string, 'DeploymentName'>;
export type TriggerName = Brand<string, 'TriggerName'>;
/** `<deployment>/<ordinal>`: one numbered replica of a deployment. */
export type InstanceId = Brand<string, 'InstanceId'>;
/** Name of a key pair: `ed25519:` + the first 32 hexadecimal digits of SHA-256 of its public key. */
export type KeyId = Brand<string, 'KeyId'>;
/** `sha256:` + 64 hexadecimal digits over the bytes. */
export type Digest = Brand<string, 'Digest'>;
/** Hash of everything that decides what a compiled artefact is. */
export type ProfileId = Brand<string, 'ProfileId'>;
export type EventId = Brand<string, 'EventId'>;
/** Dot-separated tokens, no wildcards. */
export type Subject = Brand<string, 'Subject'>;
/** Dot-separated; `*` stands for one token, a final `>` for one or more. */
export type SubjectFilter = Brand<string, 'SubjectFilter'>;
export type ConsumerName = Brand<string, 'ConsumerName'>;
/** Name of a place on the network that listens, such as `controller` or `agent/truck-7`. */
export type Endpoint = Brand<string, 'Endpoint'>;
/** Follows one operation through every component. */
export type CorrelationId = Brand<string, 'CorrelationId'>;
/** Leader term: grows with each controller that takes the lead. */
export type Term = Brand<number, 'Term'>;
/** Grows with each start or return of a node. */
export type Incarnation = Brand<number, 'Incarnation'>;
/** Grows with each placement of an instance; the fencing token. */
export type Epoch = Brand<number, 'Epoch'>;

const NAME = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
const ZONE = /^[a-z0-9-]{1,63}(?:\/[a-z0-9-]{1,63}){0,7}$/;

/** Lower-case letters, digits and inner hyphens, 1 to 63 characters (a DNS label). */
export function isName(text: string): boolean {
  return NAME.test(text);
}

export function isZonePath(text: string): text is ZonePath {
  return ZONE.test(text);
}

const DIGEST = /^sha256:[0-9a-f]{64}$/;

export function isDigest(text: string): text is Digest {
  return DIGEST.test(text);
}

/** True when `zone` is `ancestor` or lies below it. */
export function isWithinZone(zone: ZonePath, ancestor: ZonePath): boolean {
  return zone === ancestor || zone.startsWith(`${ancestor}/`);
}

export function instanceIdOf(deployment: DeploymentName, ordinal: number): InstanceId {
  return `${deployment}/${ordinal}` as InstanceId;
}
