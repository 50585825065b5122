// JUnit XML as CI systems read it: a suite for each scenario, a case for each seed, failures in the terminal's words. What has to
// happen in some run is a property of its suite, and where it never did a case too: skipped, or failed where it was required.
import type { RunSummary, SometimesSummary, SuiteSummary } from '../../scenarios/record.ts';
import { describeReach } from '../sometimes.ts';
import { causeOf, groupByScenario, SIMULATED } from '../summarise.ts';
import { failureLines, type Paint } from './terminal.ts';

const PLAIN: Paint = (_style, text) => text;

export function junitXml(suite: SuiteSummary): string {
  const groups = groupByScenario(suite.runs);
  const lackingOf = (scenario: string, world: string): readonly SometimesSummary[] =>
    suite.sometimes.filter((one) => one.scenario === scenario && one.world === world && one.reached === 0);
  const lacking = suite.sometimes.filter(({ reached }) => reached === 0).length;
  const failures = suite.runs.filter(isFailure).length + (suite.requireSometimes ? lacking : 0);
  const errors = suite.runs.filter(isError).length;
  const lines = [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites name="wasmmatrix" tests="${suite.runs.length + lacking}" failures="${failures}" errors="${errors}" time="${seconds(suite.wallMs)}">`,
  ];
  for (const { scenario, world, runs, wallMs } of groups) {
    const missed = lackingOf(scenario, world);
    const failed = runs.filter(isFailure).length + (suite.requireSometimes ? missed.length : 0);
    const skipped = runs.filter(isSkipped).length + (suite.requireSometimes ? 0 : missed.length);
    const counts = `tests="${runs.length + missed.length}" failures="${failed}" errors="${runs.filter(isError).length}" skipped="${skipped}"`;
    lines.push(
      `  <testsuite name="${escape(nameIn(scenario, world))}" ${counts} time="${seconds(wallMs)}" timestamp="${escape(suite.startedAt)}">`,
    );
    lines.push(...properties(suite.sometimes.filter((one) => one.scenario === scenario && one.world === world)));
    for (const run of runs) lines.push(...testCase(run));
    for (const one of missed) lines.push(...missedCase(one, suite.requireSometimes));
    lines.push('  </testsuite>');
  }
  lines.push('</testsuites>', '');
  return lines.join('\n');
}

function testCase(run: RunSummary): readonly string[] {
  const open = `    <testcase classname="${escape(nameIn(run.scenario, run.world))}" name="${escape(`${run.question} (seed ${run.seed})`)}" time="${seconds(run.wallMs)}"`;
  if (run.verdict === 'held') return [`${open}/>`];
  if (isSkipped(run)) return [`${open}>`, `      <skipped message="${escape(run.verdict)}"/>`, '    </testcase>'];
  const element = isError(run) ? 'error' : 'failure';
  return [
    `${open}>`,
    `      <${element} type="${run.verdict}" message="${escape(causeOf(run))}">${escape(failureLines(run, PLAIN).join('\n'))}</${element}>`,
    '    </testcase>',
  ];
}

function properties(sometimes: readonly SometimesSummary[]): readonly string[] {
  if (sometimes.length === 0) return [];
  return [
    '    <properties>',
    ...sometimes.map((one) => `      <property name="${escape(`sometimes: ${one.claim}`)}" value="${escape(describeReach(one))}"/>`),
    '    </properties>',
  ];
}

function missedCase(one: SometimesSummary, isRequired: boolean): readonly string[] {
  const message = escape(`It happened ${describeReach(one)}.`);
  return [
    `    <testcase classname="${escape(nameIn(one.scenario, one.world))}" name="${escape(`sometimes: ${one.claim}`)}" time="0.000">`,
    isRequired ? `      <failure type="sometimes" message="${message}"/>` : `      <skipped message="${message}"/>`,
    '    </testcase>',
  ];
}

/** Two worlds of one scenario are two suites. */
function nameIn(scenario: string, world: string): string {
  return world === SIMULATED ? scenario : `${scenario} on ${world}`;
}

function isFailure(run: RunSummary): boolean {
  return run.verdict === 'violated' || run.verdict === 'unconverged' || run.verdict === 'nondeterministic';
}

function isError(run: RunSummary): boolean {
  return run.verdict === 'bug' || run.verdict === 'rejected';
}

function isSkipped(run: RunSummary): boolean {
  return run.verdict === 'cancelled';
}

function seconds(ms: number): string {
  return (ms / 1_000).toFixed(3);
}

const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&apos;' };

/** XML 1.0 has no way to write most control characters: they become U+FFFD. */
function escape(text: string): string {
  // oxlint-disable-next-line no-control-regex -- these are what is being removed
  const legal = text.replaceAll(/[\u0000-\u0008\u000B\u000C\u000E-\u001F\uFFFE\uFFFF]/g, '\uFFFD');
  return legal.replaceAll(/[&<>"']/g, (character) => ENTITIES[character] ?? character);
}
