// A scenario on real processes, as a user plays it: what it says, what it writes, and that nothing stays behind, whether it ends
// by itself, is interrupted, or is killed.
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import type { RunRecord, SuiteSummary } from '../../../scenarios/record.ts';
import { start, temporaryFolder, wasmmatrix } from '../../support/e2e/command.ts';

const folder = temporaryFolder();
afterAll(() => folder.remove());

const FLEET = `
fleet:
  controller: { zone: cloud/a }
  zones:
    - { zone: cloud/a, location: [50, 8] }
    - { zone: cloud/b, location: [50, 9] }
  links:
    - { between: [cloud/a, cloud/b], latency: 2ms }
  nodes:
    - { node: a-1, zone: cloud/a, architecture: x86_64 }
    - { node: b-1, zone: cloud/b, architecture: riscv64 }`;

const CALL = `
question: A node dies; is every question answered?
requirements: [R1.2]
duration: 10s
quiet: 6s
${FLEET}
steps:
  - { at: 100ms, push: echo }
  - { at: 300ms, deploy: echo, origin: cloud/a, replicas: 1 }
  - { at: 500ms, trigger: echo, on: questions.plain, result: answers.echo }
  - { at: 3s, crash: a-1, for: 2s }
workload:
  - { name: questions, subject: questions.plain, from: cloud/b, start: 1s, every: 200ms }
observe: ["answers.>"]
goals:
  - answered: { subject: questions.plain, within: 8s }
  - happens: { record: machine.stopped, field: cause, value: power loss, atLeast: 1 }
`;

/** The same in half the time. */
const SHORT = CALL.replace('duration: 10s', 'duration: 4s').replace('quiet: 6s', 'quiet: 4s').replace('at: 3s, crash', 'at: 1500ms, crash');

function scenarioFile(name: string, text: string): string {
  const file = join(folder.path, `${name}.scenario.yaml`);
  writeFileSync(file, text);
  return file;
}

/** Processes whose command line or environment has this text. */
function processesOf(text: string): readonly string[] {
  return readdirSync('/proc').filter((pid) => {
    if (!/^\d+$/.test(pid) || Number(pid) === process.pid) return false;
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(text);
    } catch {
      return false;
    }
  });
}

