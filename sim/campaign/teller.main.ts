// What `run` says while it plays: progress on one line of a terminal, a line for each scenario as soon as its last seed is done,
// text that is folded to the width of the terminal, and what an interrupt is. A composition root.
import process from 'node:process';
import { stripVTControlCharacters, styleText } from 'node:util';
import { scenarioLines, type Paint } from '../../reports/reporters/terminal.ts';
import { groupByScenario } from '../../reports/summarise.ts';
import type { RunSummary } from '../../scenarios/record.ts';
import type { CampaignProgress, PlayJob } from './campaign.ts';

export const EXIT_REJECTED = 2;
export const EXIT_INTERRUPTED = 130;
export const INTERRUPTS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
/** npx passes Ctrl-C on to a command that the terminal has told already: what follows at once is the same wish. */
const INTERRUPT_AGAIN_MS = 500;
const PROGRESS_MS = 200;
const COLUMNS_LEAST = 40;
const COLUMNS = 80;
/** Room beside the progress line for the `^C` that a terminal shows; wrapped, the line could not be cleared. */
const CARET_C = 3;
const MICROS_PER_S = 1_000_000;

export type TellerOptions = { readonly quiet?: true; readonly json?: true; readonly digests?: true };

export type Teller = {
  readonly progress: (progress: CampaignProgress, jobs: readonly PlayJob[]) => void;
  /** Of one run in a world of real time: how far it is, and how far it goes. */
  readonly play: (what: string, micros: number, microsTotal: number) => void;
  readonly result: (summary: RunSummary) => void;
  readonly say: (text: string) => void;
  readonly clear: () => void;
};

/** Progress on stderr, a line for each scenario on stdout as soon as its last seed is done. */
export function createTeller(names: readonly string[], seeds: number, worlds: number, options: TellerOptions): Teller {
  const width = Math.max(...names.map((name) => name.length));
  const total = names.length * seeds * worlds;
  const finished: RunSummary[] = [];
  const { clear, draw } = createProgressLine(options.quiet === true);
  draw(() => `0 of ${total} runs, starting`);
  return {
    clear,
    say(text) {
      clear();
      process.stderr.write(`${text}\n`);
    },
    progress(progress, jobs) {
      draw(() => {
        const rate = progress.wallMs > 0 ? progress.simulatedMicros / 1_000 / progress.wallMs : 0;
        const leftMs = progress.runsDone > 0 ? (progress.wallMs / progress.runsDone) * (progress.runsTotal - progress.runsDone) : null;
        const now = progress.active
          .map(({ index, micros }) => `${jobs[index]?.scenario.name} ${Math.round(micros / 1_000_000)} s`)
          .join(', ');
        return `${progress.runsDone} of ${progress.runsTotal} runs${workersOf(progress)}, ×${Math.round(rate)}${leftMs === null ? '' : `, about ${Math.ceil(leftMs / 1_000)} s left`}  ${now}`;
      });
    },
    play(what, micros, microsTotal) {
      draw(() => {
        const far =
          micros === 0
            ? 'its machines are starting'
            : `${Math.round(micros / MICROS_PER_S)} of about ${Math.round(microsTotal / MICROS_PER_S)} s`;
        return `${finished.length} of ${total} runs  ${what}: ${far}`;
      });
    },
    result(summary) {
      finished.push(summary);
      if (options.json === true) return;
      clear();
      if (options.digests === true) say(`  ${summary.digest ?? '-'.repeat(16)}  ${summary.scenario} ${summary.seed}`);
      const mine = finished.filter((other) => other.scenario === summary.scenario && other.world === summary.world);
      if (mine.length < seeds) return;
      if (mine.every((run) => run.verdict === 'cancelled')) return;
      for (const group of groupByScenario(mine)) for (const line of scenarioLines(group, width, paint())) say(line);
    },
  };
}

/** Empty where this machine plays itself. */
export function workersOf({ workers }: CampaignProgress): string {
  return workers === undefined ? '' : ` on ${workers} ${workers === 1 ? 'worker' : 'workers'}`;
}

export type ProgressLine = {
  /** The line is made only when it is time for one. */
  readonly draw: (line: () => string) => void;
  readonly clear: () => void;
};

/** One line of stderr that is drawn over and over: on a terminal that is one, a few times a second. */
export function createProgressLine(silent: boolean): ProgressLine {
  const live = process.stderr.isTTY && process.env['TERM'] !== 'dumb' && !silent;
  let shown = false;
  let lastMs = -Infinity;
  return {
    draw(line) {
      if (!live || performance.now() - lastMs < PROGRESS_MS) return;
      lastMs = performance.now();
      process.stderr.write(`\r\u001B[2K${line().slice(0, columnsOf(process.stderr) - CARET_C)}`);
      shown = true;
    },
    clear() {
      if (shown) process.stderr.write('\r\u001B[2K');
      shown = false;
    },
  };
}

/** Calls `tell` at an interrupt, and with `again` at a later one. Returns how to stop listening. */
export function onInterrupt(tell: (again: boolean) => void): () => void {
  let firstMs: number | null = null;
  const interrupt = (): void => {
    if (firstMs !== null && performance.now() - firstMs <= INTERRUPT_AGAIN_MS) return;
    const again = firstMs !== null;
    firstMs ??= performance.now();
    tell(again);
  };
  for (const signal of INTERRUPTS) process.on(signal, interrupt);
  return () => {
    for (const signal of INTERRUPTS) process.off(signal, interrupt);
  };
}

export function paint(): Paint {
  const coloured = process.stdout.isTTY && (process.env['NO_COLOR'] ?? '') === '' && process.env['TERM'] !== 'dumb';
  return (style, text) => (coloured ? styleText(style, text) : text);
}

export function refuse(lines: readonly string[]): number {
  // What to do next stands on a line of its own when the message is a list.
  for (const line of lines) process.stderr.write(`${line.replaceAll(/\n (?=\S)/g, '\n')}\n`);
  return EXIT_REJECTED;
}

export function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** Prints for people: on a terminal, what is wider than it goes on below the place where the text began. Commands are for copying. */
export function say(line: string): void {
  print(process.stdout.isTTY && !line.startsWith('  reproduce:') ? fold(line, columnsOf(process.stdout)) : line);
}

/** Some terminals do not know their width, and say 0. */
function columnsOf(stream: { readonly columns?: number }): number {
  return Math.max(COLUMNS_LEAST, stream.columns || COLUMNS);
}

function fold(line: string, columns: number): string {
  const plain = stripVTControlCharacters(line);
  if (plain.length <= columns) return line;
  // Columns of a line are two spaces apart; the last one that begins in its left half is the text.
  const gap = plain.slice(0, columns / 2).lastIndexOf('  ');
  const indent = gap === -1 ? 0 : gap + 2;
  let width = 0;
  let folded = '';
  for (const [i, word] of line.split(' ').entries()) {
    const length = stripVTControlCharacters(word).length;
    const breaks = width > indent && width + 1 + length > columns;
    folded += breaks ? `\n${' '.repeat(indent)}${word}` : `${i === 0 ? '' : ' '}${word}`;
    width = breaks ? indent + length : width + (i === 0 ? 0 : 1) + length;
  }
  return folded;
}
