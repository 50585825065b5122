// A workload made of a recording is one that loads, with an event for each line that is taken.
import { expect, it } from 'vitest';
import { workloadOfTrace } from '../../../scenarios/trace.ts';
import { fleetsOnDisk, mustLoad } from '../../support/scenarios/files.ts';

const FILE = 'who,at,load\nb,12.5,7\na,10,5\nc,10.25,6\nd,40,8\n';
const OPTIONS = {
  name: 'calls',
  subject: 'questions.plain',
  from: 'cloud/eu/a',
  time: 'at',
  micros: (cell: string) => (cell === 'never' ? null : Number(cell) * 1_000_000),
  data: 'load',
  speed: 1,
  every: 1,
  skipMicros: 0,
  lengthMicros: null,
};
const SCENARIO = `question: Is it one?
requirements: [P1]
duration: 60s
fleet: three-zones
steps:
  - { at: 1s, push: echo }
  - { at: 1s, deploy: echo, origin: cloud/eu/a, replicas: 1 }
  - { at: 1s, trigger: echo, on: questions.plain }
goals: [{ happens: { record: node.status } }]
workload:
`;

function traceOf(text: string, options: Partial<Parameters<typeof workloadOfTrace>[1]> = {}) {
  const workload = workloadOfTrace(text, { ...OPTIONS, ...options });
  if (!workload.ok) throw new Error(workload.error.message);
  return mustLoad(SCENARIO + workload.value, fleetsOnDisk).workload[0]?.trace;
}

it('has an event for each line, in order of time, from the first on', () => {
  expect(traceOf(FILE)).toEqual([
    { micros: 0, data: '5' },
    { micros: 250_000, data: '6' },
    { micros: 2_500_000, data: '7' },
    { micros: 30_000_000, data: '8' },
  ]);
});

it('plays faster, takes a part, and one of several', () => {
  expect(traceOf(FILE, { speed: 10, data: null, lengthMicros: 1_000_000 })).toEqual([
    { micros: 0, data: null },
    { micros: 25_000, data: null },
    { micros: 250_000, data: null },
  ]);
  expect(traceOf(FILE, { every: 2, skipMicros: 1_000_000 })).toEqual([{ micros: 1_500_000, data: '7' }]);
});

it.each([
  ['who,load\na,5\n', 'none is at'],
  ['who,at,load\na,never,5\n', "Line 2 has no time in at: 'never'"],
  ['who,at,load\na,1,"5,6"\n', 'Line 2 has 4 cells, or quotes'],
  ['who,at,load\n', 'no events'],
])('refuses %j', (text, because) => {
  expect(workloadOfTrace(text, OPTIONS)).toMatchObject({
    ok: false,
    error: { code: 'WM_ARGUMENT', message: expect.stringContaining(because) },
  });
});
