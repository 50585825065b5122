// Ends a run of contract suites with a table: each port, each world that was held to its contract, what was played and how it ended. A run
// in which two worlds of one port did not play the same cases fails: a contract that is shorter for one of them is none.
import process from 'node:process';
import type { Reporter, TestModule, TestSuite } from 'vitest/node';

type Row = {
  readonly port: string;
  readonly world: string;
  readonly cases: ReadonlySet<string>;
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
};

export default class ContractTable implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const rows = modules.filter(({ project }) => project.name === 'contract').flatMap(rowsOf);
    if (rows.length === 0) return;
    for (const line of tableOf(rows)) process.stdout.write(`${line}\n`);
    const faults = differencesOf(rows);
    for (const fault of faults) process.stderr.write(`${fault}\n`);
    if (faults.length > 0) process.exitCode = 1;
  }
}

function rowsOf(module: TestModule): readonly Row[] {
  const port = /([a-z-]+)\.contract\.test\.ts$/.exec(module.moduleId)?.[1] ?? module.moduleId;
  const suites: TestSuite[] = [...module.children.suites()];
  return suites.map((suite) => {
    const tests = [...suite.children.allTests()];
    const count = (state: 'passed' | 'failed' | 'skipped'): number => tests.filter((test) => test.result().state === state).length;
    // Cases that a filter left out are played in no world.
    const played = tests.filter((test) => test.result().state !== 'skipped').map(({ fullName }) => fullName.slice(suite.name.length));
    return { port, world: suite.name, cases: new Set(played), passed: count('passed'), failed: count('failed'), skipped: count('skipped') };
  });
}

function tableOf(rows: readonly Row[]): readonly string[] {
  const cells = [
    ['PORT', 'HELD TO ITS CONTRACT', 'PASSED', 'FAILED', 'SKIPPED'],
    ...rows.map(({ port, world, passed, failed, skipped }) => [port, world, String(passed), String(failed), String(skipped)]),
  ];
  const widths = cells[0]!.map((_, column) => Math.max(...cells.map((row) => row[column]!.length)));
  return ['', ...cells.map((row) => `  ${row.map((text, column) => text.padEnd(widths[column]!)).join('  ')}`.trimEnd()), ''];
}

/** What one world of a port played and another did not, as sentences. A world that was left out as a whole stands in the table. */
export function differencesOf(rows: readonly Pick<Row, 'port' | 'world' | 'cases'>[]): readonly string[] {
  const played = rows.filter(({ cases }) => cases.size > 0);
  return played.flatMap((row) =>
    played
      .filter(({ port, world }) => port === row.port && world !== row.world)
      .flatMap((other) =>
        [...other.cases]
          .filter((name) => !row.cases.has(name))
          .map(
            (name) => `The contract of ${row.port} was played by '${other.world}' with '${name.trim()}', and by '${row.world}' without it.`,
          ),
      ),
  );
}
