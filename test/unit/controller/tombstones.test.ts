// What is remembered of instances that are gone: their epochs, within a bound, so that a name is never placed under an old one again.
import { describe, expect, test } from 'vitest';
import {
  applyDeploymentEntry,
  applyInstanceEntry,
  createDeploymentsState,
  isDeploymentEntry,
  planApply,
  planDelete,
  type DeploymentEntry,
  type DeploymentsState,
  type InstanceEntry,
} from '../../../system/deployments/deployments.ts';
import { TOMBSTONES_MAX } from '../../../system/deployments/state.ts';
import { recover } from '../../../system/controller/recovery.ts';
import { createState } from '../../../system/controller/state.ts';
import { ok } from '../../../system/domain/outcome.ts';
import { encodeValue } from '../../../system/journal/journal.ts';
import { encodeRecord } from '../../../system/journal/record.ts';
import type { BlobStore } from '../../../system/ports/storage.ts';
import { MemoryTime } from '../../support/ports/memory-clock.ts';
import { MemoryDisk } from '../../support/ports/memory-storage.ts';
import type { DeploymentName, Digest, Epoch, Incarnation, InstanceId, NodeId, Term } from '../../../system/domain/identifiers.ts';
import { deploymentOf } from '../../support/controller/world.ts';

function apply(state: DeploymentsState, entries: readonly (DeploymentEntry | InstanceEntry)[]): void {
  for (const entry of entries) {
    if (isDeploymentEntry(entry)) applyDeploymentEntry(state, entry);
    else applyInstanceEntry(state, entry);
  }
}

const nameOf = (at: number): DeploymentName => `d${at}` as DeploymentName;
const idOf = (name: DeploymentName): InstanceId => `${name}/0` as InstanceId;

function assign(state: DeploymentsState, name: DeploymentName, epoch: number): void {
  apply(state, [
    {
      kind: 'instance-assigned',
      instance: idOf(name),
      node: 'n1' as NodeId,
      nodeIncarnation: 1 as Incarnation,
      epoch: epoch as Epoch,
      version: 1,
      memoryBytes: 0,
      cpuMillis: 0,
      decision: { instance: idOf(name), chosen: null, runnersUp: [], refused: [], feasible: 0 },
      atMs: 1,
      cause: 'placed',
    },
  ]);
}

/** Deployed, placed once under this epoch, deleted; its node lets go of it where it `isReleased`. */
function live(state: DeploymentsState, name: DeploymentName, epoch: number, isReleased = true): void {
  apply(state, planApply(state, deploymentOf({ name }), 1, 1));
  assign(state, name, epoch);
  apply(state, planDelete(state, name, 1));
  if (isReleased) apply(state, [{ kind: 'instance-released', instance: idOf(name), atMs: 1, cause: 'its node stopped it' }]);
}

describe('instances of deleted deployments', () => {
  test('are remembered within a bound, and a name that is used again goes on above every epoch that it had', () => {
    const state = createDeploymentsState();
    live(state, nameOf(0), 7);
    for (let at = 1; at <= TOMBSTONES_MAX; at++) live(state, nameOf(at), (state.epochFloor as number) + 1);
    expect(state.instances.size + state.retired.size).toBeLessThanOrEqual(TOMBSTONES_MAX + 2);
    expect(state.instances.has(idOf(nameOf(0)))).toBe(false);
    apply(state, planApply(state, deploymentOf({ name: nameOf(0) }), 1, 1));
    expect(state.instances.get(idOf(nameOf(0)))?.epoch).toBeGreaterThanOrEqual(7);
    expect(() => assign(state, nameOf(0), 7)).toThrow('grows with each placement');
  });

  test('are not forgotten while a node may still run them, nor when their deployment is there again', () => {
    const state = createDeploymentsState();
    live(state, nameOf(0), 1, false);
    live(state, nameOf(1), 5);
    apply(state, planApply(state, deploymentOf({ name: nameOf(1) }), 1, 1));
    for (let at = 2; at <= TOMBSTONES_MAX; at++) live(state, nameOf(at), (state.epochFloor as number) + 1);
    expect(state.instances.get(idOf(nameOf(0)))).toMatchObject({ state: 'stopped', node: 'n1' });
    expect(state.instances.get(idOf(nameOf(1)))).toMatchObject({ state: 'pending', epoch: 5 });
  });

  test('are known to a snapshot, and one of an earlier version, which knows of none, can still be read', async () => {
    const { retired: _, epochFloor: __, ...earlier } = createDeploymentsState();
    const snapshot = new TextEncoder().encode(encodeValue({ ...createState(), deployments: earlier }));
    const entry = encodeValue({ kind: 'snapshot-taken', snapshot: 'sha256:1', through: 1 });
    const disk = new MemoryDisk();
    const store = await disk.portOf(new MemoryTime().process()).journal('controller');
    if (!store.ok) throw new Error('the disk works');
    for (const sequence of [1, 2]) {
      const record = encodeRecord({ sequence, term: 1 as Term, timeMs: 1 }, sequence === 2 ? [entry] : []);
      store.value.append(record, { expectedSequence: sequence - 1 });
    }
    const blobs = { get: () => Promise.resolve(ok(snapshot)) } as unknown as BlobStore;
    const recovered = await recover(store.value, blobs, { assertRecovery: false, digest: () => 'sha256:1' as Digest });
    expect(recovered.ok && recovered.value.state.deployments).toEqual(createDeploymentsState());
  });
});
