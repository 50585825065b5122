// The same scenario in two worlds: what stands beside what, in the terminal and in JUnit.
import { describe, expect, test } from 'vitest';
import { compareWorlds } from '../../../reports/compare.ts';
import { junitXml } from '../../../reports/reporters/junit.ts';
import { comparisonLines, scenarioLines, suiteLines } from '../../../reports/reporters/terminal.ts';
import { groupByScenario } from '../../../reports/summarise.ts';
import { goal, run, suite } from './runs.ts';

const plain = (_style: string, text: string): string => text;
const answered = (p99Micros: number) => goal({ name: 'answered', claim: 'Events are answered.', figures: { answered: 12, p99Micros } });
const simulated = run({ goals: [goal(), answered(2_100)] });
const local = run({ world: 'local', goals: [goal(), answered(30_400)], digest: null, wallMs: 41_000 });

describe('two worlds', () => {
  test('are compared where a scenario was played in both, goal by goal', () => {
    expect(compareWorlds([simulated, run({ scenario: 'other' }), local])).toEqual([
      {
        scenario: 'node-failure',
        question: 'Does it?',
        worlds: ['sim', 'local'],
        verdicts: ['held', 'held'],
        goals: [
          {
            name: 'answered',
            claim: 'Events are answered.',
            figures: [
              { name: 'answered', values: [12, 12] },
              { name: 'p99Micros', values: [2_100, 30_400] },
            ],
          },
        ],
      },
    ]);
    expect(compareWorlds([simulated, run({ seed: '0x2' })])).toEqual([]);
  });

  test('show the worst of several seeds, and nothing where nothing was measured', () => {
    const failed = run({ world: 'local', seed: '0x2', verdict: 'rejected', goals: [] });
    const [compared] = compareWorlds([simulated, run({ seed: '0x2', goals: [goal(), answered(9_000)] }), failed]);
    expect(compared?.verdicts).toEqual(['held', 'rejected']);
    expect(compared?.goals[0]?.figures[1]?.values).toEqual([9_000, null]);
  });

  test('are columns in the terminal', () => {
    const [compared] = compareWorlds([simulated, local]);
    expect(comparisonLines(compared!, plain)).toEqual([
      'node-failure in 2 worlds',
      '                 sim    local',
      '  verdict       held     held',
      '  Events are answered.',
      '    answered      12       12',
      '    p99       2.1 ms  30.4 ms',
    ]);
    expect(suiteLines(suite([simulated, local]), 'out', plain).join('\n')).toContain(
      '✔ 2 of 2 runs held, 1 of 1 scenarios; 60.0 s played in',
    );
  });

  test('hold a scenario only together', () => {
    const lines = suiteLines(suite([simulated, { ...local, verdict: 'violated' }]), 'out', plain).join('\n');
    expect(lines).toContain('1 of 2 runs held, 0 of 1 scenarios');
    expect(lines).toContain('node-failure with seed 0x1 on local: violated');
  });

  test('have a line each, with what one did differently from the file', () => {
    const [group] = groupByScenario([{ ...local, notes: ['b-2 is x86_64 here.'] }]);
    expect(scenarioLines(group!, 14, plain)).toEqual([
      '✔ node-failure    held      1 seed    30.0 s on local in 41.0 s',
      '                  Does it?',
      '                  b-2 is x86_64 here.',
    ]);
  });

  test('are two suites for CI', () => {
    const xml = junitXml(suite([simulated, local]));
    expect([...xml.matchAll(/<testsuite name="([^"]*)"/g)].map((match) => match[1])).toEqual(['node-failure', 'node-failure on local']);
  });
});
