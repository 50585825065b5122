// Started by threads.test.ts: an engine in a worker thread that either finishes, or holds legs and guests until it is ended.
import { parentPort, workerData } from 'node:worker_threads';
import { openEngine } from '../../../hardware/wasm/native/native.ts';
import { OPTIONS, PROFILE, finish, finishAway, leg, loadText, workText } from './fixture.ts';

const { path, mode } = workerData as { readonly path: string; readonly mode: 'finish' | 'hold' };
const addon = openEngine(path);
const engine = addon.createEngine(PROFILE);
const module = loadText(addon, engine, workText(mode === 'hold' ? 50_000_000 : 10_000));
const options = { ...OPTIONS, fuelMax: 1e10, fuelSlice: mode === 'hold' ? 10_000_000 : null };

if (mode === 'finish') {
  const inline = finish(module.start(options));
  const away = await finishAway(module.start(options));
  parentPort?.postMessage({ inline, away });
} else {
  for (let index = 0; index < 6; index++) void module.start(options).resume(leg());
  module.start(options).resumeInline(leg());
  parentPort?.postMessage('holding');
  await new Promise(() => {});
}
