// `wasmmatrix replay` as a user has it: machines at an instant, the story of an event, what there is not.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { temporaryFolder, wasmmatrix, type Ended } from '../support/e2e/command.ts';
import { documentedOptions, helpedOptions } from '../support/e2e/reference.ts';
import { expectRefusal } from '../support/e2e/refusal.ts';

const folder = temporaryFolder();
afterAll(() => folder.remove());
const place = folder.make('runs');
const replay = (...args: readonly string[]): Promise<Ended> => wasmmatrix(['replay', ...args], { cwd: place });

let lines: readonly string[] = [];
beforeAll(async () => {
  const played = await wasmmatrix(['run', 'node-failure', '--seed', '1', '--seed', '2', '--jobs', '1', '-q', '--out', 'both'], {
    cwd: place,
  });
  if (played.code !== 0) throw new Error(`the run that is looked at did not hold: ${played.stdout}${played.stderr}`);
  lines = readFileSync(join(place, 'both', 'run.jsonl'), 'utf8').split('\n');
});

/** When a-1 lost its power in the first run, as `--at` takes it. */
function powerLossMicros(): number {
  const line = lines.find((text) => text.includes('"kind":"machine.stopped"') && text.includes('"machine":"a-1"')) ?? '{}';
  return (JSON.parse(line) as { readonly micros: number }).micros;
}

test('has the options that its reference lists', async () => {
  const { code, stdout, stderr } = await replay('--help');
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(helpedOptions(stdout)).toEqual(documentedOptions('replay'));
});

test('shows a machine as it was before its fault, during it, and after it', async () => {
  const lostMicros = powerLossMicros();
  const [before, during, after] = await Promise.all([
    replay('both#1', '--at', `${lostMicros - 1}us`, '--node', 'a-1'),
    replay('both#1', '--at', `${lostMicros + 4_000_000}us`, '--node', 'a-1'),
    replay('both#1', '--at', '43s', '--node', 'a-1'),
  ]);
  for (const ended of [before, during, after]) expect(ended).toMatchObject({ code: 0, stderr: '' });
  expect(before?.stdout).toMatch(
    /faults: none[^]*machine +running, incarnation 1[^]*holds it for healthy[^]*assigned +brake-alert\/0 running/,
  );
  expect(during?.stdout).toMatch(/faults: crash a-1[^]*machine +stopped, incarnation 1.*power loss[^]*holds it for unavailable/);
  expect(during?.stdout).not.toMatch(/^ {4}(assigned|serving|session)/m);
  expect(after?.stdout).toMatch(/faults: none[^]*machine +running, incarnation 2[^]*holds it for healthy[^]*session +connected/);
});

test('shows every machine in a line, and as JSON', async () => {
  const at = `${powerLossMicros() + 4_000_000}us`;
  const { stdout } = await replay('both#1', '--at', at);
  expect(stdout).toMatch(/^ {2}a-1: stopped, incarnation 1; held for unavailable$/m);
  expect(stdout).toMatch(
    /^ {2}a-2: running, incarnation 1; held for healthy; assigned brake-alert\/0 \(running\); serving brake-alert\/0/m,
  );
  const json = await replay('both#1', '--at', at, '--node', 'a-2', '--json');
  expect(json).toMatchObject({ code: 0, stderr: '' });
  expect(JSON.parse(json.stdout)).toMatchObject({
    run: { number: 1, scenario: 'node-failure', seed: '0x1' },
    phase: 'work',
    faults: [{ kind: 'crash', target: 'a-1' }],
    machines: { 'a-2': { machine: { state: 'running' }, serving: [{ instance: 'brake-alert/0', epoch: 2 }] } },
    event: null,
  });
});

test('tells what became of an event, and what led to the last of it, up to the instant', async () => {
  const { code, stdout } = await replay('both#1', '--event', 'brakes-3', '--json');
  expect(code).toBe(0);
  const { event } = JSON.parse(stdout);
  const kinds = event.chain.map((record: { readonly kind: string }) => record.kind);
  expect(kinds).toEqual(['event.accepted', 'event.delivered', 'invocation.started', 'invocation.finished', 'event.acknowledged']);
  expect(event.records.length).toBeGreaterThan(kinds.length);
  expectRefusal(
    await replay('both#1', '--event', 'brakes-3', '--at', '1s'),
    'WM_ARGUMENT',
    /Nothing was recorded of 'brakes-3' until then/,
  );
});

test('tells what led to the record on a line of the file', async () => {
  const at = lines.findIndex((line) => line.includes('"kind":"instance.serving"') && line.includes('"instance":"brake-alert/0","epoch":2'));
  const { code, stdout } = await replay('both#1', '--event', String(at + 1));
  expect(code).toBe(0);
  expect(stdout).toMatch(
    /what led to the last of it\n.*fault\.begun .*target=a-1.*\n.*machine\.stopped[^]*a-2 {2}instance\.serving .*epoch=2/,
  );
});

test('refuses what there is not, and says what there is', async () => {
  expectRefusal(await replay('both'), 'WM_ARGUMENT', /both has 2 runs:.*#1: node-failure, seed 0x1.*#2: .*Name one of them/s);
  expectRefusal(await replay('both#1', '--node', 'a-9'), 'WM_ARGUMENT', /machine 'a-9' until then; did you mean 'a-1'\?.*controller/s);
  expectRefusal(await replay('both#1', '--at', '99s'), 'WM_ARGUMENT', /The record ends at 44\.\d+ s, before 99s/);
  expectRefusal(await replay('both#1', '--at', '12'), 'WM_ARGUMENT', /Give a time with its unit/);
  expectRefusal(await replay('nowhere'), 'WM_RECORD_INVALID', /nowhere cannot be read/);
});
