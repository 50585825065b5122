// The compatibility matrix as operators read it, and as placement does (R11.3, R11.5).
import { describe, expect, test } from 'vitest';
import { nameOfCell, type MatrixCell } from '../../../system/domain/matrix.ts';
import type { NodeFacts } from '../../../system/domain/node.ts';
import { failed, rejected } from '../../../system/domain/outcome.ts';
import { byKey, TestWatcher } from '../../support/controller/watcher.ts';
import { ControllerWorld, deploymentOf, S, WITHOUT_VECTORS } from '../../support/controller/world.ts';

/** Of a machine that can run no script whose name begins with `vectors`. */
const BOARD: Partial<NodeFacts> = { architecture: 'riscv64', profile: WITHOUT_VECTORS.profile, target: WITHOUT_VECTORS.target };

const short = (cells: readonly MatrixCell[]): readonly string[] => cells.map((cell) => `${nameOfCell(cell)} ${cell.state}`);

describe('the matrix', () => {
  test('has a cell for each version and each level that nodes have or could have, with what came of it', async () => {
    const world = new ControllerWorld();
    await world.play(async () => {
      await world.trust();
      await world.push('echo', 'echo 1');
      expect(short((await world.query('matrix')).cells)).toEqual(['echo@1/x86_64/x86-64 unused', 'echo@1/riscv64/rv64gc unused']);
      await world.startNode('n1');
      await world.pass(S);
      await world.push('echo', 'echo 2');
      const { cells } = await world.query('matrix');
      expect(short(cells)).toEqual([
        'echo@1/x86_64/x86-64 ready',
        'echo@1/riscv64/rv64gc unused',
        'echo@2/x86_64/x86-64 ready',
        'echo@2/riscv64/rv64gc unused',
      ]);
      expect(cells[0]).toMatchObject({ sizeBytes: 'echo 1 profile-1'.length, compileMicros: 1_234, code: null, why: '' });
      expect(cells[0]?.artefact).toMatch(/^sha256:/);
      expect(cells[1]).toMatchObject({ artefact: null, sizeBytes: null, compileMicros: null, why: 'No node has this level.' });
    });
  });

  test('is completed when a node of another level comes after the push, and a restart forgets nothing of it', async () => {
    const world = new ControllerWorld();
    await world.play(async () => {
      await world.startNode('n1');
      await world.pass(S);
      await world.trust();
      await world.push('echo', 'echo 1');
      await world.startNode('board', { facts: BOARD });
      await world.pass(S);
      const before = await world.query('matrix');
      expect(short(before.cells)).toEqual(['echo@1/x86_64/x86-64 ready', 'echo@1/riscv64/rv64gc ready']);
      await world.restartController();
      await world.pass(S);
      expect((await world.query('matrix')).cells).toEqual(before.cells);
    });
  });

  test('says why there is no code, and placement says which cell that is', async () => {
    const world = new ControllerWorld();
    world.scripts.set('vectors', function* () {
      yield { kind: 'leg', micros: 1 };
      return 0;
    });
    await world.play(async () => {
      await world.startNode('board', { facts: BOARD });
      await world.pass(S);
      await world.trust();
      const pushed = await world.push('filter', 'vectors 1');
      expect(pushed).toMatchObject({ ok: true, value: { version: 1 } });
      const refused = (await world.query('matrix')).cells.find(({ architecture }) => architecture === 'riscv64');
      expect(refused).toMatchObject({ state: 'refused', code: 'WM_MODULE_FEATURE', why: 'The module uses vectors.', artefact: null });
      await world.must({ kind: 'deployment-apply', spec: deploymentOf({ module: 'filter' as never }) });
      const [deployment] = (await world.query('deployments')).deployments;
      expect(deployment?.decisions[0]).toMatchObject({
        chosen: null,
        refused: [{ reason: 'has no code of filter@1/riscv64/rv64gc: The module uses vectors', nodes: 1, example: 'board' }],
      });
      await world.startNode('n1');
      await world.pass(2 * S);
      const [instance] = (await world.query('instances')).instances;
      expect(instance).toMatchObject({ node: 'n1', state: 'running' });
      expect(short((await world.query('matrix')).cells)).toEqual(['filter@1/x86_64/x86-64 ready', 'filter@1/riscv64/rv64gc refused']);
    });
  });

  test.each([
    [failed('WM_STORAGE_FULL', { message: 'The disk is full.', next: 'Free space.' }), 'WM_STORAGE_FULL ready'],
    [rejected('WM_MODULE_FEATURE', { message: 'It uses vectors.', next: 'Build it without.' }), 'WM_MODULE_FEATURE refused'],
  ])('forgets a refusal once it is over, unless it is the module that cannot be compiled (%#)', async (trouble, path) => {
    const world = new ControllerWorld();
    await world.play(async () => {
      await world.startNode('n1');
      await world.pass(S);
      await world.trust();
      world.compilerTrouble = trouble;
      await world.push('echo', 'echo 1');
      await world.must({ kind: 'deployment-apply', spec: deploymentOf() });
      await world.pass(40 * S);
      const [before] = (await world.query('matrix')).cells;
      expect(before).toMatchObject({ state: 'refused', why: trouble.error.message });
      world.compilerTrouble = null;
      await world.pass(40 * S);
      const [after] = (await world.query('matrix')).cells;
      expect(`${before?.code} ${after?.state}`).toBe(path);
      const [instance] = (await world.query('instances')).instances;
      expect(instance?.state).toBe(after?.state === 'ready' ? 'running' : 'pending');
    });
  });

  test('is told to those who watch it as it changes', async () => {
    const world = new ControllerWorld();
    await world.play(async () => {
      const watcher = new TestWatcher(world, 'matrix');
      await watcher.start();
      await world.trust();
      await world.push('echo', 'echo 1');
      await world.pass(S);
      await world.startNode('n1');
      await world.startNode('board', { facts: BOARD });
      await world.pass(S);
      await world.push('filter', 'vectors 1');
      await world.pass(S);
      const { cells } = await world.query('matrix');
      expect(short(cells)).toContain('filter@1/riscv64/rv64gc refused');
      expect(watcher.views('matrix')).toEqual(byKey('matrix', cells));
      const states = watcher.streams.flat().flatMap(({ message }) => (message.kind === 'matrix' ? message.upserts : []));
      const path = states.filter((cell) => nameOfCell(cell) === 'echo@1/x86_64/x86-64').map(({ state }) => state);
      expect(path).toEqual(['unused', 'waiting', 'ready']);
      await watcher.stop();
    });
  });
});
