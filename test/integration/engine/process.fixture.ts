// Started by threads.test.ts as a process: `node process.fixture.ts <library> close|leave|idle`.
import { openEngine } from '../../../hardware/wasm/native/native.ts';
import { OPTIONS, PROFILE, leg, loadText, workText } from './fixture.ts';

const [, , path = '', mode] = process.argv;
const addon = openEngine(path);
const engine = addon.createEngine(PROFILE, { threads: 2 });
const module = loadText(addon, engine, workText(20_000_000));
const guests = Array.from({ length: 8 }, () => module.start({ ...OPTIONS, fuelMax: 1e10, fuelSlice: 1_000_000 }));

if (mode === 'idle') {
  for (const guest of guests) await guest.resume(leg());
} else {
  const legs = guests.map((guest) => guest.resume(leg()).catch(() => null));
  if (mode === 'leave') process.exit(7);
  engine.close();
  await Promise.all(legs);
}
