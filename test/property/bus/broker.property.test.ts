// P11 at the broker, whatever is published, fetched, settled and lost: what was accepted is acknowledged or dead-lettered,
// what was acknowledged is not delivered again, and no bound is passed.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { DeliveredEvent } from '../../../system/domain/broker.ts';
import type { Subject, SubjectFilter } from '../../../system/domain/identifiers.ts';
import { matchesSubject } from '../../../system/domain/subject.ts';
import { consumerOf, eventOf, FAILURE, get, Site } from '../../support/bus/site.ts';

const CONSUMERS = {
  all: { filter: 'a.>' as SubjectFilter, deliveriesMax: 3, pendingMax: 4 },
  some: { filter: 'a.b' as SubjectFilter, deliveriesMax: 2, pendingMax: 100 },
  letters: { filter: 'dead.>' as SubjectFilter, deliveriesMax: 2, pendingMax: 100 },
};
type Name = keyof typeof CONSUMERS;
const NAMES = Object.keys(CONSUMERS) as readonly Name[];

/** One identifier means one event, however often it is published. */
const SUBJECTS = ['a.b', 'a.c', 'x'];

type Step =
  | { readonly do: 'publish'; readonly id: number; readonly waits: boolean }
  | { readonly do: 'fetch'; readonly consumer: Name; readonly eventsMax: number; readonly waitMs: number }
  | { readonly do: 'settle'; readonly held: number; readonly how: 'ack' | 'nak' | 'term' | 'release'; readonly waits: boolean }
  | { readonly do: 'pass'; readonly ms: number }
  | { readonly do: 'recreate'; readonly consumer: Name }
  | { readonly do: 'crash'; readonly keep: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('publish' as const), id: fc.nat(60), waits: fc.boolean() }) },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('fetch' as const),
      consumer: fc.constantFrom(...NAMES),
      eventsMax: fc.integer({ min: 1, max: 5 }),
      waitMs: fc.constantFrom(0, 0, 50, 2_000),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('settle' as const),
      held: fc.nat(20),
      how: fc.constantFrom('ack', 'ack', 'nak', 'term', 'release'),
      waits: fc.boolean(),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('pass' as const), ms: fc.constantFrom(0, 1, 3, 120, 1_100) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('recreate' as const), consumer: fc.constantFrom(...NAMES) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('crash' as const), keep: fc.nat(1_000) }) },
);

/** What the outside knows, and what it therefore may expect. */
class Outside {
  readonly site: Site;
  readonly held: { readonly consumer: Name; readonly delivery: DeliveredEvent }[] = [];
  /** Sequence of each identifier that was answered. */
  readonly accepted = new Map<string, { readonly sequence: number; readonly subject: string }>();
  readonly acknowledged = new Set<string>();
  readonly #numbers = new Set<string>();
  #boot = 0;
  readonly #lastFirst = new Map<string, number>();
  /** Handed out at least once since the broker started. */
  readonly #given = new Set<string>();
  /** What happened against the rules, also in answers that nobody waited for. */
  readonly violations: string[] = [];

  constructor(site: Site) {
    this.site = site;
  }

  async take(step: Step): Promise<void> {
    switch (step.do) {
      case 'publish':
        return this.#wait(step.waits, this.#publish(`e${step.id}`, SUBJECTS[step.id % SUBJECTS.length]!));
      case 'fetch':
        return this.#wait(step.waitMs === 0, this.#fetch(step.consumer, step));
      case 'settle': {
        const holder = this.held.splice(step.held % Math.max(1, this.held.length), 1)[0];
        return holder === undefined ? undefined : this.#wait(step.waits, this.#settle(holder.consumer, holder.delivery, step.how));
      }
      case 'pass':
        return this.site.time.advance(step.ms * 1_000);
      case 'recreate':
        return this.#wait(false, this.site.broker.createConsumer(consumerOf(step.consumer, CONSUMERS[step.consumer])));
      case 'crash':
        await this.site.crash((unsynced) => step.keep % (unsynced + 1));
        this.#boot += 1;
        return undefined;
    }
  }

