// `wasmmatrix diff` as a user has it: runs that are the same, runs that part, and files that are none.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { temporaryFolder, wasmmatrix, type Ended } from '../support/e2e/command.ts';
import { documentedOptions, helpedOptions } from '../support/e2e/reference.ts';
import { expectRefusal } from '../support/e2e/refusal.ts';

const folder = temporaryFolder();
afterAll(() => folder.remove());
const place = folder.make('runs');
const diff = (...args: readonly string[]): Promise<Ended> => wasmmatrix(['diff', ...args], { cwd: place });

let lines: readonly string[] = [];
/** A copy of the first run in which one line is another. */
function writeChanged(name: string, at: number, change: (line: string) => string): string {
  writeFileSync(join(place, name), lines.map((line, i) => (i === at ? change(line) : line)).join('\n'));
  return name;
}
function lineOf(...parts: readonly string[]): number {
  const at = lines.findIndex((line) => parts.every((part) => line.includes(part)));
  if (at === -1) throw new Error(`the record has no line with ${parts.join(' and ')}`);
  return at;
}

beforeAll(async () => {
  const played = await wasmmatrix(['run', 'node-failure', '--seed', '1', '--seed', '2', '--jobs', '1', '-q', '--out', 'both'], {
    cwd: place,
  });
  if (played.code !== 0) throw new Error(`the run that is compared did not hold: ${played.stdout}${played.stderr}`);
  const all = readFileSync(join(place, 'both', 'run.jsonl'), 'utf8').split('\n');
  lines = all.slice(
    0,
    all.findLastIndex((line) => line.startsWith('{"run":')),
  );
  writeFileSync(join(place, 'first.jsonl'), `${lines.join('\n')}\n`);
});

test('has the options that its reference lists', async () => {
  const { code, stdout, stderr } = await diff('--help');
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(helpedOptions(stdout)).toEqual(documentedOptions('diff'));
});

describe('runs that are the same', () => {
  test('end with 0, whether named by file, by folder or by number', async () => {
    const ended = await diff('first.jsonl', 'both#1');
    expect(ended).toMatchObject({ code: 0, stderr: '' });
    expect(ended.stdout).toContain(`the same, all ${lines.length - 1} records`);
    const json = await diff('both', 'both/run.jsonl', '--json');
    expect(json).toMatchObject({ code: 0, stderr: '' });
    expect(JSON.parse(json.stdout)).toMatchObject({
      same: true,
      runs: [{ second: { number: 1 } }, { second: { number: 2, seed: '0x2' } }],
    });
  });
});

