// Hardware in the loop as the requirement says it (H5.5): a hundred simulated agents, two processes and both emulated machines under one
// real controller. Left out unless WASMMATRIX_TEST_MACHINES is set: images take minutes to make, and a machine that does much else
// cannot keep the pace, so the gate plays the smaller loop of test/integration/loop, and this one is played by hand.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import type { RunRecord, SuiteSummary } from '../../scenarios/record.ts';
import { temporaryFolder, wasmmatrix } from '../support/e2e/command.ts';

const WALL_MS = 900_000;
const folder = temporaryFolder();
afterAll(() => folder.remove());

// Left out elsewhere: where nobody made images before, this would take a quarter of an hour.
describe.skipIf(process.env['WASMMATRIX_TEST_MACHINES'] === undefined)(
  'a hundred simulated nodes and both machines (left out unless WASMMATRIX_TEST_MACHINES is set)',
  () => {
    it('hold what the file claims, each kind of node at work in one record', { timeout: WALL_MS }, async () => {
      const out = join(folder.path, 'out');
      const ran = await wasmmatrix(['run', 'hundred-nodes', '--target', 'loop', '--json', '--quiet', '--out', out], { wallMsMax: WALL_MS });
      const { runs } = JSON.parse(ran.stdout) as SuiteSummary;
      expect(
        runs.map(({ world, verdict, trouble, goals }) => ({ world, verdict, trouble, broken: goals.filter((goal) => !goal.held) })),
      ).toEqual([{ world: 'loop', verdict: 'held', trouble: null, broken: [] }]);
      expect(runs[0]?.notes).toContain(
        'Emulated machines: gate-arm (aarch64), gate-riscv (riscv64); processes: depot-1, depot-2; the other 100 nodes are simulated, at the pace of the wall.',
      );
      const records = readFileSync(join(out, 'run.jsonl'), 'utf8')
        .trim()
        .split('\n')
        .slice(1)
        .map((line) => JSON.parse(line) as RunRecord);
      expect(records.every(({ micros }, i) => micros >= (records[i - 1]?.micros ?? 0))).toBe(true);
      const enrolled = new Set(records.flatMap((record) => (record.kind === 'node.enrolled' ? [record.fields.node] : [])));
      expect(enrolled.size).toBe(104);
      const targets = new Set(records.flatMap((record) => (record.kind === 'artefact.signed' ? [record.fields.profile] : [])));
      expect(targets.size).toBeGreaterThanOrEqual(3);
      const loaded = new Set(records.flatMap((record) => (record.kind === 'artefact.loaded' ? [record.source] : [])));
      for (const node of ['gate-arm', 'gate-riscv']) expect(records.filter(({ source }) => source === node).length).toBeGreaterThan(3);
      expect(loaded.size).toBeGreaterThanOrEqual(52);
    });
  },
);
