// The kernel's host on Node.js. The real functions are taken when this module is loaded, which is before the guard wraps
// them: nothing else in the thread keeps them.
import type { KernelHost } from '../kernel/kernel.ts';

const { nextTick } = process;
const takeTurn = setImmediate;
const wallNow = performance.now.bind(performance);
const settled = Promise.resolve();
/** What Node.js itself calls between two timers of one turn: it runs the microtasks. No documentation promises it: `drains` looks at what it does. */
const runTicks: unknown = Reflect.get(process, '_tickCallback');
const runMicrotasks = typeof runTicks === 'function' ? (runTicks as () => void) : null;

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
    drains() {
      if (runMicrotasks === null) return false;
      let isDrained = false;
      void settled.then(() => {
        isDrained = true;
      });
      // From inside a microtask it does nothing.
      runMicrotasks();
      return isDrained;
    },
    drain: runMicrotasks ?? (() => {}),
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
