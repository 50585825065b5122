// Which topics become which subjects, and the other way round. A route has a filter and a template; `{1}` in the template is what
// the first wildcard of the filter stood for, and the last wildcard may stand for several levels, or for none. Without a
// template names are mapped as they are. Compiling checks all that can be checked before the first message.
import type { Subject, SubjectFilter } from '../../system/domain/identifiers.ts';
import { ok, rejected, type Err, type Outcome } from '../../system/domain/outcome.ts';
import { isSubject, isSubjectFilter } from '../../system/domain/subject.ts';
import {
  checkTopic,
  checkTopicFilter,
  levelOfToken,
  mapAll,
  matchesTopic,
  subjectOfTokens,
  subjectOfTopic,
  told,
  tokenOfLevel,
  topicOfLevels,
  topicOfSubject,
} from './topic.ts';

export type InboundRoute = {
  /** Topic filter. */
  readonly topics: string;
  /** Template of a subject; null: the topic's own. */
  readonly subject: string | null;
};

export type OutboundRoute = {
  /** Part of the name of the durable consumer: a route that keeps its name keeps its place in the stream. */
  readonly name: string;
  readonly subjects: SubjectFilter;
  /** Template of a topic; null: the subject's own. */
  readonly topic: string | null;
  readonly retain: boolean;
};

export type TopicMapping = { readonly matches: (topic: string) => boolean; readonly subjectOf: (topic: string) => Outcome<Subject> };
export type SubjectMapping = { readonly topicOf: (subject: Subject) => Outcome<string> };

type Part = { readonly kind: 'literal'; readonly text: string } | { readonly kind: 'wildcard'; readonly number: number };

const PLACEHOLDER = /^\{([1-9]\d?)\}$/;

function refused(message: string, next: string): Err {
  return rejected('WM_ARGUMENT', { message, next });
}

export function compileInbound({ topics, subject }: InboundRoute): Outcome<TopicMapping> {
  const fit = checkTopicFilter(topics);
  if (!fit.ok) return fit;
  const matches = (topic: string): boolean => matchesTopic(topics, topic);
  if (subject === null) return ok({ matches, subjectOf: subjectOfTopic });
  const wanted = topics.split('/');
  const template = parseTemplate(subject, '.', wanted.filter((level) => level === '+' || level === '#').length);
  if (!template.ok) return template;
  const literals = template.value.map((part) => (part.kind === 'literal' ? part.text : 'x')).join('.');
  if (!isSubject(literals))
    return refused(
      `'${subject}' is no template of a subject.`,
      'Use up to 16 tokens with dots between them: letters, digits, _, - and $, or {1} for what the first wildcard stands for.',
    );
  return ok({
    matches,
    subjectOf: (topic) => {
      const whole = checkTopic(topic);
      if (!whole.ok) return whole;
      const captured = capture(wanted, topic.split('/'), '+', '#');
      const tokens = fill(template.value, captured, tokenOfLevel);
      return tokens.ok ? subjectOfTokens(tokens.value, `The topic ${told(topic)}, by the route '${topics}' -> '${subject}',`) : tokens;
    },
  });
}

export function compileOutbound({ subjects, topic }: Pick<OutboundRoute, 'subjects' | 'topic'>): Outcome<SubjectMapping> {
  if (!isSubjectFilter(subjects))
    return refused(
      `'${String(subjects)}' is no filter of subjects.`,
      'Use tokens with dots between them, * for one, and a final > for one or more.',
    );
  if (topic === null) return ok({ topicOf: topicOfSubject });
  const wanted = subjects.split('.');
  const template = parseTemplate(topic, '/', wanted.filter((token) => token === '*' || token === '>').length);
  if (!template.ok) return template;
  const literals = checkTopic(template.value.map((part) => (part.kind === 'literal' ? part.text : 'x')).join('/'));
  if (!literals.ok) return refused(`'${topic}' is no template of a topic: ${literals.error.message}`, literals.error.next);
  return ok({
    topicOf: (subject) => {
      const levels = fill(template.value, capture(wanted, subject.split('.'), '*', '>'), levelOfToken);
      return levels.ok ? topicOfLevels(levels.value) : levels;
    },
  });
}

function parseTemplate(text: string, separator: string, wildcards: number): Outcome<readonly Part[]> {
  const parts: Part[] = [];
  for (const piece of text.split(separator)) {
    const number = Number(PLACEHOLDER.exec(piece)?.[1] ?? 0);
    if (number === 0 && /[{}]/.test(piece))
      return refused(
        `'${piece}' in the template '${text}' is not understood.`,
        'Write {1}, {2} and so on, each between separators of its own.',
      );
    if (number > wildcards)
      return refused(
        `The template '${text}' names {${number}}, but the filter has ${wildcards === 0 ? 'no wildcard' : `only ${wildcards} of them`}.`,
        'Number the wildcards of the filter from 1.',
      );
    parts.push(number === 0 ? { kind: 'literal', text: piece } : { kind: 'wildcard', number });
  }
  return ok(parts);
}

/** What each wildcard stood for, in order. The caller matched already. */
function capture(wanted: readonly string[], found: readonly string[], one: string, rest: string): readonly (readonly string[])[] {
  const captured: (readonly string[])[] = [];
  wanted.forEach((part, i) => {
    if (part === one) captured.push([found[i] ?? '']);
    if (part === rest) captured.push(found.slice(i));
  });
  return captured;
}

function fill(
  template: readonly Part[],
  captured: readonly (readonly string[])[],
  map: (part: string) => Outcome<string>,
): Outcome<readonly string[]> {
  const filled: string[] = [];
  for (const part of template) {
    if (part.kind === 'literal') {
      filled.push(part.text);
      continue;
    }
    const mapped = mapAll(captured[part.number - 1] ?? [], map);
    if (!mapped.ok) return mapped;
    filled.push(...mapped.value);
  }
  return ok(filled);
}
