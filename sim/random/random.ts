// Chance behind the `Random` port: the kernel's named streams, under the machine's name. A stream belongs to the machine,
// not to an incarnation: after a reboot it goes on, so that two boots never draw the same. `null` is the driver of the run.
import type { Random, RandomStream } from '../../system/ports/random.ts';
import type { Kernel, Machine } from '../kernel/kernel.ts';

export function createRandom(kernel: Kernel, machine: Machine | null): Random {
  const prefix = machine === null ? 'driver/' : `machine/${machine.name}/`;
  return { stream: (name: string): RandomStream => kernel.stream(prefix + name) };
}
