// A disk that gives the controller other bytes than it was given: nothing of them is believed, signed or handed out.
import { expect, test } from 'vitest';
import { ControllerWorld, deploymentOf, S } from '../../support/controller/world.ts';

async function deployed(world: ControllerWorld): Promise<void> {
  await world.startNode('n1');
  await world.pass(1 * S);
  await world.trust();
  expect((await world.push('echo', 'echo 1')).ok).toBe(true);
}

/** Flips a bit in the stored blobs of which `isMeant`. */
function rot(world: ControllerWorld, isMeant: (text: string) => boolean): void {
  const { blobs } = world.diskOf('controller');
  for (const [digest, bytes] of [...blobs]) {
    if (!isMeant(new TextDecoder().decode(bytes))) continue;
    const rotten = bytes.slice();
    rotten[0]! ^= 1;
    blobs.set(digest, rotten);
  }
}

const isModule = (text: string): boolean => text === 'echo 1';
const isArtefact = (text: string): boolean => text.startsWith('echo 1 ');

async function stateOf(world: ControllerWorld): Promise<string> {
  return (await world.query('instances')).instances.map(({ state }) => state).join();
}

test('an artefact that rotted is made anew, and never handed out', async () => {
  const world = new ControllerWorld();
  await world.play(async () => {
    await deployed(world);
    rot(world, isArtefact);
    await world.must({ kind: 'deployment-apply', spec: deploymentOf() });
    await world.pass(3 * S);
    expect(await stateOf(world)).toBe('running');
    expect(world.of('artefact.refused')).toEqual([]);
  });
});

test('a module that rotted is not compiled and signed, until it is pushed again', async () => {
  const world = new ControllerWorld();
  await world.play(async () => {
    await world.trust();
    expect((await world.push('echo', 'echo 1')).ok).toBe(true);
    rot(world, isModule);
    await world.startNode('n1');
    await world.pass(1 * S);
    await world.must({ kind: 'deployment-apply', spec: deploymentOf() });
    await world.pass(3 * S);
    expect(world.of('artefact.signed')).toEqual([]);
    expect(await stateOf(world)).not.toBe('running');
    expect((await world.push('echo', 'echo 1')).ok).toBe(true);
    await world.pass(3 * S);
    expect(await stateOf(world)).toBe('running');
  });
});

test('a module that one read got wrong is read again, and kept', async () => {
  const world = new ControllerWorld();
  await world.play(async () => {
    await world.trust();
    expect((await world.push('echo', 'echo 1')).ok).toBe(true);
    const { blobs } = world.diskOf('controller');
    const read = blobs.get.bind(blobs);
    let wrong = 0;
    blobs.get = (digest) => {
      const bytes = read(digest);
      // Once for its size and once for its bytes: one read.
      if (wrong === 2 || bytes === undefined || !isModule(new TextDecoder().decode(bytes))) return bytes;
      wrong += 1;
      return Uint8Array.of(0, ...bytes);
    };
    await world.startNode('n1');
    await world.pass(1 * S);
    await world.must({ kind: 'deployment-apply', spec: deploymentOf() });
    await world.pass(3 * S);
    expect({ wrong, state: await stateOf(world) }).toEqual({ wrong: 2, state: 'running' });
  });
});

test('a snapshot that rotted is no state: the controller says so and does not start', async () => {
  const world = new ControllerWorld({ config: { snapshotEveryEntries: 5 } });
  await expect(
    world.play(async () => {
      await deployed(world);
      await world.pass(1 * S);
      rot(world, (text) => !isModule(text) && !isArtefact(text));
      await world.restartController();
    }),
  ).rejects.toThrow('WM_JOURNAL_CORRUPT');
});

test('a journal that rotted is refused: the controller does not start, until an older copy is there', async () => {
  const world = new ControllerWorld();
  await world.play(async () => {
    await deployed(world);
    const disk = world.diskOf('controller');
    const copy = disk.copy();
    disk.rot(true);
    await expect(world.restartController()).rejects.toThrow(
      /^WM_JOURNAL_CORRUPT: Record \d+ of journal controller is not what was written/,
    );
    world.crash('controller');
    disk.restore(copy);
    await world.pass(1 * S);
    await world.restartController();
    await world.must({ kind: 'deployment-apply', spec: deploymentOf() });
    await world.pass(3 * S);
    expect(await stateOf(world)).toBe('running');
  });
});

test('what an agent remembers and that rotted is refused: it does not start, until its disk is another', async () => {
  const world = new ControllerWorld();
  await world.play(async () => {
    await deployed(world);
    world.diskOf('n1').rot(true);
    const restart = async (): Promise<void> => {
      world.crash('n1');
      await world.pass(1 * S);
      await world.restartNode('n1');
    };
    await expect(restart()).rejects.toThrow('Key controller-key of bucket agent is not what was written');
    world.diskOf('n1').wipe();
    await restart();
    await world.must({ kind: 'deployment-apply', spec: deploymentOf() });
    await world.pass(3 * S);
    expect(await stateOf(world)).toBe('running');
  });
});
