// Simulated time over processor time of whole platforms: 100, 1,000 and 10,000 real agents and their controller, heartbeat 5 s, guests
// modelled, goals judged and the record written: `node test/bench/scale.bench.ts [--json] [nodes…]`. All threads of this
// process count, so that on one core it is no slower. Each fleet is played in a thread of its own with the room that a campaign gives
// its threads, and with a second seed after the first, as such a thread does: by then its code is compiled. Goals for each of the two, whole:
// 100 times real time with 1,000 nodes, 5 with 10,000.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { loadScenario } from '../../scenarios/load.ts';
import type { Scenario } from '../../scenarios/scenario.ts';
import { fleetLibrary } from '../../sim/campaign/library.main.ts';
import { keepYoung, youngMibOf } from '../../sim/campaign/threads.ts';
import { startPlatform } from '../support/scale/platform.ts';

const CATALOGUE = join(import.meta.dirname, '..', '..', 'scenarios', 'catalogue');
const GOALS: Readonly<Record<number, number>> = { 1_000: 100, 10_000: 5 };
const SECOND_MICROS = 1_000_000;
/** What lives long: ten thousand nodes and their controller. */
const OLD_MIB = 8_192;
/** Nothing but heartbeats and events happens in between: all are enrolled, none has died. */
const STEADY_FROM_S = 25;
const STEADY_TO_S = 55;

/** What the thread of one fleet is told. */
type Setup = { readonly nodes: number; readonly folder: string };

type Row = {
  readonly nodes: number;
  /** Of its thread. */
  readonly run: 'first' | 'second';
  readonly simulatedSeconds: number;
  readonly processorSeconds: number;
  readonly ratio: number;
  readonly steadyRatio: number;
  readonly millionSteps: number;
  readonly peakMiB: number;
  readonly held: boolean | null;
};

/** The thousand nodes of the catalogue in other numbers. */
function scenarioOf(nodes: number): Scenario {
  const name = nodes >= 10_000 ? 'ten-thousand-nodes' : 'thousand-nodes';
  const full = nodes >= 10_000 ? 10_000 : 1_000;
  const text = readFileSync(join(CATALOGUE, `${name}.scenario.yaml`), 'utf8').replaceAll(
    /count: (\d+)/g,
    (_, count: string) => `count: ${Math.round((Number(count) * nodes) / full)}`,
  );
  const loaded = loadScenario({ file: `${name}.scenario.yaml`, text }, fleetLibrary);
  if (!loaded.ok) throw new Error(loaded.error.message);
  return loaded.value;
}

function processorSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

async function measure(nodes: number, which: Row['run'], folder: string): Promise<Row> {
  const run = startPlatform(scenarioOf(nodes), join(folder, `${nodes}.jsonl`), which === 'first' ? '0x1' : '0x2');
  const began = processorSeconds();
  await run.playUntil(STEADY_FROM_S * SECOND_MICROS);
  const steady = processorSeconds();
  await run.playUntil(STEADY_TO_S * SECOND_MICROS);
  const steadyRatio = (STEADY_TO_S - STEADY_FROM_S) / (processorSeconds() - steady);
  const result = await run.playUntil(Number.MAX_SAFE_INTEGER);
  const took = processorSeconds() - began;
  if (result?.verdict !== 'held') {
    const broken = result?.goals.find(({ held }) => !held);
    throw new Error(`${nodes} nodes: ${result?.verdict}: ${result?.trouble ?? broken?.because ?? ''}`);
  }
  const simulatedSeconds = result.simulatedMicros / SECOND_MICROS;
  const ratio = simulatedSeconds / took;
  const goal = GOALS[nodes];
  return {
    nodes,
    run: which,
    simulatedSeconds,
    processorSeconds: took,
    ratio,
    steadyRatio,
    millionSteps: run.steps() / 1e6,
    peakMiB: process.resourceUsage().maxRSS / 1_024,
    held: goal === undefined ? null : ratio >= goal,
  };
}

function measureInThread(nodes: number, folder: string): Promise<readonly Row[]> {
  const setup: Setup = { nodes, folder };
  const resourceLimits = { maxYoungGenerationSizeMb: youngMibOf(nodes), maxOldGenerationSizeMb: OLD_MIB };
  keepYoung();
  const thread = new Worker(new URL(import.meta.url), { workerData: setup, resourceLimits });
  return new Promise((resolve, reject) => thread.once('message', resolve).once('error', reject));
}

const short = (value: number): number => Number(value.toPrecision(3));

function tell(rows: readonly Row[]): void {
  if (process.argv.includes('--json')) {
    const results = rows.map(({ nodes, run, held, ...figures }) => ({
      nodes,
      run,
      ...Object.fromEntries(Object.entries(figures).map(([name, value]) => [name, short(value)])),
      held,
    }));
    process.stdout.write(`${JSON.stringify({ bench: 'scale', node: process.version, arch: process.arch, results })}\n`);
    return;
  }
  for (const { nodes, run, simulatedSeconds, processorSeconds: took, ratio, steadyRatio, millionSteps, peakMiB, held } of rows) {
    const verdict = held === null ? '' : `  ${held ? 'held' : 'NOT HELD'} (at least ×${GOALS[nodes]})`;
    process.stdout.write(
      `${String(nodes).padStart(6)} nodes, ${run.padEnd(6)} run  ${short(simulatedSeconds)} s simulated in ${short(took)} s  ×${short(ratio)}  (steady ×${short(steadyRatio)})  ${short(millionSteps)} million events, ${Math.round(peakMiB)} MiB${verdict}\n`,
    );
  }
}

async function measureAll(): Promise<void> {
  const sizes = process.argv
    .slice(2)
    .map(Number)
    .filter((nodes) => nodes > 0);
  const folder = mkdtempSync(join(tmpdir(), 'wasmmatrix-scale-'));
  const rows: Row[] = [];
  try {
    for (const nodes of sizes.length > 0 ? sizes : [100, 1_000, 10_000]) rows.push(...(await measureInThread(nodes, folder)));
  } finally {
    rmSync(folder, { recursive: true });
  }
  tell(rows);
  process.exitCode = rows.some(({ held }) => held === false) ? 1 : 0;
}

if (isMainThread) {
  await measureAll();
} else {
  const { nodes, folder } = workerData as Setup;
  const first = await measure(nodes, 'first', folder);
  parentPort?.postMessage([first, await measure(nodes, 'second', folder)] satisfies readonly Row[]);
}