describe('runs that part', () => {
  test('are told with the first difference, and with the chain back to the fault', async () => {
    const at = lineOf('"kind":"instance.serving"', '"instance":"brake-alert/0","epoch":2');
    writeChanged('other.jsonl', at, (line) => line.replace('"version":1', '"version":7'));
    const { code, stdout, stderr } = await diff('first.jsonl', 'other.jsonl');
    expect({ code, stderr }).toEqual({ code: 1, stderr: '' });
    expect(stdout).toContain('Scenario, seed and fleet are the same');
    expect(stdout).toContain(`${at - 1} records are the same; the next differs`);
    expect(stdout).toContain('fields.version: 1 in the first, 7 in the second');
    expect(stdout).toMatch(
      new RegExp(
        [
          `second run, other.jsonl:${at + 1}, with what led there`,
          '.*testbed  fault.begun .*kind=crash target=a-1.*',
          '.*testbed  machine.stopped machine=a-1 .*',
          '.*controller  node.status node=a-1 .*to=suspect.*',
          '.*controller  node.status node=a-1 .*to=unavailable.*',
          '.*controller  instance.state instance=brake-alert/0 .*to=pending.*',
          '.*controller  placement.decided instance=brake-alert/0 node=a-2.*',
          '.*controller  instance.state instance=brake-alert/0 .*to=assigned node=a-2.*',
          '.*a-2  instance.serving instance=brake-alert/0 epoch=2 version=7',
        ].join('\n'),
      ),
    );
  });

  test('are told as JSON, the chain of an event back to its publication', async () => {
    const at = lineOf('"kind":"workload.result"', '"event":"brakes-3/brake-alert"');
    writeChanged('result.jsonl', at, (line) => line.replace('"source":"testbed"', '"source":"nobody"'));
    const { code, stdout } = await diff('first.jsonl', 'result.jsonl', '--json');
    expect(code).toBe(1);
    const { same, runs } = JSON.parse(stdout);
    expect(same).toBe(false);
    expect(runs).toMatchObject([
      { same: false, recordsSame: at - 1, difference: { differs: [{ name: 'source', first: 'testbed', second: 'nobody' }] } },
    ]);
    const kinds = runs[0].difference.first.chain.map((record: { readonly kind: string }) => record.kind);
    expect(kinds).toEqual([
      'event.accepted',
      'event.delivered',
      'invocation.started',
      'event.accepted',
      'event.delivered',
      'workload.result',
    ]);
  });

  test('are told when one has ended', async () => {
    writeFileSync(join(place, 'short.jsonl'), lines.slice(0, -3).join('\n'));
    const { code, stdout } = await diff('first.jsonl', 'short.jsonl');
    expect(code).toBe(1);
    expect(stdout).toContain(`${lines.length - 4} records are the same; the next differs: one run has ended`);
    expect(stdout).toContain('second run: it had ended');
  });

  test('only in times are the same when times are passed over', async () => {
    const at = lineOf('"kind":"workload.published"');
    writeChanged('later.jsonl', at, (line) => line.replace(/"micros":(\d)/g, '"micros":9$1'));
    expect(await diff('first.jsonl', 'later.jsonl')).toMatchObject({ code: 1 });
    expect(await diff('first.jsonl', 'later.jsonl', '--ignore-times')).toMatchObject({ code: 0, stderr: '' });
  });

  test('of several runs are found in their place', async () => {
    const ended = await diff('both#1', 'both#2');
    expect(ended).toMatchObject({ code: 1, stderr: '' });
    expect(ended.stdout).toContain('These are different seeds, which draw different things.');
    expectRefusal(await diff('both', 'first.jsonl'), 'WM_ARGUMENT', /both has 2 and first\.jsonl 1 runs.*Name one run of each/s);
  });
});

test('refuses what is no record, with the line', async () => {
  mkdirSync(join(place, 'empty'));
  writeFileSync(join(place, 'text.jsonl'), 'hello\n');
  writeFileSync(join(place, 'cut.jsonl'), lines.join('\n').slice(0, -20));
  writeChanged('odd.jsonl', 5, () => '{"source":"testbed"}');
  writeFileSync(join(place, 'header.jsonl'), '{"run":{"scenario":1}}\n');
  expectRefusal(await diff('gone.jsonl', 'first.jsonl'), 'WM_RECORD_INVALID', /gone\.jsonl cannot be read: there is none/);
  expectRefusal(await diff('empty', 'first.jsonl'), 'WM_RECORD_INVALID', /empty cannot be read: there is none/);
  expectRefusal(await diff('text.jsonl', 'first.jsonl'), 'WM_RECORD_INVALID', /text\.jsonl is no record of runs/);
  expectRefusal(await diff('first.jsonl', 'cut.jsonl'), 'WM_RECORD_INVALID', new RegExp(`cut\\.jsonl:${lines.length} is no JSON`));
  expectRefusal(await diff('first.jsonl', 'odd.jsonl'), 'WM_RECORD_INVALID', /odd\.jsonl:6 is no record/);
  expectRefusal(await diff('first.jsonl', 'header.jsonl'), 'WM_RECORD_INVALID', /header\.jsonl:1 begins a run and does not say/);
  expectRefusal(await diff('both#3', 'first.jsonl'), 'WM_RECORD_INVALID', /has 2 runs, and no run 3/);
});
