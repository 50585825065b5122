// What a simulated machine says about itself, as records of the run. Each source numbers its records anew with each boot. A
// record enters the kernel's digest, so that two plays that agree in the digest agree in what the product said.
import type { RunRecord } from '../../scenarios/record.ts';
import type { RecordKind, RecordKinds } from '../../system/domain/telemetry.ts';
import type { Telemetry } from '../../system/ports/telemetry.ts';
import type { Kernel } from '../kernel/kernel.ts';

export class RecordSink {
  readonly #kernel: Kernel;
  #listener: ((record: RunRecord) => void) | null = null;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
  }

  onRecord(listener: (record: RunRecord) => void): void {
    this.#listener = listener;
  }

  /** The telemetry of one incarnation of a source; `lives` false silences it. */
  portOf(source: string, incarnation: number, lives: () => boolean): Telemetry {
    let sequence = 0;
    const record: Telemetry['record'] = (kind, fields, correlation = null) => {
      if (lives()) this.#write(source, incarnation, ++sequence, kind, fields, correlation);
    };
    return { record, log: (level, message, correlation) => record('log', { level, message }, correlation) };
  }

  #write<K extends RecordKind>(
    source: string,
    incarnation: number,
    sequence: number,
    kind: K,
    fields: Readonly<RecordKinds[K]>,
    correlation: string | null,
  ): void {
    const copy = { ...fields };
    this.#kernel.note(source, `${kind} ${correlation ?? ''} ${JSON.stringify(copy)}`);
    this.#listener?.({
      source,
      incarnation,
      sequence,
      micros: this.#kernel.now(),
      kind,
      correlation,
      fields: copy,
    } as unknown as RunRecord);
  }
}
