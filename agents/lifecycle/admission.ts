// Whom to believe: the highest leader term and revision that was ever seen decides, and lower ones are refused (architecture §5).
import type { Term } from '../../system/domain/identifiers.ts';

export type Seen = { readonly term: Term; readonly revision: number };

/** Revisions count within a term. The same revision again is accepted: applying is idempotent. */
export function admits(seen: Seen | null, offered: Seen): boolean {
  if (seen === null || offered.term > seen.term) return true;
  return offered.term === seen.term && offered.revision >= seen.revision;
}

export function admitsTerm(seen: Seen | null, term: Term): boolean {
  return seen === null || term >= seen.term;
}

export function highest(a: Seen | null, b: Seen | null): Seen | null {
  if (a === null || b === null) return a ?? b;
  return admits(a, b) ? b : a;
}

export function encodeSeen(seen: Seen): string {
  return `${seen.term} ${seen.revision}`;
}

/** Null for anything that `encodeSeen` did not make. */
export function decodeSeen(text: string): Seen | null {
  const match = /^([0-9]{1,15}) ([0-9]{1,15})$/.exec(text);
  return match === null ? null : { term: Number(match[1]) as Term, revision: Number(match[2]) };
}
