// Tells an invocation that nothing of it may take effect any more, and why. Whoever waits on its behalf is woken.
import type { WmError } from '../../system/domain/outcome.ts';

export class Cancellation {
  #cause: WmError | null = null;
  #wake: (() => void) | null = null;

  get cause(): WmError | null {
    return this.#cause;
  }

  /** The first cause stays. */
  cancel(cause: WmError): void {
    if (this.#cause !== null) return;
    this.#cause = cause;
    this.#wake?.();
  }

  /** At most one at a time; null: nobody waits any more. */
  onCancel(wake: (() => void) | null): void {
    this.#wake = wake;
  }
}
