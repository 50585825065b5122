// Plays a kernel in the thread of the test, without a guard: for what concerns the kernel alone.
import { createNodeHost } from '../../../sim/campaign/host.main.ts';
import { createKernel } from '../../../sim/kernel/kernel.ts';
import type { Kernel, KernelEnd, Observer } from '../../../sim/kernel/kernel.ts';

export type PlayOptions = {
  readonly seed?: string;
  readonly observer?: Observer;
  readonly permute?: boolean;
  readonly done?: () => boolean;
  readonly microsMax?: number;
  readonly cancelled?: () => boolean;
  /** The wall stands still, so that the thread is given back for the number of its events alone. */
  readonly still?: true;
  /** As in a process that offers no way to run the microtasks at once. */
  readonly inTurns?: true;
};

export async function playKernel(
  prepare: (kernel: Kernel) => void,
  options: PlayOptions = {},
): Promise<{ kernel: Kernel; end: KernelEnd }> {
  const real = createNodeHost(options.cancelled === undefined ? {} : { cancelled: options.cancelled });
  const host = {
    ...real,
    ...(options.still === true ? { wallMs: () => 0 } : {}),
    ...(options.inTurns === true ? { drains: () => false } : {}),
  };
  const kernel = createKernel({ seed: options.seed ?? '0x1', host, observer: options.observer ?? null, permute: options.permute === true });
  prepare(kernel);
  const end = await kernel.play({ done: options.done ?? (() => false), microsMax: options.microsMax ?? 1_000_000_000 });
  // A claim of a test that failed inside an event ended the run there.
  if (end.error instanceof Error && end.error.name === 'AssertionError') throw end.error;
  return { kernel, end };
}
