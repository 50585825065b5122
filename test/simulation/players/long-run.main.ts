// A process of its own that plays a long run of a small fleet with the whole platform, and prints what the heap holds as it goes:
// `node --expose-gc long-run.main.ts [minutes] [nodes]`.
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { loadScenario } from '../../../scenarios/load.ts';
import type { PlayResult } from '../../../scenarios/run.ts';
import { fleetLibrary } from '../../../sim/campaign/library.main.ts';
import { startPlatform } from '../../support/scale/platform.ts';

const [, , minutesGiven = '40', nodesGiven = '20'] = process.argv;
const MINUTES = Number(minutesGiven);
const LOOK_MINUTES = 1;
const MINUTE_MICROS = 60_000_000;

const TEXT = `
question: Does it stay as large as it is?
requirements: [R13.5]
duration: ${MINUTES}m
quiet: 20s
platform: { heartbeat: 5s, suspect: 12s, lease: 15s, unavailable: 20s }
fleet:
  use: wide
  nodes:
    - { node: north, count: ${nodesGiven}, zone: edge/north, architecture: aarch64 }
steps:
  - at: 3s
    push: telemetry
    example: counter
    model: { fuel: { exponential: { mean: 400000 } }, calls: [{ read: counter/last }, { write: counter/last, bytes: 64B }] }
  - { at: 5s, deploy: telemetry, origin: edge/north, replicas: 6, spread: node }
  - { at: 6s, trigger: telemetry, on: vehicle.telemetry, result: answers.telemetry }
workload:
  - { name: readings, subject: vehicle.telemetry, from: fleet/trucks, start: 8s, every: 100ms, shape: poisson }
observe: ["answers.>"]
observeState: [counter/last]
goals:
  - answered: { subject: vehicle.telemetry, within: 15s }
`;

function heapBytes(): number {
  (globalThis as unknown as { gc: () => void }).gc();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

const loaded = loadScenario({ file: 'long-run.scenario.yaml', text: TEXT }, fleetLibrary);
if (!loaded.ok) throw new Error(loaded.error.message);
const folder = mkdtempSync(join(tmpdir(), 'wasmmatrix-long-run-'));
const file = join(folder, 'run.jsonl');
const run = startPlatform(loaded.value, file);
const looks: { readonly minutes: number; readonly heapBytes: number }[] = [];
let result: PlayResult | null = null;
for (let minutes = LOOK_MINUTES; result === null; minutes += LOOK_MINUTES) {
  result = await run.playUntil(minutes * MINUTE_MICROS);
  if (result === null) looks.push({ minutes, heapBytes: heapBytes() });
}
const { verdict, goals, records } = result;
const broken = goals.filter(({ held }) => !held).map(({ name, because }) => `${name}: ${because}`);
process.stdout.write(`${JSON.stringify({ verdict, broken, steps: run.steps(), records, recordBytes: statSync(file).size, looks })}\n`);
rmSync(folder, { recursive: true });
