import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { allNames, findScenario, readScenarios } from '../../../sim/campaign/library.main.ts';
import { summaryOf } from '../../../sim/campaign/player.ts';
import {
  decodeAnswer,
  decodeCall,
  decodeMeta,
  decodeRun,
  decodeSummary,
  encodeAnswer,
  encodeCall,
  encodeMeta,
  encodeRun,
  encodeSummary,
  type PartMeta,
} from '../../../sim/campaign/remote/messages.ts';
import { toBuild } from '../../../sim/campaign/remote/build.ts';
import { jobOf } from '../sim-kernel/jobs.ts';

const BUILD = toBuild({ version: '0.1.0', node: '24', sources: 'a', engine: 'b', guests: 'c' }, null);
const { recordFile: _, ...JOB } = { ...jobOf('gossip'), permute: true };
const RUN = { build: BUILD.id, issue: 1, job: { ...JOB, keepsRecord: true } };
const bytesOf = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));

describe('a run on its way to a worker', () => {
  test('carries every scenario that there is whole, in a message that a server takes by default', () => {
    const files = allNames().map(findScenario);
    const { scenarios, errors } = readScenarios(files.flatMap((found) => (found.ok ? [found.value] : [])));
    expect({ errors, isAny: scenarios.length > 20 }).toEqual({ errors: [], isAny: true });
    for (const scenario of scenarios) {
      const bytes = encodeRun({ ...RUN, job: { ...RUN.job, scenario } });
      expect(decodeRun(bytes)?.job.scenario, scenario.name).toEqual(scenario);
      expect(bytes.length, scenario.name).toBeLessThan(1_000_000);
    }
  });

  test('is what it was', () => {
    expect(decodeRun(encodeRun(RUN))).toEqual(RUN);
  });

  test.each([
    ['of another version', { v: 2, ...RUN }],
    ['without a scenario', { v: 1, ...RUN, job: { ...RUN.job, scenario: null } }],
    ['with half a scenario', { v: 1, ...RUN, job: { ...RUN.job, scenario: { ...RUN.job.scenario, goals: undefined } } }],
    ['with a seed in another spelling', { v: 1, ...RUN, job: { ...RUN.job, seed: '1' } }],
    ['without a number of its issue', { v: 1, ...RUN, issue: -1 }],
    ['that is no map', [RUN]],
  ])('%s is none', (_what, value) => {
    expect(decodeRun(gzipSync(JSON.stringify(value)))).toBeNull();
  });

  test('that is not packed, or unpacks to more than any scenario, is none', () => {
    expect(decodeRun(bytesOf({ v: 1, ...RUN }))).toBeNull();
    expect(decodeRun(gzipSync(`{"v":1,"x":"${' '.repeat(65 * 1_024 * 1_024)}"}`))).toBeNull();
  });
});

describe('what comes of it', () => {
  const job = jobOf('gossip');
  const goal = { name: 'P3', claim: 'c', held: false, unconverged: false, because: 'b', machine: null, micros: 3, checks: 1, figures: {} };
  const summary = {
    ...summaryOf(job, { verdict: 'violated', trouble: null, simulatedMicros: 5, wallMs: 1.5, steps: 7 }),
    goals: [goal],
    digest: '0123456789abcdef',
  };
  const decodeWith = (changes: object): unknown =>
    decodeSummary(gzipSync(JSON.stringify({ v: 1, summary: { ...summary, ...changes } })), job);

  test('is what it was', () => {
    expect(decodeSummary(encodeSummary(summary), job)).toEqual(summary);
    expect(decodeSummary(new Uint8Array([1, 2, 3]), job)).toBeNull();
  });

  test.each([
    { steps: 'many' },
    { verdict: 'fine' },
    { verdict: 'toString' },
    { verdict: 'cancelled' },
    { seed: '0x99' },
    { scenario: 'other' },
    { goals: [{ ...goal, held: 'no' }] },
    { digest: 'x' },
    { wallMs: -1 },
  ])('is nothing with %j', (changes) => {
    expect(decodeWith(changes)).toBeNull();
  });

  test('says what was asked in the words of the job, and brings no other characters to a terminal than lines', () => {
    const claims = { question: 'q', requirements: ['R'], tags: ['t'], world: 'qemu', reproduce: 'true; rm -r x', more: 1 };
    expect(decodeWith({ ...claims, trouble: 'a\nb\u001B[2J' })).toEqual({ ...summary, trouble: 'a\nb?[2J' });
  });

  test.each<PartMeta>([
    { kind: 'record', attempt: 'ab12-1', n: 3 },
    { kind: 'end', attempt: 'ab12-1', pieces: 4, sha256: 'f', worker: 'one' },
    { kind: 'back', issue: 1, worker: 'one' },
    { kind: 'worn', issue: 1, deliveries: 4 },
  ])('says which piece it is: $kind', (meta) => {
    expect(decodeMeta(encodeMeta(meta))).toEqual(meta);
  });

  test('names no file elsewhere', () => {
    expect(decodeMeta('{"kind":"record","attempt":"../../x","n":0}')).toBeNull();
    expect(decodeMeta('{"kind":"record","attempt":"a","n":-1}')).toBeNull();
    expect(decodeMeta('no JSON')).toBeNull();
  });
});

describe('a call and its answer', () => {
  const answer = { worker: 'w', name: 'one', threads: 2, refuses: null, playing: [{ run: 3, micros: 10, steps: 4 }] };

  test('are what they were', () => {
    const call = { build: BUILD, by: 'here', from: 8, over: false };
    expect(decodeCall(encodeCall(call))).toEqual(call);
    expect(decodeAnswer(encodeAnswer(answer))).toEqual(answer);
  });

  test('bring nothing to a terminal but words', () => {
    const { name, refuses } = decodeAnswer(encodeAnswer({ ...answer, name: 'one\u001B[2J', refuses: 'a\nb' })) ?? {};
    const call = { build: { ...BUILD, version: '\u001B[2J' }, by: 'x'.repeat(300), from: 0, over: false };
    expect(decodeCall(encodeCall(call))).toMatchObject({ build: { version: '?[2J' }, by: 'x'.repeat(200) });
    expect({ name, refuses }).toEqual({ name: 'one?[2J', refuses: 'a?b' });
  });

  test('that make no sense are none, and a run that makes none is left out', () => {
    expect(decodeCall(bytesOf({ build: { id: 'x' }, from: 0 }))).toBeNull();
    expect(decodeAnswer(bytesOf({ ...answer, threads: -1 }))).toBeNull();
    expect(decodeAnswer(bytesOf({ ...answer, playing: [...answer.playing, { run: 'x' }] }))?.playing).toEqual(answer.playing);
  });
});
