// How often a process was started on its store: tells its incarnations apart in records, across kill -9.
import { ok, type Outcome } from '../../system/domain/outcome.ts';
import type { Storage } from '../../system/ports/storage.ts';

/** Counts this start, durably, and gives its number, from 1. */
export async function countStart(storage: Pick<Storage, 'keyValue'>): Promise<Outcome<number>> {
  const store = storage.keyValue('process');
  const before = await store.get('starts');
  if (!before.ok) return before;
  const text = before.value === null ? '0' : new TextDecoder().decode(before.value.value);
  const starts = Number.parseInt(text, 10) + 1;
  const put = await store.put('starts', new TextEncoder().encode(String(starts)), { expectedVersion: before.value?.version ?? 0 });
  return put.ok ? ok(starts) : put;
}
