// The laws of the mapping: total, and no two names become one.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { compileInbound, compileOutbound } from '../../../hardware/mqtt/route.ts';
import {
  checkTopic,
  matchesTopic,
  overlaps,
  subjectFilterOf,
  subjectOfTopic,
  topicFilterOf,
  topicOfSubject,
} from '../../../hardware/mqtt/topic.ts';
import type { Subject, SubjectFilter } from '../../../system/domain/identifiers.ts';
import type { Outcome } from '../../../system/domain/outcome.ts';
import { isSubject, isSubjectFilter, matchesSubject } from '../../../system/domain/subject.ts';

const anyText = fc.string({ unit: 'binary', maxLength: 40 });
const level = fc.oneof(
  fc.stringMatching(/^[a-z0-9_-]{0,6}$/),
  fc.string({ unit: 'grapheme', maxLength: 5 }).map((text) => text.replaceAll(/[/+#\0]/g, '.')),
  fc.constantFrom('', '$', '$24', '$SYS', 'a.b', 'ä', ' ', '*', '>', '{1}', '\u0085'),
);
const topic = fc
  .array(level, { minLength: 1, maxLength: 10 })
  .map((levels) => levels.join('/'))
  .filter((text) => text !== '');
const fewLevels = fc.constantFrom('a', 'b', '', '$x', 'é');
const smallTopic = fc
  .array(fewLevels, { minLength: 1, maxLength: 4 })
  .map((levels) => levels.join('/'))
  .filter((text) => text !== '');
const smallFilter = fc
  .tuple(fc.array(fc.oneof(fewLevels, fc.constant('+')), { maxLength: 3 }), fc.constantFrom('a', '+', '#'))
  .map(([levels, last]) => [...levels, last].join('/'));
const token = fc.oneof(fc.stringMatching(/^[A-Za-z0-9_$-]{1,8}$/), fc.constantFrom('$', '$20', '$2F', '$41', '$C3$A9', '$C3', '$zz'));
const subject = fc.array(token, { minLength: 1, maxLength: 16 }).map((tokens) => tokens.join('.') as Subject);

/** Mapped to what `fits`, or refused with a sentence that says what, and one that says what next. */
function mappedOrTold<T>(outcome: Outcome<T>, fits: (value: T) => boolean): boolean {
  if (outcome.ok) return fits(outcome.value);
  return /^\S.* .*\.$/s.test(outcome.error.message) && /^\S.* .*\.$/.test(outcome.error.next);
}

test('every text is mapped to a subject or refused with a sentence', () => {
  fc.assert(
    fc.property(fc.oneof(anyText, topic), (text) => {
      expect(mappedOrTold(subjectOfTopic(text), isSubject)).toBe(true);
    }),
  );
});

test('a topic that has a subject is what the subject leads back to', () => {
  let mappedCount = 0;
  fc.assert(
    fc.property(topic, (text) => {
      const mapped = subjectOfTopic(text);
      if (!mapped.ok) return;
      mappedCount++;
      expect(topicOfSubject(mapped.value)).toEqual({ ok: true, value: text });
    }),
  );
  expect(mappedCount).toBeGreaterThan(50);
});

test('every subject is mapped to a topic that leads back to it, or refused with a sentence', () => {
  fc.assert(
    fc.property(subject, (text) => {
      const mapped = topicOfSubject(text);
      expect(mappedOrTold(mapped, () => true)).toBe(true);
      if (!mapped.ok) return;
      expect(checkTopic(mapped.value).ok).toBe(true);
      expect(subjectOfTopic(mapped.value)).toEqual({ ok: true, value: text });
    }),
  );
});

test('a filter of topics and its filter of subjects match the same names, but for the parent of # and what begins with $', () => {
  fc.assert(
    fc.property(smallFilter, smallTopic, (filter, text) => {
      const filterMapped = subjectFilterOf(filter);
      const mapped = subjectOfTopic(text);
      if (!filterMapped.ok || !mapped.ok) return;
      expect(isSubjectFilter(filterMapped.value)).toBe(true);
      const parent = filter.endsWith('/#') && text.split('/').length === filter.split('/').length - 1;
      const hidden = text.startsWith('$') && /^[+#]/.test(filter);
      expect(parent || hidden || matchesSubject(filterMapped.value, mapped.value) === matchesTopic(filter, text)).toBe(true);
      expect(topicFilterOf(filterMapped.value)).toEqual({ ok: true, value: filter });
    }),
  );
});

test('two filters overlap when a topic matches both', () => {
  let both = 0;
  fc.assert(
    fc.property(smallFilter, smallFilter, smallTopic, (a, b, text) => {
      if (!matchesTopic(a, text) || !matchesTopic(b, text)) return;
      both++;
      expect(overlaps(a, b)).toBe(true);
    }),
    { numRuns: 3_000 },
  );
  expect(both).toBeGreaterThan(20);
});

test('a route with a template maps every topic that it matches to a subject, or refuses it with a sentence', () => {
  const template = fc.constantFrom('sensors.{1}', '{1}', 'x.{2}.y.{1}', 'fixed.subject');
  fc.assert(
    fc.property(fc.constantFrom('+/a/#', '+/+', 'x/#', '#'), template, topic, (filter, text, name) => {
      const route = compileInbound({ topics: filter, subject: text });
      expect(mappedOrTold(route, (value) => !value.matches(name) || mappedOrTold(value.subjectOf(name), isSubject))).toBe(true);
    }),
  );
});

test('a route back undoes the route there', () => {
  fc.assert(
    fc.property(level, level, level, (a, b, c) => {
      const there = compileInbound({ topics: 'vehicles/+/+/#', subject: 'sensors.{2}.{1}.{3}' });
      const back = compileOutbound({ subjects: 'sensors.*.*.>' as SubjectFilter, topic: 'vehicles/{2}/{1}/{3}' });
      if (!there.ok || !back.ok) throw new Error('a route of the test is wrong');
      const name = `vehicles/${a}/${b}/${c}`;
      const mapped = there.value.subjectOf(name);
      fc.pre(mapped.ok);
      expect(mapped.ok && back.value.topicOf(mapped.value)).toEqual({ ok: true, value: name });
    }),
  );
});
