import { describe, expect, test } from 'vitest';
import { junitXml } from '../../../reports/reporters/junit.ts';
import { failureLines, scenarioLines, suiteLines, type Paint } from '../../../reports/reporters/terminal.ts';
import { sometimesOf } from '../../../reports/sometimes.ts';
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

const asked = (seed: string, reached: number, claim = 'In some run it rains.') =>
  run({ seed, goals: [goal({ name: 'sometimes', claim, reached, checks: reached })] });

describe('what has to happen in some run', () => {
  const runs = [asked('0x1', 0), asked('0x2', 2), asked('0x3', 1), asked('0x1', 0, 'In some run it snows.')];

  test('is counted over all runs of a scenario in a world', () => {
    expect(sometimesOf([...runs, run({ ...asked('0x9', 3), world: 'local' })])).toEqual([
      { scenario: 'node-failure', world: 'sim', claim: 'In some run it rains.', runs: 3, reached: 2, times: 3, firstSeed: '0x2' },
      { scenario: 'node-failure', world: 'sim', claim: 'In some run it snows.', runs: 1, reached: 0, times: 0, firstSeed: null },
      { scenario: 'node-failure', world: 'local', claim: 'In some run it rains.', runs: 1, reached: 1, times: 3, firstSeed: '0x9' },
    ]);
    expect(sometimesOf([run()])).toEqual([]);
  });

  test('is told in the terminal, what never happened first', () => {
    const lines = suiteLines(suite(runs), 'out', plain);
    expect(lines.slice(0, 4)).toEqual([
      '',
      '1 of 2 things that have to happen in some run never did. Play more seeds, or change what leads there.',
      '  ! node-failure  never, in 1 run: In some run it snows.',
      '  ✔ node-failure  in 2 of 3 runs, 3 times, first with seed 0x2: In some run it rains.',
    ]);
    expect(suiteLines(suite([run()]), 'out', plain).join('\n')).not.toContain('in some run');
    expect(suiteLines(suite(runs.slice(0, 3)), 'out', plain)[1]).toBe('Everything that has to happen in some run did: 1 of 1.');
  });

  test('fails the suite only where that was asked for, and where nothing worse did', () => {
    expect(exitCodeOf(suite(runs))).toBe(0);
    expect(exitCodeOf({ ...suite(runs), requireSometimes: true })).toBe(1);
    expect(exitCodeOf({ ...suite(runs.slice(0, 3)), requireSometimes: true })).toBe(0);
    expect(exitCodeOf({ ...suite([...runs, run({ verdict: 'unconverged' })]), requireSometimes: true })).toBe(3);
  });

  test('is a property in JUnit XML, and where it never happened a case that is skipped, or fails where that was asked for', () => {
    const skipped = junitXml(suite(runs));
    expect(skipped).toContain('<property name="sometimes: In some run it rains." value="in 2 of 3 runs, 3 times, first with seed 0x2"/>');
    expect(skipped).toContain('<testsuite name="node-failure" tests="5" failures="0" errors="0" skipped="1"');
    expect(skipped).toMatch(
      /name="sometimes: In some run it snows\." time="0\.000">\n +<skipped message="It happened never, in 1 run\."\/>/,
    );
    const failed = junitXml({ ...suite(runs), requireSometimes: true });
    expect(failed).toContain('<testsuites name="wasmmatrix" tests="5" failures="1" errors="0"');
    expect(failed).toMatch(/<failure type="sometimes" message=/);
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
