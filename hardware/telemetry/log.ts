// The log of one process: JSON lines by pino, or lines for a person at a terminal. A reader that is too slow costs lines, never
// time, and the log says how many.
import { pino, stdTimeFunctions } from 'pino';
import type { Logger } from 'pino';
import { ok } from '../../system/domain/outcome.ts';
import type { Outcome } from '../../system/domain/outcome.ts';
import type { LogLevel } from '../../system/domain/telemetry.ts';
import { openOutlet } from './outlet.ts';
import type { Outlet, OutletOptions } from './outlet.ts';
import type { Sink, TelemetryRecord } from './record.ts';
import { levelOf, wordsOf } from './words.ts';

const LEVELS: readonly LogLevel[] = ['debug', 'info', 'warn', 'error'];

export type LogOptions = OutletOptions & {
  /** Least level that is written. */
  readonly level: LogLevel;
  /** auto: text when standard error is a terminal, otherwise JSON. */
  readonly format: 'auto' | 'json' | 'text';
};

export class Log implements Sink {
  readonly name = 'log';
  readonly #least: number;
  readonly #isText: boolean;
  readonly #outlet: Outlet;
  readonly #logger: Logger;
  readonly #droppedSoFar: () => number;
  /** Lines of which the log has said that they were dropped. */
  #droppedSaid = 0;

  private constructor({ level, format }: LogOptions, outlet: Outlet, droppedSoFar: () => number) {
    this.#least = LEVELS.indexOf(level);
    this.#isText = format === 'text' || (format === 'auto' && outlet.isTerminal);
    this.#outlet = outlet;
    this.#droppedSoFar = droppedSoFar;
    const formatters = { level: (label: string) => ({ level: label }) };
    this.#logger = pino({ level: 'debug', base: null, messageKey: 'message', timestamp: stdTimeFunctions.isoTime, formatters }, outlet);
  }

  static open(options: LogOptions): Outcome<Log> {
    let dropped = 0;
    const onDropped = (): void => {
      dropped += 1;
      options.onDropped();
    };
    const outlet = openOutlet({ ...options, onDropped });
    return outlet.ok ? ok(new Log(options, outlet.value, () => dropped)) : outlet;
  }

  take(record: TelemetryRecord): void {
    const level = levelOf(record);
    if (LEVELS.indexOf(level) < this.#least) return;
    const dropped = this.#droppedSoFar();
    this.#write(level, record, wordsOf(record));
    const missing = dropped - this.#droppedSaid;
    if (missing === 0 || this.#droppedSoFar() > dropped) return;
    this.#droppedSaid = dropped;
    const { source, incarnation, sequence, micros } = record;
    const message = `${missing} lines before this one were dropped: whoever reads the log is too slow.`;
    this.#write(
      'warn',
      { source, incarnation, sequence, micros, kind: 'log', correlation: null, fields: { level: 'warn', message } },
      message,
    );
  }

  close(): Promise<void> {
    return this.#outlet.close();
  }

  #write(level: LogLevel, { source, kind, correlation, fields }: TelemetryRecord, message: string): void {
    if (!this.#isText) {
      this.#logger[level](
        { source, kind, ...(correlation === null ? {} : { correlation }), ...(kind === 'log' ? {} : { fields }) },
        message,
      );
      return;
    }
    const time = new Date().toISOString().slice(11, 23);
    const what = kind === 'log' ? '' : `${kind}: `;
    const which = correlation === null ? '' : ` (${correlation})`;
    this.#outlet.write(`${time} ${level.toUpperCase().padEnd(5)} ${source} ${what}${oneLine(`${message}${which}`)}\n`);
  }
}

/** What a guest or a stranger said cannot begin a line of its own, nor steer the terminal. */
function oneLine(text: string): string {
  // oxlint-disable-next-line no-control-regex
  return text.replace(/[\u0000-\u001f\u007f-\u009f]/g, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
