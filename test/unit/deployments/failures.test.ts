// How often an instance failed decides how long it waits; another version begins anew.
import { expect, test } from 'vitest';
import { applyInstanceEntry, createDeploymentsState, type InstanceEntry } from '../../../system/deployments/deployments.ts';
import type { DeploymentName, Epoch, Incarnation, InstanceId, ModuleName, NodeId } from '../../../system/domain/identifiers.ts';

const ID = 'echo/0' as InstanceId;
const at = { instance: ID, atMs: 0, cause: 'test' };

test('failures are counted over placements of one version, and from 0 again for another, wherever it is placed', () => {
  const state = createDeploymentsState();
  const apply = (entry: InstanceEntry): number | undefined => {
    applyInstanceEntry(state, entry);
    return state.instances.get(ID)?.failures;
  };
  let epoch = 0;
  const assign = (version: number): number | undefined =>
    apply({
      ...at,
      kind: 'instance-assigned',
      node: 'a' as NodeId,
      nodeIncarnation: 1 as Incarnation,
      epoch: ++epoch as Epoch,
      version,
      memoryBytes: 1,
      cpuMillis: 1,
      decision: { instance: ID, chosen: null, runnersUp: [], refused: [], feasible: 1 },
    });
  const fail = (): number | undefined => apply({ ...at, kind: 'instance-failed', code: null });
  const unplace = (): number | undefined => apply({ ...at, kind: 'instance-unplaced' });
  apply({ ...at, kind: 'instance-created', deployment: 'echo' as DeploymentName, module: 'echo' as ModuleName, ordinal: 0 });
  assign(1);
  fail();
  unplace();
  expect(assign(1)).toBe(1);
  expect(fail()).toBe(2);
  unplace();
  expect(assign(2)).toBe(0);
  expect(fail()).toBe(1);
});
