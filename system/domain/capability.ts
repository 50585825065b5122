// What a guest may do. A capability is `kind` or `kind:scope`; nothing is granted that is not named (R2.3, R3.3, R8.1).
import type { Subject, SubjectFilter } from './identifiers.ts';
import { coversSubject, isSubjectFilter, matchesSubject } from './subject.ts';

/**
 * clock, random, sleep: the WASI functions of that name. log: lines of the guest's log.
 * state-read, state-write: keys that begin with `scope`. publish: subjects that the filter `scope` matches.
 */
export type Capability =
  | { readonly kind: 'clock' | 'random' | 'sleep' | 'log' }
  | { readonly kind: 'state-read' | 'state-write'; readonly scope: string }
  | { readonly kind: 'publish'; readonly scope: SubjectFilter };

const KEY_PREFIX = /^[A-Za-z0-9._/-]{1,128}$/;

/** Reads `clock`, `state-read:counter/`, `publish:alerts.>`. Null when it is none. */
export function parseCapability(text: string): Capability | null {
  const colon = text.indexOf(':');
  const kind = colon < 0 ? text : text.slice(0, colon);
  const scope = colon < 0 ? null : text.slice(colon + 1);
  switch (kind) {
    case 'clock':
    case 'random':
    case 'sleep':
    case 'log':
      return scope === null ? { kind } : null;
    case 'state-read':
    case 'state-write':
      return scope !== null && KEY_PREFIX.test(scope) ? { kind, scope } : null;
    case 'publish':
      return scope !== null && isSubjectFilter(scope) ? { kind, scope } : null;
    default:
      return null;
  }
}

export function describeCapability(capability: Capability): string {
  return 'scope' in capability ? `${capability.kind}:${capability.scope}` : capability.kind;
}

/** True when whoever holds `wide` may hand out `narrow`. */
export function coversCapability(wide: Capability, narrow: Capability): boolean {
  if (wide.kind !== narrow.kind) return false;
  if (wide.kind === 'publish' && narrow.kind === 'publish') return coversSubject(wide.scope, narrow.scope);
  if ('scope' in wide && 'scope' in narrow) return narrow.scope.startsWith(wide.scope);
  return true;
}

export function grantsState(grants: readonly Capability[], kind: 'state-read' | 'state-write', key: string): boolean {
  return grants.some((grant) => grant.kind === kind && key.startsWith(grant.scope));
}

export function grantsPublish(grants: readonly Capability[], subject: Subject): boolean {
  return grants.some((grant) => grant.kind === 'publish' && matchesSubject(grant.scope, subject));
}

export function grants(held: readonly Capability[], kind: 'clock' | 'random' | 'sleep' | 'log'): boolean {
  return held.some((grant) => grant.kind === kind);
}
