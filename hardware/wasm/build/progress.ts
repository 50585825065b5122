// Build progress for people: one line that is rewritten on a terminal, a line every fifteen seconds elsewhere.

export type BuildProgress = {
  /** `waiting`: another process builds the same library. `preparing`: a compiler is made first, and `crate` says what of it. */
  readonly phase: 'preparing' | 'building' | 'waiting' | 'built';
  /** Triple that is built for, where it is not this machine's. */
  readonly target?: string;
  readonly cratesDone: number;
  readonly cratesTotal: number;
  /** Crate that is compiled now, as well as cargo says. */
  readonly crate: string;
  readonly elapsedMs: number;
  /** Estimate; null as long as there is nothing to estimate from. */
  readonly remainingMs: number | null;
};

const LINE_EVERY_MS = 15_000;
/** Who asked for quiet is told after this long that another is waited for, and then each time as long again. */
const QUIET_WAIT_MS = 60_000;

/** What is written to; `process.stderr` is one. */
export interface ProgressStream {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

/** `3 min 20 s`, `45 s`. */
export function describeDuration(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1_000));
  if (seconds < 60) return `${seconds} s`;
  const rest = seconds % 60;
  return rest === 0 ? `${Math.floor(seconds / 60)} min` : `${Math.floor(seconds / 60)} min ${rest} s`;
}

export function describeProgress(progress: BuildProgress): string {
  if (progress.phase === 'waiting') {
    return `Waiting for ${progress.crate}, which builds the engine (${describeDuration(progress.elapsedMs)})`;
  }
  if (progress.phase === 'preparing') return `This machine has no Rust that serves: ${progress.crate}`;
  if (progress.phase === 'built') return `Engine built in ${describeDuration(progress.elapsedMs)}`;
  const rough = progress.remainingMs === null ? null : Math.ceil(progress.remainingMs / 10_000) * 10_000;
  const remaining = rough === null ? '' : `, about ${describeDuration(rough)} left`;
  const crates = progress.cratesTotal === 0 ? 'starting' : `crate ${progress.cratesDone} of ${progress.cratesTotal}`;
  const crate = progress.crate === '' ? '' : ` (${progress.crate})`;
  const target = progress.target === undefined ? '' : ` for ${progress.target}`;
  return `Building the engine${target}, once: ${crates}${crate}, ${describeDuration(progress.elapsedMs)}${remaining}`;
}

/** Gives the `onProgress` that writes to a stream. */
export function createProgressPrinter(stream: ProgressStream): (progress: BuildProgress) => void {
  let lastMs = Number.NEGATIVE_INFINITY;
  let lastPhase = '';
  return (progress) => {
    const line = describeProgress(progress);
    if (stream.isTTY === true) {
      const width = Math.max(20, (stream.columns ?? 80) - 1);
      stream.write(`\r\u001B[2K${line.slice(0, width)}${progress.phase === 'built' ? '\n' : ''}`);
      return;
    }
    const due = progress.elapsedMs - lastMs >= LINE_EVERY_MS;
    if (!due && progress.phase === lastPhase) return;
    lastMs = progress.elapsedMs;
    lastPhase = progress.phase;
    stream.write(`${line}\n`);
  };
}

/** Gives the `onProgress` of who wants none: it tells only of another process that is waited for, and only when that takes long. */
export function createWaitPrinter(stream: ProgressStream): (progress: BuildProgress) => void {
  let dueMs = QUIET_WAIT_MS;
  return (progress) => {
    if (progress.phase !== 'waiting' || progress.elapsedMs < dueMs) return;
    dueMs = progress.elapsedMs + QUIET_WAIT_MS;
    stream.write(`${describeProgress(progress)}\n`);
  };
}
