// What a refused command says: a code, a sentence that says what is wrong with what, a sentence that says what to do; no stack,
// nothing on stdout, exit code 2. Tests name the words that a stranger must find in it.
import { expect } from 'vitest';
import type { Ended } from './command.ts';

/** A name of an error in C, or of an exception, is no sentence. */
const NO_SENTENCE = /\[object Object\]|undefined|\bNaN\b|Error:|^ {4}at /m;

export function expectRefusal({ code, stdout, stderr }: Ended, wmCode: string, ...words: readonly (string | RegExp)[]): void {
  const text = stderr.replaceAll(/^\{.*\}\n/gm, '').replaceAll(/^Waiting for .*\n/gm, '');
  expect({ code, stdout, text }).toMatchObject({
    code: 2,
    stdout: '',
    text: expect.stringMatching(new RegExp(`^${wmCode} \\((rejected|failed|unknown)\\): \\S`)),
  });
  expect(text).not.toMatch(NO_SENTENCE);
  expect(text.trimEnd()).toMatch(/[.)]$/);
  for (const word of words) expect(text).toMatch(word);
}
