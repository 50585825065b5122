// Topics of MQTT as subjects, and back. A level is a token: letters, digits, `_` and `-` stand for themselves, every other byte
// of its UTF-8 is written `$HH`, and an empty level is a lone `$`. So no two topics share a subject, and each subject that came
// of a topic leads back to it. What cannot be said on the other side is refused with a sentence, never bent to fit.
// Surprising: `a/#` also matches `a`, as MQTT has it; `a.>` does not match `a`, as NATS has it (docs/decisions/0011).
import type { Subject, SubjectFilter } from '../../system/domain/identifiers.ts';
import { ok, rejected, type Err, type Outcome } from '../../system/domain/outcome.ts';
import { isSubject, isSubjectFilter, SUBJECT_TOKENS_MAX } from '../../system/domain/subject.ts';

/** Bound: bytes of a topic, by the protocol. */
const TOPIC_BYTES_MAX = 65_535;
/** Bound: characters of a token of a subject. */
const TOKEN_LENGTH_MAX = 64;
/** Bound: characters of a name that a sentence repeats. */
const TOLD_LENGTH_MAX = 80;

const LITERAL = /^[A-Za-z0-9_-]$/;
const ESCAPE = '$';
const utf8 = new TextEncoder();
const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function refused(message: string, next: string): Err {
  return rejected('WM_EVENT_INVALID', { message, next });
}

export function told(text: string): string {
  const line = JSON.stringify(text);
  return line.length > TOLD_LENGTH_MAX ? `${line.slice(0, TOLD_LENGTH_MAX)}…` : line;
}

/** What brokers take as text: some end the connection of whoever sends them control characters or what is no character (MQTT 5, 1.5.4). */
export function isMqttText(text: string): boolean {
  return text.isWellFormed() && !/[\p{Cc}\p{Noncharacter_Code_Point}]/u.test(text);
}

