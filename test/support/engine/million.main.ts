// A million instances in a process of their own: prints by how many bytes the resident set grew, rubbish collected before
// each look. Run with --expose-gc. Other tests in the same process would be measured too, so it has none.
import { loadEngine } from '../../../hardware/wasm/native/native.ts';
import { CLOCKS, leg, OPTIONS, PROFILE } from '../../integration/engine/fixture.ts';

const INSTANCES = 1_000_000;
const STARTED = 200_000;
const WARM_UP = 100_000;

const addon = await loadEngine();
const engine = addon.createEngine(PROFILE);
const text = `(module (memory (export "memory") 1) (data (i32.const 0) "data")
  (func (export "_start") (i32.store (i32.const 512) (i32.const 1))))`;
const module = engine.load(engine.compile(addon.parseText(text)));

function play(count: number): void {
  for (let index = 0; index < count; index++) {
    const { step } = module.run(OPTIONS, CLOCKS);
    if (step.kind !== 'returned') throw new Error(`ended as ${step.kind}`);
  }
}

function start(count: number): void {
  for (let index = 0; index < count; index++) {
    const guest = module.start(OPTIONS);
    if (guest.resumeInline(leg()).kind !== 'returned') throw new Error('did not return');
    guest.close();
  }
}

function residentBytes(): number {
  if (globalThis.gc === undefined) throw new Error('start me with --expose-gc');
  globalThis.gc();
  globalThis.gc();
  return process.memoryUsage.rss();
}

play(WARM_UP);
start(WARM_UP);
const before = residentBytes();
play(INSTANCES - STARTED);
start(STARTED);
const grownBytes = residentBytes() - before;
process.stdout.write(JSON.stringify({ grownBytes, slotsInUse: engine.stats().slotsInUse }));
process.exit(0);
