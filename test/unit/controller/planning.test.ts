// What an operator reads in a plan before anything is applied.
import { describe, expect, test } from 'vitest';
import type { DeploymentSpec, TriggerSpec } from '../../../system/domain/deployment.ts';
import type { NodeId } from '../../../system/domain/identifiers.ts';
import type { NodeFacts } from '../../../system/domain/node.ts';
import type { OperatorAnswer } from '../../../system/domain/operator.ts';
import {
  applyNodeEntry,
  createNodesState,
  planDrain,
  planHeartbeat,
  planHello,
  planSilence,
  planUndrain,
  type NodeEntry,
} from '../../../system/nodes/nodes.ts';
import { ControllerWorld, deploymentOf, S, triggerOf } from '../../support/controller/world.ts';

type Plan = Extract<OperatorAnswer, { readonly kind: 'plan' }>;

async function planOf(
  world: ControllerWorld,
  deployments: readonly DeploymentSpec[],
  triggers: readonly TriggerSpec[] = [],
): Promise<Plan> {
  const answer = await world.ask({ kind: 'plan', deployments, triggers });
  if (!answer.ok || answer.value.kind !== 'plan') throw new Error(answer.ok ? answer.value.kind : answer.error.message);
  return answer.value;
}

async function fleet(world: ControllerWorld): Promise<void> {
  await world.startNode('n1', { facts: { memoryBytes: 2_500 } });
  await world.startNode('n2', { facts: { memoryBytes: 2_500 } });
  await world.pass(S);
  await world.trust();
  await world.push('echo', 'echo 1');
  await world.push('echo', 'echo 2');
}

describe('a plan', () => {
  test('says what would be new, and where it would go and why', async () => {
    const world = new ControllerWorld();
    await world.play(async () => {
      await fleet(world);
      const { deployments, triggers } = await planOf(world, [deploymentOf({ version: 1 })], [triggerOf()]);
      expect(deployments).toMatchObject([{ name: 'echo', action: 'create', version: 1, instancesChanged: 1 }]);
      expect(deployments[0]?.fields).toContainEqual({ field: 'requirements.memoryBytes', from: null, to: '1000' });
      expect(deployments[0]?.instances).toMatchObject([
        { instance: 'echo/0', action: 'create', from: null, decision: { chosen: { node: 'n1' }, runnersUp: [{ node: 'n2' }] } },
      ]);
      expect(deployments[0]?.instances[0]?.decision?.chosen?.factors.map(({ name }) => name)).toEqual(['proximity', 'utilisation']);
      expect(triggers).toMatchObject([{ name: 'on-ping', deployment: 'echo', action: 'create' }]);
      expect((await world.query('deployments')).deployments).toEqual([]);
      expect((await world.query('instances')).instances).toEqual([]);
    });
  });

  test('says of each field from what to what, and nothing of what stays', async () => {
    const world = new ControllerWorld();
    await world.play(async () => {
      await fleet(world);
      await world.must({ kind: 'deployment-apply', spec: deploymentOf({ version: 1, replicas: 2 }) });
      await world.must({ kind: 'trigger-apply', spec: triggerOf() });
      await world.pass(S);
      const same = await planOf(world, [deploymentOf({ version: 1, replicas: 2 })], [triggerOf()]);
      expect(same.deployments).toMatchObject([{ action: 'unchanged', fields: [], instances: [] }]);
      expect(same.triggers).toMatchObject([{ action: 'unchanged', fields: [] }]);
      const fewer = await planOf(world, [deploymentOf({ replicas: 1 })], [triggerOf({ result: null })]);
      expect(fewer.deployments).toMatchObject([
        {
          action: 'update',
          version: 2,
          fields: [
            { field: 'version', from: '1', to: '2' },
            { field: 'replicas', from: '2', to: '1' },
          ],
          instances: [
            { instance: 'echo/0', action: 'upgrade', decision: null },
            { instance: 'echo/1', action: 'stop', decision: null },
          ],
        },
      ]);
      expect(fewer.triggers[0]?.fields).toEqual([{ field: 'result', from: 'pong', to: null }]);
    });
  });

  test('places what is planned together one after the other, so that each sees what the others take', async () => {
    const world = new ControllerWorld();
    await world.play(async () => {
      await fleet(world);
      const needs = { ...deploymentOf().requirements, memoryBytes: 2_000 };
      const specs = ['a', 'b', 'c'].map((name) => deploymentOf({ name: name as DeploymentSpec['name'], requirements: needs }));
      const { deployments } = await planOf(world, specs);
      expect(deployments.map(({ instances }) => instances[0]?.decision?.chosen?.node ?? null)).toEqual(['n1', 'n2', null]);
      expect(deployments[2]?.instances[0]?.decision?.refused).toMatchObject([{ reason: 'not enough memory left', nodes: 2 }]);
    });
  });

  test('is refused as the apply would be', async () => {
    const world = new ControllerWorld();
    await world.play(async () => {
      await fleet(world);
      const wrong: readonly [readonly DeploymentSpec[], readonly TriggerSpec[]][] = [
        [[deploymentOf({ module: 'none' as DeploymentSpec['module'] })], []],
        [[deploymentOf({ version: 9 })], []],
        [[deploymentOf({ replicas: 100_000 })], []],
        [[], [triggerOf({ deployment: 'none' as TriggerSpec['deployment'] })]],
      ];
      for (const [deployments, triggers] of wrong) {
        const planned = await world.ask({ kind: 'plan', deployments, triggers });
        const [spec] = deployments;
        const [trigger] = triggers;
        const applied = await world.execute(
          spec === undefined ? { kind: 'trigger-apply', spec: trigger as TriggerSpec } : { kind: 'deployment-apply', spec },
        );
        expect(planned.ok).toBe(false);
        expect(planned).toEqual(applied);
      }
      expect(await world.ask({ kind: 'plan', deployments: Array(300).fill(deploymentOf()), triggers: [] })).toMatchObject({
        error: { code: 'WM_ARGUMENT' },
      });
    });
  });

  test('keeps to its node what is bound to one', async () => {
    const world = new ControllerWorld();
    await world.play(async () => {
      await fleet(world);
      const needs = { ...deploymentOf().requirements, memoryBytes: 2_000 };
      const spec = deploymentOf({ requirements: needs, whenUnreachable: 'stay' });
      await world.must({ kind: 'deployment-apply', spec });
      await world.pass(S);
      world.crash('n1');
      await world.pass(S);
      await world.restartNode('n1', { facts: { memoryBytes: 100 } });
      await world.pass(2 * S);
      const { deployments } = await planOf(world, [spec]);
      expect(deployments[0]?.instances).toMatchObject([
        {
          instance: 'echo/0',
          action: 'wait',
          decision: {
            chosen: null,
            refused: [{ reason: 'not enough memory left' }, { reason: 'the instance is bound to another node', example: 'n2' }],
          },
        },
      ]);
    });
  });

  test('of a very large deployment goes on turn by turn, and tells how many instances it does not list', async () => {
    const world = new ControllerWorld();
    await world.play(async () => {
      await world.startNode('n1', { facts: { memoryBytes: 1e9, cores: 400 } });
      await world.pass(S);
      await world.trust();
      await world.push('echo', 'echo 1');
      const { deployments } = await planOf(world, [deploymentOf({ replicas: 1_200 })]);
      expect(deployments[0]?.instances).toHaveLength(1_000);
      expect(deployments[0]?.instancesChanged).toBe(1_200);
      expect(deployments[0]?.instances.every(({ decision }) => decision?.chosen?.node === 'n1')).toBe(true);
    });
  });
});

