// The log of one process: JSON lines by pino, or lines for a person at a terminal. Written beside the event loop; a reader that
// is too slow costs lines, never time, and the log says how many.
import { openSync, closeSync } from 'node:fs';
import { destination, pino, stdTimeFunctions } from 'pino';
import type { Logger } from 'pino';
import { failed, ok } from '../../system/domain/outcome.ts';
import type { Outcome } from '../../system/domain/outcome.ts';
import type { LogLevel } from '../../system/domain/telemetry.ts';
import type { Sink, TelemetryRecord } from './record.ts';
import { levelOf, wordsOf } from './words.ts';

/** Bound: bytes of lines that wait for their reader; further lines are dropped. */
export const LOG_BYTES_PENDING_MAX = 4 * 1024 * 1024;
/** Bound: how long the last lines have to leave when the process ends. */
export const LOG_CLOSE_MS_MAX = 2_000;
const STDERR = 2;
const LEVELS: readonly LogLevel[] = ['debug', 'info', 'warn', 'error'];

export type LogFormat = 'json' | 'text';

export type LogOptions = {
  /** Least level that is written. */
  readonly level: LogLevel;
  readonly format: LogFormat;
  /** A file that is appended to; null: standard error. */
  readonly path: string | null;
  readonly bytesPendingMax?: number;
  readonly onDropped?: () => void;
};

type Destination = ReturnType<typeof destination>;

export class Log implements Sink {
  readonly name = 'log';
  readonly #least: number;
  readonly #format: LogFormat;
  readonly #destination: Destination;
  readonly #logger: Logger;
  /** Lines that were dropped since the last line that was not. */
  #dropped = 0;

  private constructor({ level, format, bytesPendingMax = LOG_BYTES_PENDING_MAX, onDropped }: LogOptions, file: string | number) {
    this.#least = LEVELS.indexOf(level);
    this.#format = format;
    this.#destination = destination({ dest: file, sync: false, maxLength: bytesPendingMax });
    this.#destination.on('drop', () => {
      this.#dropped += 1;
      onDropped?.();
    });
    // A full disk or a vanished reader: the lines wait, and are dropped when too many do.
    this.#destination.on('error', () => {});
    this.#logger = pino(
      {
        level: 'debug',
        base: null,
        messageKey: 'message',
        timestamp: stdTimeFunctions.isoTime,
        formatters: { level: (label) => ({ level: label }) },
      },
      this.#destination,
    );
  }

  static open(options: LogOptions): Outcome<Log> {
    const { path } = options;
    if (path === null) return ok(new Log(options, STDERR));
    try {
      // Only to learn now what would otherwise be learned later, and by nobody.
      closeSync(openSync(path, 'a', 0o600));
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
      return failed('WM_STORAGE_FAILED', {
        message: `The log file ${path} cannot be opened: ${code}.`,
        next: 'Name a file in a folder that exists and that this process may write to, or log to standard error.',
        detail: { path },
      });
    }
    return ok(new Log(options, path));
  }

  take(record: TelemetryRecord): void {
    const level = levelOf(record);
    if (LEVELS.indexOf(level) < this.#least) return;
    const missing = this.#dropped;
    this.#write(level, record, wordsOf(record));
    if (missing === 0 || this.#dropped > missing) return;
    this.#dropped = 0;
    const { source, incarnation, sequence, micros } = record;
    const message = `${missing} lines before this one were dropped: whoever reads the log is too slow.`;
    this.#write(
      'warn',
      { source, incarnation, sequence, micros, kind: 'log', correlation: null, fields: { level: 'warn', message } },
      message,
    );
  }

  /** The last lines leave, within `LOG_CLOSE_MS_MAX`. */
  async close(): Promise<void> {
    const { promise: ended, resolve } = Promise.withResolvers<void>();
    const late = setTimeout(resolve, LOG_CLOSE_MS_MAX);
    this.#destination.once('close', resolve);
    this.#destination.once('error', () => resolve());
    this.#destination.end();
    await ended;
    clearTimeout(late);
    this.#destination.destroy();
  }

  #write(level: LogLevel, { source, kind, correlation, fields }: TelemetryRecord, message: string): void {
    if (this.#format === 'json') {
      this.#logger[level](
        { source, kind, ...(correlation === null ? {} : { correlation }), ...(kind === 'log' ? {} : { fields }) },
        message,
      );
      return;
    }
    const time = new Date().toISOString().slice(11, 23);
    const what = kind === 'log' ? '' : `${kind}: `;
    this.#destination.write(
      `${time} ${level.toUpperCase().padEnd(5)} ${source} ${what}${oneLine(message)}${correlation === null ? '' : ` (${correlation})`}\n`,
    );
  }
}

/** What a guest or a stranger said cannot begin a line of its own, nor steer the terminal. */
function oneLine(text: string): string {
  // eslint-disable-next-line no-control-regex
  return text.replace(/[\u0000-\u001f\u007f-\u009f]/g, (character) => JSON.stringify(character).slice(1, -1).replace('\u007f', '\\u007f'));
}
