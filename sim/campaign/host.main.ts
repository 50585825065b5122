// The kernel's host on Node.js. The real functions are taken when this module is loaded, which is before the guard wraps
// them: nothing else in the thread keeps them.
import type { KernelHost } from '../kernel/kernel.ts';

const { nextTick } = process;
const takeTurn = setImmediate;
const wallNow = performance.now.bind(performance);
const settled = Promise.resolve();

export type HostOptions = {
  /** See `KernelHost.enter` and `leave`; nothing is guarded when absent. */
  readonly enter?: (fail: (error: unknown) => void) => void;
  readonly leave?: () => void;
  readonly cancelled?: () => boolean;
};

export function createNodeHost(options: HostOptions = {}): KernelHost {
  let next: () => void = () => {};
  const queueNext = (): void => nextTick(next);
  return {
    afterMicrotasks(callback) {
      next = callback;
      // Callbacks of nextTick that are queued inside a nextTick callback run before the microtasks. Queued from inside a
      // microtask, the callback waits until every microtask has run, those that were queued meanwhile included.
      void settled.then(queueNext);
    },
    giveBack(callback) {
      takeTurn(callback);
    },
    wallMs: wallNow,
    enter: options.enter ?? (() => {}),
    leave: options.leave ?? (() => {}),
    cancelled: options.cancelled ?? (() => false),
  };
}
