// Seven kinds of test, one project each: `npx vitest run --project unit`. What each kind is for stands in CONTRIBUTING.md.
import { defineConfig } from 'vitest/config';

const SECOND_MS = 1000;
/** Bound: how long `expect.poll` looks. */
const POLL_MS = 30 * SECOND_MS;

/** Order of the groups: cheap first, so that a broken line is seen at once. Bound: `testTimeout` of each kind, in ms. */
const KINDS = [
  { name: 'tidy', timeoutMs: 60 * SECOND_MS },
  { name: 'unit', timeoutMs: 60 * SECOND_MS },
  { name: 'property', timeoutMs: 120 * SECOND_MS },
  { name: 'contract', timeoutMs: 120 * SECOND_MS },
  { name: 'simulation', timeoutMs: 600 * SECOND_MS },
  { name: 'integration', timeoutMs: 600 * SECOND_MS },
  { name: 'e2e', timeoutMs: 900 * SECOND_MS },
] as const;

export default defineConfig({
  test: {
    // Tests run on two cores; a simulation owns its worker threads on top.
    maxWorkers: 2,
    reporters: ['default', './test/support/contract-table.ts', './test/support/unhandled.ts'],
    projects: KINDS.map(({ name, timeoutMs }, groupOrder) => ({
      test: {
        name,
        include: [`test/${name}/**/*.test.ts`],
        exclude: ['test/tidy/fixtures/**'],
        testTimeout: timeoutMs,
        hookTimeout: timeoutMs,
        // Vitest's own second is over before a busy machine has answered.
        expect: { poll: { timeout: POLL_MS } },
        sequence: { groupOrder },
        // Simulations take both cores by themselves.
        fileParallelism: name !== 'simulation' && name !== 'e2e',
      },
    })),
  },
});
