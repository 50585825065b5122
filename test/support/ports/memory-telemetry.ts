// Records kept for the test to read, and chance that repeats itself.
import type { RecordKind, RecordKinds } from '../../../system/domain/telemetry.ts';
import type { Random, RandomStream } from '../../../system/ports/random.ts';
import type { Telemetry } from '../../../system/ports/telemetry.ts';

export class MemoryTelemetry implements Telemetry {
  readonly records: { readonly kind: RecordKind; readonly fields: Readonly<Record<string, unknown>> }[] = [];

  record<K extends RecordKind>(kind: K, fields: Readonly<RecordKinds[K]>): void {
    this.records.push({ kind, fields: { ...fields } });
  }

  log(): void {}

  of<K extends RecordKind>(kind: K): readonly RecordKinds[K][] {
    return this.records.filter((record) => record.kind === kind).map((record) => record.fields as RecordKinds[K]);
  }
}

/** A linear congruential generator; every stream is the same one. */
export function memoryRandom(seed = 1): Random {
  let state = seed >>> 0;
  const uint32 = (): number => (state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0);
  const stream: RandomStream = {
    uint32,
    below: (bound) => Math.floor((uint32() / 4_294_967_296) * bound),
    chance: (numerator, denominator) => Math.floor((uint32() / 4_294_967_296) * denominator) < numerator,
    bytes: (length) => Uint8Array.from({ length }, () => uint32() >>> 24),
  };
  return { stream: () => stream };
}
