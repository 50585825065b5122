// Hardware in the loop without emulated machines: one real controller, simulated agents at the pace of the wall, and a process beside
// them, as a user plays it. Both kinds work, both fail, and the record is one.
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import type { RunHeader, RunRecord, SuiteSummary } from '../../../scenarios/record.ts';
import { start, temporaryFolder, wasmmatrix } from '../../support/e2e/command.ts';

const folder = temporaryFolder();
afterAll(() => folder.remove());

const SIMULATED = 20;
const NODES = SIMULATED + 1;

const CALL = `
question: Of twenty-one machines one of each kind dies and one is cut off; is every question answered?
requirements: [H5.5]
duration: 9s
quiet: 6s
fleet:
  controller: { zone: cloud/a }
  zones:
    - { zone: cloud/a, location: [50, 8] }
    - { zone: edge/b, location: [50, 9] }
  links:
    - { between: [cloud/a, edge/b], latency: 40ms, loss: 1/100 }
  nodes:
    - { node: real, zone: cloud/a }
    - { node: b, count: ${SIMULATED}, zone: edge/b, cores: 2 }
steps:
  - { at: 100ms, push: echo }
  - { at: 300ms, deploy: echo, origin: edge/b, replicas: ${NODES}, spread: node }
  - { at: 1500ms, trigger: echo, on: questions.plain, result: answers.echo }
  - { at: 3s, crash: b-1, for: 3s }
  - { at: 4s, crash: real, for: 3s }
  - { at: 4s, partition: [b-2], from: [controller], for: 4s }
  - { at: 5s, pause: b-3, for: 1s }
workload:
  - { name: questions, subject: questions.plain, from: cloud/a, start: 2500ms, every: 50ms }
observe: ["answers.>"]
goals:
  - answered: { subject: questions.plain, within: 10s }
  - running: { deployment: echo, atLeast: ${NODES}, atMost: ${NODES} }
  - happens: { record: node.status, field: to, value: unavailable, atLeast: 1 }
`;

function scenarioFile(): string {
  const file = join(folder.path, 'loop.scenario.yaml');
  writeFileSync(file, CALL);
  return file;
}

function linesOf(out: string): { readonly header: RunHeader['run']; readonly records: readonly RunRecord[] } {
  const [header = '', ...lines] = readFileSync(join(out, 'run.jsonl'), 'utf8').trim().split('\n');
  return { header: (JSON.parse(header) as RunHeader).run, records: lines.map((line) => JSON.parse(line) as RunRecord) };
}

/** Processes whose environment or command line has this text. */
function processesOf(text: string): readonly string[] {
  return readdirSync('/proc').filter((pid) => {
    if (!/^\d+$/.test(pid) || Number(pid) === process.pid) return false;
    try {
      return readFileSync(`/proc/${pid}/environ`, 'utf8').includes(text);
    } catch {
      return false;
    }
  });
}

// Left out where there is no /proc to see processes in.
describe.skipIf(process.platform !== 'linux')('a run with hardware in the loop', () => {
  it('plays simulated and real nodes under one controller, breaks both, judges one record, and leaves nothing behind', async () => {
    const [out, TMPDIR] = [join(folder.path, 'out'), folder.make('tmp')];
    const { code, stdout } = await wasmmatrix(
      ['run', scenarioFile(), '--target', 'loop', '--machines', '0', '--processes', '1', '--seed', '0x2', '--out', out],
      { env: { TMPDIR } },
    );
    const [run] = (JSON.parse(readFileSync(join(out, 'summary.json'), 'utf8')) as SuiteSummary).runs;
    const broken = run?.goals.filter((goal) => !goal.held);
    expect({ verdict: run?.verdict, trouble: run?.trouble, broken, code }, stdout).toEqual({
      verdict: 'held',
      trouble: null,
      broken: [],
      code: 0,
    });
    expect([run?.world, run?.digest]).toEqual(['loop', null]);
    expect(run?.notes).toContain(
      `Emulated machines: none; processes: real; the other ${SIMULATED} nodes are simulated, at the pace of the wall.`,
    );
    expect(run?.notes?.at(-1)).toMatch(/^Simulated nodes: [1-9]\d* events, the latest \d+\.\d ms after its time\.$/);
    expect(run?.reproduce).toMatch(/--target loop --machines 0 --processes 1 --seed 0x2$/);

    const { header, records } = linesOf(out);
    expect([header.world, header.fleet.length]).toEqual(['loop', NODES + 1]);
    expect(records.every(({ micros }, i) => i === 0 || micros >= records[i - 1]!.micros)).toBe(true);
    // Guests ran on both sides, and every node said so itself.
    const working = new Set(records.flatMap((record) => (record.kind === 'invocation.finished' ? [record.source] : [])));
    expect(working.has('real')).toBe(true);
    expect(working.size).toBeGreaterThan(SIMULATED / 2);
    const stopped = records.flatMap((record) =>
      record.kind === 'machine.stopped' && record.fields.cause === 'power loss' ? [record.fields.machine] : [],
    );
    expect(stopped.toSorted()).toEqual(['b-1', 'real']);
    // A crash comes when it is due, in the simulator as among processes: what it is told by is stamped where it happened.
    for (const machine of ['b-1', 'real']) {
      const began = records.find((record) => record.kind === 'fault.begun' && record.fields.target === machine);
      const ended = records.find((record) => record.kind === 'machine.stopped' && record.fields.machine === machine);
      expect((ended?.micros ?? 0) - (began?.micros ?? 0)).toBeGreaterThanOrEqual(0);
      expect((ended?.micros ?? 0) - (began?.micros ?? 0)).toBeLessThan(3_000_000);
    }
    expect(records.some((record) => record.kind === 'machine.paused' && record.fields.machine === 'b-3')).toBe(true);
    expect(readdirSync(TMPDIR)).toEqual([]);
    expect(processesOf(TMPDIR)).toEqual([]);
  });

  it('leaves nothing behind when it is killed', async () => {
    const [out, TMPDIR] = [join(folder.path, 'killed'), folder.make('tmp-killed')];
    const args = ['run', scenarioFile(), '--target', 'loop', '--machines', '0', '--processes', '0', '--pace', '1', '--quiet', '--out', out];
    const running = start(args, { env: { TMPDIR } });
    const fleet = (): string => readdirSync(TMPDIR)[0] ?? '';
    await expect.poll(() => fleet() !== '' && existsSync(join(TMPDIR, fleet(), 'simulated.jsonl')), { timeout: 120_000 }).toBe(true);
    // The keeper, the controller and the simulated nodes.
    expect(processesOf(TMPDIR).length).toBeGreaterThanOrEqual(3);
    running.child.kill('SIGKILL');
    await running.ended;
    await expect.poll(() => [processesOf(TMPDIR), readdirSync(TMPDIR)], { timeout: 60_000 }).toEqual([[], []]);
  });
});
