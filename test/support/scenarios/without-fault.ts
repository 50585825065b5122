// A scenario of the catalogue in the simulated world, in which faults of one kind do nothing: they are told as ever, and nothing breaks.
import { readFileSync } from 'node:fs';
import { nodeCrypto } from '../../../hardware/keys/keys.ts';
import { ensureEngine } from '../../../hardware/wasm/build/build.ts';
import { openEngine } from '../../../hardware/wasm/native/native.ts';
import { SynchronousEngine } from '../../../hardware/wasm/wasm.ts';
import { buildExamples } from '../../../scenarios/examples/build.ts';
import type { RunRecord } from '../../../scenarios/record.ts';
import { playScenario } from '../../../scenarios/run.ts';
import type { PlayResult } from '../../../scenarios/run.ts';
import type { FaultKind, Scenario } from '../../../scenarios/scenario.ts';
import type { Testbed } from '../../../scenarios/testbed.ts';
import { ENGINE_PROFILE } from '../../../sim/campaign/scenario.main.ts';
import { createNodeHost } from '../../../sim/campaign/host.main.ts';
import { createKernel } from '../../../sim/kernel/kernel.ts';
import { createSimTestbed } from '../../../sim/testbed.ts';
import type { SimInjected } from '../../../sim/testbed.ts';
import { ok } from '../../../system/domain/outcome.ts';

/** Virtual time after its last phase in which a run must have ended. */
const OVERTIME_MICROS = 600_000_000;

export async function prepareWorld(): Promise<SimInjected> {
  const engine = new SynchronousEngine(openEngine(await ensureEngine()).createEngine(ENGINE_PROFILE));
  const examples = [...(await buildExamples())].map(
    ([name, { wasmPath, manifest }]) =>
      [name, { bytes: new Uint8Array(readFileSync(wasmPath)), capabilities: manifest.capabilities, ...manifest.limits }] as const,
  );
  return { engine, crypto: nodeCrypto, examples: new Map(examples), agentVersion: '0.0.0' };
}

/** `kind` null: every fault does what it does. */
export async function playWithout(
  injected: SimInjected,
  scenario: Scenario,
  kind: FaultKind | null,
  seed: string,
  onRecord: (record: RunRecord) => void = () => {},
): Promise<PlayResult> {
  const kernel = createKernel({ seed, host: createNodeHost() });
  const testbed = createSimTestbed(kernel, injected);
  if (kind !== null) disable(testbed, kind, (delayMicros, run) => void kernel.after(delayMicros, null, 'nothing ends', run));
  let result = null as PlayResult | null;
  const drive = async (): Promise<void> => {
    result = await playScenario(testbed, scenario, { onRecord, cancelled: () => false, stopWhenBroken: true });
  };
  kernel.after(0, null, 'driver', () => kernel.own('driver', drive()));
  const microsMax = scenario.durationMicros + scenario.quietMicros + OVERTIME_MICROS;
  const end = await kernel.play({ done: () => result !== null, microsMax });
  if (result === null) throw end.error ?? new Error(`the run ended: ${end.reason}`);
  return result;
}

function disable(testbed: Testbed, kind: FaultKind, after: (delayMicros: number, run: () => void) => void): void {
  const inject = testbed.inject.bind(testbed);
  testbed.inject = (id, fault) => {
    if (fault.kind !== kind) return inject(id, fault);
    const target = 'machine' in fault ? fault.machine : 'world';
    testbed.record('fault.begun', { fault: id, kind, target, detail: 'does nothing' });
    if (fault.forMicros !== null) after(fault.forMicros, () => testbed.record('fault.ended', { fault: id, kind, target }));
    return ok();
  };
}
