// Instances that fail: started again where they are, then somewhere else, as long as there is somewhere else.
import { describe, expect, test } from 'vitest';
import { Failures } from '../../../system/controller/failures.ts';
import type { InstanceId, NodeId, ZonePath } from '../../../system/domain/identifiers.ts';
import { ControllerWorld, deploymentOf, S } from '../../support/controller/world.ts';

const NO_SCRIPTS = new Map<string, never>();

async function stands(world: ControllerWorld): Promise<string> {
  const [instance] = (await world.query('instances')).instances;
  return `${instance?.state} ${instance?.node ?? ''}`;
}

describe('an instance that its node cannot run', () => {
  test('is tried there again, and then goes to another that can, although the first is nearer', async () => {
    const world = new ControllerWorld();
    await world.play(async () => {
      await world.startNode('near', { zone: 'fleet/a', scripts: NO_SCRIPTS });
      await world.startNode('far', { zone: 'cloud/us' });
      await world.pass(S);
      await world.trust();
      await world.push('echo', 'echo 1');
      await world.must({ kind: 'deployment-apply', spec: deploymentOf({ origin: 'fleet/a' as ZonePath }) });
      await world.pass(10 * S);
      expect(await stands(world)).toBe('running far');
      const nodes = world.of('placement.decided').map(({ fields }) => fields.node);
      expect(nodes).toEqual(['near', 'near', 'far']);
    });
  });

  test('stays with it as long as there is no other, and what waits for its turn goes on', async () => {
    const world = new ControllerWorld();
    await world.play(async () => {
      await world.startNode('n1', { scripts: NO_SCRIPTS });
      await world.pass(S);
      await world.trust();
      await world.push('echo', 'echo 1');
      await world.must({ kind: 'deployment-apply', spec: deploymentOf() });
      await world.pass(20 * S);
      expect(world.of('placement.decided').length).toBeGreaterThan(3);
      await world.startNode('n2');
      await world.pass(40 * S);
      expect(await stands(world)).toBe('running n2');
    });
  });
});

describe('what is remembered of failures', () => {
  const id = (at: number): InstanceId => `echo/${at}` as InstanceId;
  const N1 = 'n1' as NodeId;

  test('lasts ten minutes, for one version, and is no more than there is room for', () => {
    const failures = new Failures();
    failures.failed(id(0), 1, N1, 0);
    expect(failures.avoided(id(0), 1, 0)).toEqual([]);
    failures.failed(id(0), 1, N1, 0);
    expect(failures.avoided(id(0), 1, 599 * S)).toEqual([N1]);
    expect(failures.avoided(id(0), 1, 600 * S)).toEqual([]);
    expect(failures.avoided(id(0), 2, 0)).toEqual([]);
    for (let at = 1; at <= 4_096; at++) failures.failed(id(at), 1, N1, 0);
    expect(failures.avoided(id(0), 1, 0)).toEqual([]);
  });
});