  #must(holds: boolean, rule: string): void {
    if (!holds) this.violations.push(rule);
  }

  async #wait(waits: boolean, promise: Promise<unknown>): Promise<void> {
    if (waits) await this.site.time.until(promise);
  }

  async #publish(id: string, subject: string): Promise<void> {
    const event = eventOf(id, { subject: subject as Subject });
    const ack = await this.site.publish(event);
    if (!ack.ok) {
      this.#must(ack.error.code === 'WM_BUS_FULL', `${id} was refused: ${ack.error.code}`);
      return;
    }
    const first = this.accepted.get(id);
    if (first === undefined) this.accepted.set(id, { sequence: ack.value.sequence, subject: event.subject });
    else this.#must(ack.value.duplicate && ack.value.sequence === first.sequence, `${id} was stored twice`);
  }

  async #fetch(consumer: Name, options: { readonly eventsMax: number; readonly waitMs: number }): Promise<void> {
    const boot = this.#boot;
    const fetched = await this.site.fetch(consumer, options);
    if (!fetched.ok || boot !== this.#boot) return;
    this.#must(fetched.value.length <= options.eventsMax, 'more was delivered than asked for');
    for (const delivery of fetched.value) {
      const { sequence, attempt, event } = delivery;
      this.#must(!this.acknowledged.has(`${consumer} ${sequence}`), `${event.id} was delivered after its acknowledgement`);
      this.#must(attempt <= CONSUMERS[consumer].deliveriesMax, `${event.id} had attempt ${attempt}`);
      this.#must(!this.#numbers.has(`${consumer} ${delivery.delivery}`), `delivery ${delivery.delivery} was given twice`);
      this.#numbers.add(`${consumer} ${delivery.delivery}`);
      const order = `${consumer} ${this.#boot}`;
      const key = `${order} ${sequence}`;
      if (attempt === 1 && !this.#given.has(key)) {
        // Given back untried, it comes again as the first attempt: only its first time has a place in the order.
        this.#must(sequence > (this.#lastFirst.get(order) ?? 0), `${event.id} was overtaken`);
        this.#given.add(key);
        this.#lastFirst.set(order, sequence);
      }
      this.held.push({ consumer, delivery });
    }
  }

  async #settle(consumer: Name, delivery: DeliveredEvent, how: 'ack' | 'nak' | 'term' | 'release'): Promise<void> {
    const settled = await this.site.settle(
      consumer,
      delivery,
      how === 'ack' || how === 'release' ? { kind: how } : { kind: how, reason: FAILURE },
    );
    if (settled.ok && how === 'ack') this.acknowledged.add(`${consumer} ${delivery.sequence}`);
    if (!settled.ok) this.#must(settled.error.code === 'WM_NOT_FOUND', `a settlement was refused: ${settled.error.code}`);
  }

  /** Everything is fetched and acknowledged until there is nothing. */
  async finish(): Promise<void> {
    this.held.length = 0;
    let idle = 0;
    while (idle < 3) {
      let got = 0;
      for (const consumer of NAMES) {
        await this.site.time.until(this.#fetch(consumer, { eventsMax: 50, waitMs: 0 }));
        got += this.held.length;
        for (const { delivery } of this.held.splice(0)) await this.site.time.until(this.#settle(consumer, delivery, 'ack'));
      }
      idle = got === 0 ? idle + 1 : 0;
      await this.site.time.advance(2_000_000);
    }
  }
}

async function play(
  steps: readonly Step[],
  options: { readonly syncMicros: number; readonly compactAfterRecords: number; readonly queueEventsMax: number },
): Promise<void> {
  const site = await Site.open({ compactAfterRecords: options.compactAfterRecords, queueEventsMax: options.queueEventsMax });
  for (const name of NAMES) get(await site.broker.createConsumer(consumerOf(name, CONSUMERS[name])));
  site.disk.syncMicros = options.syncMicros;
  const outside = new Outside(site);
  for (const next of steps) await outside.take(next);
  await outside.finish();
  expect(outside.violations).toEqual([]);

  const ended = new Set([
    ...outside.acknowledged,
    ...site.telemetry.of('event.deadlettered').map(({ consumer, sequence }) => `${consumer} ${sequence}`),
  ]);
  for (const [id, { sequence, subject }] of outside.accepted) {
    for (const name of NAMES) {
      if (!matchesSubject(CONSUMERS[name].filter, subject as Subject)) continue;
      // A crash may have kept an acknowledgement whose answer was lost: it is told again at the start.
      const told = site.telemetry.of('event.acknowledged').some((record) => record.consumer === name && record.sequence === sequence);
      expect(ended.has(`${name} ${sequence}`) || told, `${id} at ${name}`).toBe(true);
    }
  }
  // Every burial left a letter, which was read to its end in turn.
  for (const { consumer, event } of site.telemetry.of('event.deadlettered')) {
    if (consumer === 'letters') continue;
    const letters = site.telemetry.of('event.delivered').filter((record) => record.consumer === 'letters');
    expect(letters.length, `letter of ${event}`).toBeGreaterThan(0);
  }
  for (const { depth, bound } of site.telemetry.of('queue.depth')) expect(depth).toBeLessThanOrEqual(bound);
  // Nothing is left: neither timers nor, after a last snapshot, records.
  expect(site.clock.timers).toBe(0);
  await site.crash();
  for (const name of NAMES) expect(await site.drain(name)).toEqual([]);
}

describe('the broker', () => {
  it('loses nothing that it accepted, through any crashes', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { minLength: 5, maxLength: 120 }),
        fc.record({
          syncMicros: fc.constantFrom(0, 700, 2_000),
          compactAfterRecords: fc.constantFrom(4, 15, 1_000),
          queueEventsMax: fc.constantFrom(8, 100),
        }),
        play,
      ),
      { numRuns: 250 },
    );
  });
});