// Left out where there is no /proc to see processes in.
describe.skipIf(process.platform !== 'linux')('a run on local processes', () => {
  it('holds beside the simulated one, says what differs, and leaves nothing behind', async () => {
    const file = scenarioFile('node-dies', CALL);
    const [out, TMPDIR] = [join(folder.path, 'both'), folder.make('tmp-both')];
    const { code, stdout } = await wasmmatrix(['run', file, '--target', 'both', '--out', out], { env: { TMPDIR } });
    const suite = JSON.parse(readFileSync(join(out, 'summary.json'), 'utf8')) as SuiteSummary;
    expect(
      suite.runs.map(({ world, verdict, trouble, goals }) => ({ world, verdict, trouble, broken: goals.filter((goal) => !goal.held) })),
    ).toEqual([
      { world: 'sim', verdict: 'held', trouble: null, broken: [] },
      { world: 'local', verdict: 'held', trouble: null, broken: [] },
    ]);
    expect(code).toBe(0);
    const [simulated, local] = suite.runs;
    expect([simulated?.digest === null, local?.digest]).toEqual([false, null]);
    expect(local?.notes).toContain('Played otherwise than the file says: b-1 as x86_64. No guest needs the architecture of the file.');
    expect(local?.goals.find((goal) => goal.name === 'answered')?.claim).toContain('(+ 3 s of slack on real machines)');
    expect(local?.reproduce).toContain('--target local');
    expect(stdout).toContain('node-dies in 2 worlds');
    expect(readFileSync(join(out, 'report.html'), 'utf8')).toContain('Worlds side by side');
    const records = readFileSync(join(out, 'run.jsonl'), 'utf8')
      .split('{"run":')
      .at(-1)!
      .split('\n')
      .slice(1, -1)
      .map((line) => JSON.parse(line) as RunRecord);
    expect(records.every(({ micros }, i) => i === 0 || micros >= records[i - 1]!.micros)).toBe(true);
    expect(new Set(records.map(({ source }) => source))).toEqual(new Set(['testbed', 'controller', 'a-1', 'b-1']));
    // The same events as in the simulator, since the seed is the same.
    expect(records.filter(({ kind }) => kind === 'workload.published')).toHaveLength(45);
    expect([readdirSync(TMPDIR), processesOf(TMPDIR)]).toEqual([[], []]);
  });

  it('passes as slowly as it is told, and is judged by its own time', async () => {
    const file = scenarioFile('slow', SHORT);
    const { code, stdout } = await wasmmatrix(
      ['run', file, '--target', 'local', '--pace', '3', '--json', '--out', join(folder.path, 'slow')],
      {},
    );
    const { runs } = JSON.parse(stdout) as SuiteSummary;
    expect(runs.map(({ verdict, trouble }) => ({ verdict, trouble }))).toEqual([{ verdict: 'held', trouble: null }]);
    expect(code).toBe(0);
    const [run] = runs;
    expect(run?.notes).toContain('A second of this run took 3 s, as asked.');
    // 8 s of the file, which cannot have taken less than 24 s.
    expect(run?.simulatedMicros).toBeGreaterThanOrEqual(8_000_000);
    expect(run?.wallMs).toBeGreaterThanOrEqual(24_000);
    const records = readFileSync(join(folder.path, 'slow', 'run.jsonl'), 'utf8')
      .split('\n')
      .slice(1, -1);
    const stops = records
      .map((line) => JSON.parse(line) as RunRecord)
      .filter(({ kind }) => kind === 'fault.begun' || kind === 'fault.ended');
    expect(stops.map(({ kind }) => kind)).toEqual(['fault.begun', 'fault.ended']);
    const [begun, ended] = stops.map(({ micros }) => micros);
    // The crash lasts two seconds of the run: six of the wall.
    expect(ended! - begun!).toBeGreaterThanOrEqual(1_990_000);
  });

  it.each([
    ['interrupted', 'SIGINT', 130],
    ['killed', 'SIGKILL', null],
  ] as const)('leaves nothing behind when it is %s', async (_how, signal, code) => {
    const file = scenarioFile('long', CALL.replace('duration: 10s', 'duration: 300s'));
    const TMPDIR = folder.make(`tmp-${signal}`);
    const running = start(['run', file, '--target', 'local', '--quiet', '--out', join(folder.path, `out-${signal}`)], { env: { TMPDIR } });
    const fleet = (): string => readdirSync(TMPDIR)[0] ?? '';
    await expect.poll(() => fleet() !== '' && existsSync(join(TMPDIR, fleet(), 'b-1.jsonl')), { timeout: 120_000 }).toBe(true);
    expect(processesOf(TMPDIR).length).toBeGreaterThanOrEqual(3);
    running.child.kill(signal);
    expect((await running.ended).code).toBe(code);
    await expect.poll(() => [processesOf(TMPDIR), readdirSync(TMPDIR)], { timeout: 60_000 }).toEqual([[], []]);
  });
});

describe('a target', () => {
  it.each([
    [['--target', 'moon'], 'Give sim, local, qemu, devices, loop, several of them with commas, or both.'],
    [['--target', 'local', '--verify'], '--verify is for the simulator alone'],
    [['--target', 'both', '--digests'], '--digests is for the simulator alone'],
    [['--target', 'local', '--jobs', '2'], '--jobs is for the simulator alone'],
    [['--target', 'sim', '--pace', '2'], '--pace is for real processes alone'],
    [['--target', 'local', '--machines', '1'], '--machines is for emulated machines alone'],
    [['--target', 'qemu', '--machines', '0'], 'A qemu run without emulated machines is a local one.'],
    [['--target', 'qemu', '--processes', '1'], '--processes is for runs with hardware in the loop alone'],
  ])('that cannot do what was asked is refused in words: %s', async (args, words) => {
    const { code, stderr } = await wasmmatrix(['run', 'node-failure', ...args]);
    expect(code).toBe(2);
    expect(stderr).toMatch(/^WM_ARGUMENT \(rejected\): /);
    expect(stderr).toContain(words);
  });

  it('refuses by name a fault that it cannot produce, before anything is started', async () => {
    const out = join(folder.path, 'forged');
    const { code, stdout } = await wasmmatrix(['run', 'signatures-refused', '--target', 'local', '--json', '--out', out]);
    const { runs } = JSON.parse(stdout) as SuiteSummary;
    expect(code).toBe(2);
    expect(runs.map(({ verdict, trouble }) => [verdict, trouble?.split(':')[0]])).toEqual([
      ['rejected', 'WM_FAULT_UNSUPPORTED (rejected)'],
    ]);
    expect(runs[0]?.trouble).toContain("the local world cannot produce the fault 'forge-artefact'");
  });
});
