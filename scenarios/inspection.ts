// The last look of a run: what registry and state say when everything is quiet, written into the record for the goals.
import { describeError } from '../system/domain/outcome.ts';
import type { Course } from './course.ts';
import { COMMAND_DEADLINE_MICROS } from './operator.ts';

export async function inspect({ testbed, scenario, stopWith }: Course): Promise<void> {
  const deadlineMicros = COMMAND_DEADLINE_MICROS;
  const nodes = await testbed.query({ kind: 'nodes' }, { deadlineMicros });
  const modules = await testbed.query({ kind: 'modules' }, { deadlineMicros });
  const instances = await testbed.query({ kind: 'instances' }, { deadlineMicros });
  for (const answer of [nodes, modules, instances])
    if (!answer.ok) return stopWith(`The controller does not answer at the end: ${describeError(answer.error)}`);
  if (nodes.ok && nodes.value.kind === 'nodes') {
    for (const { facts, status, incarnation } of nodes.value.nodes) {
      testbed.record('inventory.observed', {
        node: facts.node,
        status,
        incarnation,
        architecture: facts.architecture,
        zone: facts.zone,
        cores: facts.cores,
        memoryBytes: facts.memoryBytes,
      });
    }
  }
  if (modules.ok && modules.value.kind === 'modules') {
    for (const { manifest, version, signature } of modules.value.modules) {
      testbed.record('module.observed', { module: manifest.name, version, digest: manifest.digest, key: signature.key });
    }
  }
  if (instances.ok && instances.value.kind === 'instances') {
    for (const { id, state, node, epoch, version } of instances.value.instances) {
      testbed.record('instance.observed', { instance: id, state, node, epoch, version });
    }
  }
  for (const key of scenario.observeState) {
    const entry = await testbed.readState(key);
    if (!entry.ok) return stopWith(`State ${key} could not be read at the end: ${describeError(entry.error)}`);
    testbed.record('state.observed', { key, value: entry.value === null ? null : new TextDecoder().decode(entry.value.value) });
  }
}
