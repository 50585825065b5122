// The wall of this machine, for a simulator that is held to it.
import { machineMicros } from '../local/local.ts';

const MICROS_PER_MS = 1_000;
/** Bound: longest single wait; whoever was woken too early rests again. */
const WAIT_MS_MAX = 60_000;

export const systemWall = {
  micros: machineMicros,
  after(delayMicros: number, wake: () => void): () => void {
    if (delayMicros <= 0) {
      const turn = setImmediate(wake);
      return () => clearImmediate(turn);
    }
    const timer = setTimeout(wake, Math.min(WAIT_MS_MAX, Math.ceil(delayMicros / MICROS_PER_MS)));
    return () => clearTimeout(timer);
  },
};
