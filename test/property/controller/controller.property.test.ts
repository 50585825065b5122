// The controller under power loss at any moment, with nodes that come and go: what was acknowledged stays, the fold holds (the
// recovery asserts snapshot + tail = full fold), instances change state by the rules, and everything runs in the end.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { INSTANCE_TRANSITIONS, type InstanceState } from '../../../system/domain/deployment.ts';
import type { RecordOf, RunRecord } from '../../../scenarios/record.ts';
import { ControllerWorld, deploymentOf, MS, S } from '../../support/controller/world.ts';

const NODES = ['n1', 'n2', 'n3'];

const anyStep = fc.oneof(
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('crash-controller' as const), downMs: fc.integer({ min: 1, max: 3_000 }) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('crash-node' as const),
      node: fc.constantFrom(...NODES),
      downMs: fc.integer({ min: 100, max: 6_000 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('scale' as const), replicas: fc.integer({ min: 0, max: 5 }) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('rollback' as const), version: fc.integer({ min: 1, max: 2 }) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('apply' as const),
      spread: fc.constantFrom(0, 255),
      replicas: fc.integer({ min: 1, max: 4 }),
    }),
  },
);
const anySteps = fc.array(fc.record({ step: anyStep, afterMicros: fc.integer({ min: 0, max: 2 * S }) }), { maxLength: 8 });

/** The first transition that does not follow from the one before; facts that a recovery repeats are seen once. */
function findBreak(records: readonly RecordOf<'instance.state'>[]): string | null {
  const state = new Map<string, string>();
  const epochs = new Map<string, number>();
  const seen = new Set<string>();
  for (const { fields, correlation } of records) {
    const { instance, from, to, epoch, version, cause } = fields;
    const text = JSON.stringify([instance, epoch, version, from, to, cause]);
    if (correlation?.startsWith('repeated/') === true && seen.has(text)) continue;
    seen.add(text);
    const before = state.get(instance) ?? 'pending';
    if (before !== from) return `${instance} was ${before}, and ${text} was told`;
    if (!INSTANCE_TRANSITIONS[from as InstanceState].includes(to as InstanceState)) return `${text} is no transition`;
    if (from === 'assigned' && to === 'assigned') return `${text} is for an older copy, and none was put back`;
    if (epoch < (epochs.get(instance) ?? 0)) return `${text} goes back in epoch`;
    state.set(instance, to);
    epochs.set(instance, epoch);
  }
  return null;
}

/** A start that recovered less than had been acknowledged. */
function findLoss(records: readonly RunRecord[]): string | null {
  let acknowledged = 0;
  for (const record of records) {
    if (record.kind === 'command.acknowledged') acknowledged = Math.max(acknowledged, record.fields.sequence);
    if (record.kind === 'controller.started' && record.fields.sequence < acknowledged)
      return `${record.fields.sequence} recovered, ${acknowledged} acknowledged`;
  }
  return null;
}

test('R13.6, P2, P4, P8: whatever crashes when, nothing acknowledged is lost and everything runs in the end', async () => {
  await fc.assert(
    fc.asyncProperty(anySteps, fc.integer({ min: 1, max: 1_000_000 }), async (steps, seed) => {
      const world = new ControllerWorld({ seed: String(seed), config: { snapshotEveryEntries: 7 } });
      let replicas = 2;
      let version = 2;
      let command = 0;
      const persist = async (send: (id: string) => ReturnType<ControllerWorld['execute']>): Promise<void> => {
        const id = `p${++command}`;
        for (let attempt = 0; attempt < 30; attempt++) {
          const reply = await send(id);
          if (reply.ok) return;
          if (reply.error.kind === 'rejected') throw new Error(`${reply.error.code}: ${reply.error.message}`);
          await world.pass(500 * MS);
        }
        throw new Error('the controller does not answer');
      };
      await world.play(async () => {
        for (const node of NODES) await world.startNode(node);
        await world.pass(500 * MS);
        await world.trust();
        await world.push('echo', 'echo 1');
        await world.push('echo', 'echo 2');
        await world.must({ kind: 'deployment-apply', spec: deploymentOf({ replicas }) });
        const running: Promise<void>[] = [];
        const down = new Set<string>();
        for (const { step, afterMicros } of steps) {
          await world.pass(afterMicros);
          if (step.kind === 'crash-controller') {
            if (down.has('controller')) continue;
            down.add('controller');
            running.push(world.restartController(step.downMs * MS).then(() => void down.delete('controller')));
          } else if (step.kind === 'crash-node') {
            if (down.has(step.node)) continue;
            down.add(step.node);
            world.crash(step.node);
            running.push(
              world
                .pass(step.downMs * MS)
                .then(() => world.restartNode(step.node))
                .then(() => void down.delete(step.node)),
            );
          } else {
            if (step.kind === 'scale') replicas = step.replicas;
            if (step.kind === 'apply') ({ replicas } = step);
            if (step.kind === 'apply') version = 2;
            if (step.kind === 'rollback') ({ version } = step);
            // Commands of one operator follow each other, whatever happens to the controller meanwhile.
            await persist((id) => {
              switch (step.kind) {
                case 'scale':
                  return world.execute({ kind: 'deployment-scale', deployment: deploymentOf().name, replicas: step.replicas }, id);
                case 'rollback':
                  return world.execute({ kind: 'rollback', deployment: deploymentOf().name, version: step.version }, id);
                case 'apply':
                  return world.execute(
                    { kind: 'deployment-apply', spec: deploymentOf({ spread: step.spread, replicas: step.replicas }) },
                    id,
                  );
              }
            });
          }
        }
        await Promise.all(running);
        await world.pass(40 * S);
        const { instances } = await world.query('instances');
        const wanted = instances.filter((instance) => instance.state !== 'stopped');
        const { deployments } = await world.query('deployments');
        const room = deployments[0]?.spec.spread === 255 ? Math.min(replicas, NODES.length) : replicas;
        expect(wanted).toHaveLength(replicas);
        expect(wanted.filter((instance) => instance.state === 'running' && instance.version === version)).toHaveLength(room);
        expect((await world.query('nodes')).nodes.map((node) => node.status)).toEqual(['healthy', 'healthy', 'healthy']);
      });
      expect(findBreak(world.of('instance.state'))).toBeNull();
      expect(world.endings).toEqual([]);
      expect(findLoss(world.records)).toBeNull();
    }),
    { numRuns: 25 },
  );
});
