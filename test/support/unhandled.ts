// Ends a run in which something failed outside every test (a promise that nobody awaits, a timer of a test that was over) with a line
// for each, as the gate repeats it: `failed: outside every test: TypeError: …`. Vitest's JSON report has no place for it.
import process from 'node:process';
import type { Reporter, SerializedError, TestModule } from 'vitest/node';

const PLACES_MAX = 2;

export default class Unhandled implements Reporter {
  onTestRunEnd(_: readonly TestModule[], errors: readonly SerializedError[]): void {
    for (const error of errors) process.stdout.write(`${linesOf(error).join('\n')}\n`);
  }
}

/** What it was, the test that vitest takes for its origin, and the first places of its stack. */
export function linesOf({ name, message, stack, ...more }: SerializedError): readonly string[] {
  const test: unknown = more['VITEST_TEST_NAME'] ?? more['VITEST_TEST_PATH'];
  const places = (stack ?? '').split('\n').filter((line) => /^\s+at /.test(line));
  return [
    `failed: outside every test: ${name ?? 'Error'}: ${message.split('\n')[0] ?? ''}`,
    ...(test === undefined ? [] : [`    while it ran: ${String(test)}`]),
    ...places.slice(0, PLACES_MAX).map((line) => `    ${line.trim()}`),
  ];
}
