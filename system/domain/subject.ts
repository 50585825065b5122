// Subjects and filters in the NATS notation: dot-separated tokens, `*` for one token, a final `>` for one or more.
import type { Subject, SubjectFilter } from './identifiers.ts';

const TOKEN = /^[A-Za-z0-9_$-]{1,64}$/;
/** Bound: tokens of one subject. */
export const SUBJECT_TOKENS_MAX = 16;

export function isSubject(text: string): text is Subject {
  const tokens = text.split('.');
  return tokens.length <= SUBJECT_TOKENS_MAX && tokens.every((token) => TOKEN.test(token));
}

export function isSubjectFilter(text: string): text is SubjectFilter {
  const tokens = text.split('.');
  return (
    tokens.length <= SUBJECT_TOKENS_MAX &&
    tokens.every((token, i) => token === '*' || (token === '>' && i === tokens.length - 1) || TOKEN.test(token))
  );
}

export function matchesSubject(filter: SubjectFilter, subject: Subject): boolean {
  const wanted = filter.split('.');
  const tokens = subject.split('.');
  for (let i = 0; i < wanted.length; i++) {
    if (wanted[i] === '>') return tokens.length > i;
    if (i >= tokens.length || (wanted[i] !== '*' && wanted[i] !== tokens[i])) return false;
  }
  return wanted.length === tokens.length;
}

/** True when every subject that `inner` matches is matched by `outer` too. */
export function coversSubject(outer: SubjectFilter, inner: SubjectFilter): boolean {
  const wide = outer.split('.');
  const narrow = inner.split('.');
  for (let i = 0; i < wide.length; i++) {
    if (wide[i] === '>') return narrow.length > i;
    if (i >= narrow.length || narrow[i] === '>') return false;
    if (wide[i] === '*') continue;
    if (wide[i] !== narrow[i]) return false;
  }
  return wide.length === narrow.length;
}