describe('a drained node', () => {
  test('takes work again when an operator says so', async () => {
    const world = new ControllerWorld();
    await world.play(async () => {
      await fleet(world);
      const statusOf = async (node: string): Promise<string | undefined> =>
        (await world.query('nodes')).nodes.find(({ facts }) => facts.node === node)?.status;
      for (const node of ['n1', 'n2']) await world.must({ kind: 'node-drain', node: node as never });
      await world.must({ kind: 'deployment-apply', spec: deploymentOf() });
      await world.pass(S);
      expect((await world.query('instances')).instances).toMatchObject([{ state: 'pending' }]);
      expect(await statusOf('n1')).toBe('draining');
      await world.must({ kind: 'node-undrain', node: 'n1' as never });
      await world.pass(S);
      expect((await world.query('instances')).instances).toMatchObject([{ state: 'running', node: 'n1' }]);
      expect(world.of('node.status').at(-1)?.fields).toMatchObject({ node: 'n1', from: 'draining', to: 'healthy' });
      // Twice is once, and what was never drained stays what it is.
      const before = world.of('node.status').length;
      await world.must({ kind: 'node-undrain', node: 'n1' as never });
      expect(world.of('node.status')).toHaveLength(before);
      expect(await world.execute({ kind: 'node-undrain', node: 'nobody' as never })).toMatchObject({ error: { code: 'WM_NODE_UNKNOWN' } });
    });
  });

  test('that was silent when an operator wanted it back is in service when it is heard again', () => {
    const state = createNodesState();
    const node = 'n1' as NodeId;
    const apply = (entries: readonly NodeEntry[]): void => {
      for (const entry of entries) applyNodeEntry(state, entry);
    };
    const status = (): string | undefined => state.nodes.get(node)?.status;
    const facts = { node, profile: 'p' } as unknown as NodeFacts;
    apply(planHello(state, { facts, bootId: 'b', incarnation: null }, 1));
    apply(planDrain(state, node, 2));
    apply(planSilence(state, node, 1_500, { suspectAfterMs: 1_500, unavailableAfterMs: 3_000 }, 3));
    expect(status()).toBe('suspect');
    apply(planUndrain(state, node, 4));
    expect(status()).toBe('suspect');
    apply(planHeartbeat(state, node, 5));
    expect(status()).toBe('healthy');
  });
});
