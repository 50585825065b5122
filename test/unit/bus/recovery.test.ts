// What a journal means, record by record, whatever ended the processes that wrote it.
import { expect, it } from 'vitest';
import { encodeRecord, type JournalEntry } from '../../../system/bus/entries.ts';
import { recover, type Recovered } from '../../../system/bus/recovery.ts';
import { consumerOf, eventOf, get } from '../../support/bus/site.ts';
import { MemoryTime } from '../../support/ports/memory-clock.ts';
import { MemoryDisk } from '../../support/ports/memory-storage.ts';

const CONSUMER = { kind: 'consumer', spec: consumerOf('work'), from: 1 } as const;
const event = (sequence: number) => ({ kind: 'event', sequence, event: eventOf(`e${sequence}`) }) as const;

async function read(entries: readonly JournalEntry[], told: readonly number[] = []): Promise<Recovered> {
  const disk = new MemoryDisk();
  const journal = get(await disk.portOf(new MemoryTime().process()).journal('broker'));
  for (const [i, entry] of entries.entries()) get(journal.append(encodeRecord({ entry, told: told[i] ?? 0 }), { expectedSequence: i }));
  return get(await recover(journal));
}

it('does not take what follows a snapshot that was cut short for a part of it', async () => {
  const { state } = await read([
    CONSUMER,
    event(1),
    { kind: 'snapshot-begin', starts: 1, nextSequence: 2 },
    CONSUMER,
    { kind: 'started', start: 2 },
    event(2),
  ]);
  expect([...state.events.keys()]).toEqual([1, 2]);
  expect(state.starts).toBe(2);
});

it('starts from the last snapshot that is whole', async () => {
  const { state } = await read([
    event(1),
    { kind: 'snapshot-begin', starts: 1, nextSequence: 9 },
    CONSUMER,
    { kind: 'held', sequence: 4, event: eventOf('e4') },
    { kind: 'awaited', sequence: 4, consumer: CONSUMER.spec.name, failures: { attempts: 2, reasons: [] } },
    { kind: 'snapshot-end' },
    event(9),
    { kind: 'snapshot-begin', starts: 7, nextSequence: 70 },
  ]);
  expect([...state.events.keys()]).toEqual([4, 9]);
  expect(state.events.get(4)?.awaited.get(CONSUMER.spec.name)?.attempts).toBe(2);
  expect(state.nextSequence).toBe(10);
});

it('repeats the ends, and the beginnings of consumers, that nobody may have been told', async () => {
  const entries: readonly JournalEntry[] = [
    CONSUMER,
    event(1),
    event(2),
    { kind: 'settled', consumer: CONSUMER.spec.name, sequence: 1, attempt: 1 },
    { kind: 'settled', consumer: CONSUMER.spec.name, sequence: 2, attempt: 3 },
  ];
  const kinds = async (told: readonly number[]) => (await read(entries, told)).untold.map(({ fact }) => fact.kind);
  expect(await kinds([])).toEqual(['consumer.created', 'event.acknowledged', 'event.acknowledged']);
  expect(await kinds([0, 0, 0, 1, 4])).toEqual(['event.acknowledged']);
});

it('refuses a journal that holds something else', async () => {
  const disk = new MemoryDisk();
  const journal = get(await disk.portOf(new MemoryTime().process()).journal('broker'));
  get(journal.append(new TextEncoder().encode('{"kind":"event"}\n'), { expectedSequence: 0 }));
  expect(await recover(journal)).toMatchObject({ ok: false, error: { code: 'WM_JOURNAL_CORRUPT', detail: { sequence: 1 } } });
});