/** A topic that a message may be published to: what the protocol says, and no wildcard. */
export function checkTopic(topic: string): Outcome<void> {
  if (topic === '') return refused('The topic is empty.', 'Publish to a topic of at least one character.');
  if (!isMqttText(topic))
    return refused(
      `The topic ${told(topic)} holds a character that MQTT forbids.`,
      'Use text without control characters and broken surrogates.',
    );
  if (/[+#]/.test(topic)) return refused(`The topic ${told(topic)} holds a wildcard.`, 'Publish to a topic without + and #.');
  if (utf8.encode(topic).length > TOPIC_BYTES_MAX)
    return refused(`A topic has more than ${TOPIC_BYTES_MAX} bytes.`, 'Publish to a shorter topic.');
  return ok();
}

export function checkTopicFilter(filter: string): Outcome<void> {
  const levels = filter.split('/');
  if (levels[0] === '$share')
    return refused(
      `The filter ${told(filter)} is a shared subscription.`,
      'Name the filter without $share; one gateway takes each filter, so that the order of its messages is kept.',
    );
  for (const [i, level] of levels.entries()) {
    if (level === '#' && i < levels.length - 1) return refused(`The filter ${told(filter)} goes on after #.`, 'Put # last.');
    if (level.length > 1 && /[+#]/.test(level))
      return refused(`The filter ${told(filter)} has a wildcard inside the level ${told(level)}.`, 'A wildcard is a level of its own.');
  }
  const plain = levels.map((level) => (level === '+' || level === '#' ? 'x' : level)).join('/');
  return checkTopic(plain);
}

/** As brokers match: a wildcard in the first level does not match a topic that begins with `$`. */
export function matchesTopic(filter: string, topic: string): boolean {
  const wanted = filter.split('/');
  const levels = topic.split('/');
  if (topic.startsWith('$') && (wanted[0] === '+' || wanted[0] === '#')) return false;
  for (let i = 0; i < wanted.length; i++) {
    if (wanted[i] === '#') return true;
    if (i >= levels.length || (wanted[i] !== '+' && wanted[i] !== levels[i])) return false;
  }
  return wanted.length === levels.length;
}

/** True when one topic may match both. */
export function overlaps(a: string, b: string): boolean {
  const left = a.split('/');
  const right = b.split('/');
  for (let i = 0; ; i++) {
    const l = left[i];
    const r = right[i];
    if (l === '#' || r === '#') return true;
    if (l === undefined || r === undefined) return l === r;
    if (l !== r && l !== '+' && r !== '+') return false;
  }
}

export function tokenOfLevel(level: string): Outcome<string> {
  if (level === '') return ok(ESCAPE);
  let token = '';
  for (const byte of utf8.encode(level)) {
    const char = String.fromCharCode(byte);
    token += LITERAL.test(char) ? char : `${ESCAPE}${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return token.length <= TOKEN_LENGTH_MAX
    ? ok(token)
    : refused(
        `The level ${told(level)} takes ${token.length} characters in a subject, more than ${TOKEN_LENGTH_MAX}.`,
        'Use a shorter level; a character other than letters, digits, _ and - takes three for each of its bytes.',
      );
}

export function levelOfToken(token: string): Outcome<string> {
  if (token === ESCAPE) return ok('');
  if (!token.includes(ESCAPE)) return ok(token);
  const bytes: number[] = [];
  for (let i = 0; i < token.length; i++) {
    const escaped = token[i] === ESCAPE ? /^[0-9A-F]{2}/.exec(token.slice(i + 1))?.[0] : undefined;
    bytes.push(escaped === undefined ? token.charCodeAt(i) : Number.parseInt(escaped, 16));
    if (escaped !== undefined) i += 2;
  }
  const level = decodeStrictly(Uint8Array.from(bytes));
  const back = level === null ? null : tokenOfLevel(level);
  if (level === null || back === null || !back.ok || back.value !== token || /[/+#\0]/.test(level))
    return refused(
      `The token '${token}' of a subject is the name of no level of a topic.`,
      'Write $ only as $HH: two hexadecimal digits of a byte that is no letter, digit, _ or -, and neither /, + nor #.',
    );
  return ok(level);
}

function decodeStrictly(bytes: Uint8Array): string | null {
  try {
    return strictUtf8.decode(bytes);
  } catch {
    return null;
  }
}

export function subjectOfTopic(topic: string): Outcome<Subject> {
  const fit = checkTopic(topic);
  if (!fit.ok) return fit;
  const tokens = mapAll(topic.split('/'), tokenOfLevel);
  return tokens.ok ? subjectOfTokens(tokens.value, `The topic ${told(topic)}`) : tokens;
}

export function topicOfSubject(subject: Subject): Outcome<string> {
  const levels = mapAll(subject.split('.'), levelOfToken);
  return levels.ok ? topicOfLevels(levels.value) : levels;
}

export function subjectFilterOf(filter: string): Outcome<SubjectFilter> {
  const fit = checkTopicFilter(filter);
  if (!fit.ok) return fit;
  const tokens = mapAll(filter.split('/'), (level) => (level === '+' ? ok('*') : level === '#' ? ok('>') : tokenOfLevel(level)));
  if (!tokens.ok) return tokens;
  const text = tokens.value.join('.');
  return isSubjectFilter(text) ? ok(text) : tooDeep(`The filter ${told(filter)}`, tokens.value.length);
}

export function topicFilterOf(filter: SubjectFilter): Outcome<string> {
  const levels = mapAll(filter.split('.'), (token) => (token === '*' ? ok('+') : token === '>' ? ok('#') : levelOfToken(token)));
  return levels.ok ? ok(levels.value.join('/')) : levels;
}

export function subjectOfTokens(tokens: readonly string[], what: string): Outcome<Subject> {
  const text = tokens.join('.');
  return isSubject(text) ? ok(text) : tooDeep(what, tokens.length);
}

export function topicOfLevels(levels: readonly string[]): Outcome<string> {
  const topic = levels.join('/');
  const fit = checkTopic(topic);
  return fit.ok ? ok(topic) : fit;
}

function tooDeep(what: string, tokens: number): Err {
  return refused(
    `${what} makes a subject of ${tokens} tokens; it must have from 1 to ${SUBJECT_TOKENS_MAX}.`,
    'Use fewer levels, or a route whose subject names fewer of them.',
  );
}

export function mapAll(parts: readonly string[], map: (part: string) => Outcome<string>): Outcome<readonly string[]> {
  const mapped: string[] = [];
  for (const part of parts) {
    const each = map(part);
    if (!each.ok) return each;
    mapped.push(each.value);
  }
  return ok(mapped);
}
