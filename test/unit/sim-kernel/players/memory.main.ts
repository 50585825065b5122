// A process of its own that plays one long run with everything that leaves something behind (cancelled deadlines, crashes
// with a future still planned, pauses, notes that never repeat, work) and prints the heap as it goes. Run with --expose-gc.
import { createNodeHost } from '../../../../sim/campaign/host.main.ts';
import { createClock } from '../../../../sim/clock/clock.ts';
import { createKernel } from '../../../../sim/kernel/kernel.ts';
import type { Machine } from '../../../../sim/kernel/kernel.ts';

const STEPS_PER_LOOK = 400_000;
const LOOKS = 6;
const HOUR_MICROS = 3_600_000_000;

const kernel = createKernel({ seed: '0x1', host: createNodeHost() });
const stream = kernel.stream('load');
const machines = Array.from({ length: 20 }, (_, index) => kernel.machine(`m${index}`));

function live(machine: Machine): void {
  const clock = createClock(kernel, machine);
  let count = 0;
  // A call: a deadline far away that is cancelled when the answer comes.
  const call = (): void => {
    const ballast = Array.from({ length: 50 }, () => count++);
    const deadline = clock.after(HOUR_MICROS, () => ballast.push(0));
    clock.after(1 + stream.below(1_000), () => {
      deadline.cancel();
      kernel.note(machine.name, `answer ${count} at ${kernel.now()}`);
      machine.execute(1, 'work', call);
    });
  };
  call();
  // A future that dies with the machine, and a promise that never settles.
  for (let plan = 0; plan < 100; plan++) clock.after(HOUR_MICROS, () => call());
  kernel.own('a handler', clock.sleep(HOUR_MICROS));
}

for (const [index, machine] of machines.entries()) {
  machine.boot();
  live(machine);
  const trouble = (): void => {
    if (index % 2 === 0) {
      machine.crash();
      kernel.after(1, null, 'boot', () => {
        machine.boot();
        live(machine);
      });
    } else {
      machine.pause();
      kernel.after(300, null, 'resume', () => machine.resume());
    }
    kernel.after(5_000 + index, null, 'trouble', trouble);
  };
  kernel.after(5_000 + index, null, 'trouble', trouble);
}

const heaps: number[] = [];
for (let look = 1; look <= LOOKS; look++) {
  const end = await kernel.play({ done: () => kernel.steps >= look * STEPS_PER_LOOK, microsMax: Number.MAX_SAFE_INTEGER });
  if (end.error !== null) throw end.error;
  (globalThis as unknown as { gc: () => void }).gc();
  heaps.push(process.memoryUsage().heapUsed + process.memoryUsage().arrayBuffers);
}
process.stdout.write(`${JSON.stringify({ steps: kernel.steps, heaps })}\n`);
