// A plan is the apply that nobody made: whatever the fleet and what runs on it, applying what was planned gives what was planned.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { DeploymentSpec, PlacementDecision } from '../../../system/domain/deployment.ts';
import { ControllerWorld, deploymentOf, MS, S, ZONES } from '../../support/controller/world.ts';

const anyNode = fc.record({
  zone: fc.constantFrom(...ZONES),
  memoryBytes: fc.integer({ min: 1_000, max: 6_000 }),
  fate: fc.constantFrom('serves', 'serves', 'serves', 'drained', 'dead'),
});
const anySpec: fc.Arbitrary<DeploymentSpec> = fc
  .record({
    name: fc.constantFrom('a', 'b', 'c'),
    module: fc.constantFrom('echo', 'other'),
    replicas: fc.integer({ min: 0, max: 6 }),
    version: fc.constantFrom(null, 1, 2),
    origin: fc.constantFrom(...ZONES),
    spread: fc.constantFrom(0, 2, 255),
    memoryBytes: fc.integer({ min: 0, max: 3_000 }),
    whenUnreachable: fc.constantFrom('move' as const, 'stay' as const),
  })
  .map(({ name, module, memoryBytes, ...rest }) =>
    deploymentOf({
      ...rest,
      name: name as DeploymentSpec['name'],
      module: module as DeploymentSpec['module'],
      requirements: { ...deploymentOf().requirements, memoryBytes },
    }),
  );

test('R4: applied right after it was planned, a deployment goes where the plan said, for the same reasons', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(anyNode, { maxLength: 4 }),
      fc.array(anySpec, { maxLength: 3 }),
      fc.array(anySpec, { minLength: 1, maxLength: 3 }),
      fc.integer({ min: 1, max: 1_000_000 }),
      async (nodes, before, specs, seed) => {
        const world = new ControllerWorld({ seed: String(seed) });
        await world.play(async () => {
          for (const [at, { zone, memoryBytes }] of nodes.entries()) await world.startNode(`n${at}`, { zone, facts: { memoryBytes } });
          await world.pass(500 * MS);
          await world.trust();
          for (const module of ['echo', 'other']) for (const number of [1, 2]) await world.push(module, `echo ${module} ${number}`);
          for (const spec of before) await world.must({ kind: 'deployment-apply', spec });
          for (const [at, { fate }] of nodes.entries()) {
            if (fate === 'drained') await world.must({ kind: 'node-drain', node: `n${at}` as never });
            if (fate === 'dead') world.crash(`n${at}`);
          }
          await world.pass(5 * S);
          const views = async (): Promise<unknown> => [await world.query('deployments'), await world.query('instances')];
          const present = await views();
          const planned = await world.ask({ kind: 'plan', deployments: specs, triggers: [] });
          if (!planned.ok || planned.value.kind !== 'plan') throw new Error('it was planned');
          expect(await views()).toEqual(present);
          for (const spec of specs) await world.must({ kind: 'deployment-apply', spec });
          const { deployments } = await world.query('deployments');
          const { instances } = await world.query('instances');
          const reasons = (decision: PlacementDecision | null): unknown => [
            decision?.chosen?.node ?? null,
            decision?.chosen?.factors.map(({ why }) => why),
            decision?.refused,
          ];
          for (const plan of planned.value.deployments) {
            const deployment = deployments.find(({ spec }) => spec.name === plan.name);
            const stopped = plan.instances.filter(({ action }) => action === 'stop').map(({ instance }) => instance);
            const placed = plan.instances.filter(({ action }) => action !== 'stop' && action !== 'upgrade');
            const decided = placed.map(({ instance }) => deployment?.decisions.find((each) => each.instance === instance) ?? null);
            expect(deployment?.version).toBe(plan.version);
            expect(instances.filter(({ id, state }) => state !== 'stopped' && stopped.includes(id))).toEqual([]);
            expect(decided.map(reasons)).toEqual(placed.map(({ decision }) => reasons(decision)));
          }
        });
      },
    ),
    { numRuns: 40 },
  );
});
