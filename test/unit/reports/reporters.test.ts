import { describe, expect, test } from 'vitest';
import { junitXml } from '../../../reports/reporters/junit.ts';
import { failureLines, scenarioLines, suiteLines, type Paint } from '../../../reports/reporters/terminal.ts';
import { causeOf, exitCodeOf, groupByScenario } from '../../../reports/summarise.ts';
import type { Verdict } from '../../../scenarios/record.ts';
import { goal, record, run, suite } from './runs.ts';

const plain: Paint = (_style, text) => text;
const broken = goal({ name: 'P2', held: false, because: 'Node a-1 was marked too late.', machine: 'a-1', micros: 13_500_000 });

describe('a suite', () => {
  test.each<[Verdict, number]>([
    ['held', 0],
    ['violated', 1],
    ['rejected', 2],
    ['unconverged', 3],
    ['nondeterministic', 4],
    ['bug', 70],
    ['cancelled', 130],
  ])('that ends with %s beside a held run exits with %i', (verdict, code) => {
    expect(exitCodeOf(suite([run(), run({ verdict })]))).toBe(code);
  });

  test('is as bad as its worst run', () => {
    expect(exitCodeOf(suite([run({ verdict: 'unconverged' }), run({ verdict: 'bug' }), run({ verdict: 'violated' })]))).toBe(70);
  });

  test('is grouped by scenario, with times added up', () => {
    const [group] = groupByScenario([run(), run({ seed: '0x2', wallMs: 1_500 })]);
    expect(group).toMatchObject({ scenario: 'node-failure', simulatedMicros: 60_000_000, wallMs: 2_000, ratio: 30 });
  });

  test('explains a run by what is broken for good before what was not reached', () => {
    const late = goal({ name: 'answered', held: false, unconverged: true, because: 'Event 7 has no answer.' });
    expect(causeOf(run({ verdict: 'violated', goals: [late, broken] }))).toBe('Node a-1 was marked too late.');
    expect(causeOf(run({ verdict: 'unconverged', goals: [late] }))).toBe('Event 7 has no answer.');
    expect(causeOf(run({ verdict: 'bug', trouble: 'A stack.', goals: [] }))).toBe('A stack.');
  });
});

describe('the terminal', () => {
  test('tells a failure with goal, cause, last events and the command that reproduces it', () => {
    const lastRecords = [record(13_000_000, 'machine.stopped', { machine: 'a-1', role: 'node', cause: 'crash' }, 'testbed')];
    const lines = failureLines(run({ verdict: 'violated', goals: [broken], lastRecords }), plain);
    expect(lines).toEqual([
      'node-failure with seed 0x1: violated',
      '  P2  A claim.',
      '  Node a-1 was marked too late.',
      '  noticed at 13.500000 s',
      '  last events of a-1:',
      '      13.000000 s  testbed  machine.stopped machine=a-1 role=node cause=crash',
      '  reproduce: npx wasmmatrix run node-failure --seed 0x1',
    ]);
  });

  test('has one line of figures and one of words for a scenario', () => {
    const [group] = groupByScenario([run()]);
    expect(scenarioLines(group!, 14, plain)).toEqual([
      '✔ node-failure    held      1 seed    30.0 s simulated in 0.50 s ×60',
      '                  Does it?',
    ]);
  });

  test('counts the failures that it does not tell', () => {
    const runs = [1, 2, 3, 4].map((seed) => run({ seed: `0x${seed}`, verdict: 'violated', goals: [broken] }));
    expect(suiteLines(suite(runs), 'out', plain).join('\n')).toContain('and 2 more seeds of node-failure: 0x3 0x4');
  });
});

describe('JUnit XML', () => {
  test('has a suite for each scenario and a case for each seed', () => {
    const xml = junitXml(
      suite([
        run(),
        run({ seed: '0x2', verdict: 'violated', goals: [broken] }),
        run({ scenario: 'other', verdict: 'bug', trouble: 'stack' }),
      ]),
    );
    expect(xml).toContain('<testsuites name="wasmmatrix" tests="3" failures="1" errors="1"');
    expect(xml.match(/<testsuite /g)).toHaveLength(2);
    expect(xml).toContain('message="Node a-1 was marked too late."');
  });

  test('escapes what XML cannot hold', () => {
    const xml = junitXml(suite([run({ question: 'Is a<b & "c"?', verdict: 'bug', trouble: 'zero \u0000 bell \u0007 end' })]));
    expect(xml).toContain('Is a&lt;b &amp; &quot;c&quot;?');
    // oxlint-disable-next-line no-control-regex -- these must not be there
    expect(xml).not.toMatch(/[\u0000-\u0008]/);
    expect(xml).toContain('zero \uFFFD bell \uFFFD end');
  });
});
