// Fences (R1.3): the newest message on the fence subject of an instance holds its epoch. A publish of the instance names the
// sequence of that message, and JetStream refuses it when a newer fence is there: check and store are one step at the server.
// Acknowledgements and fetches cannot carry such a condition: they are checked here, against what the server told us last.
// Surprising: an epoch whose fence is not raised yet has no effect either, so that two epochs never act at the same time.
import type { StoredMsg } from '@nats-io/jetstream';
import type { Subscription } from '@nats-io/transport-node';
import type { FencingToken } from '../../system/domain/event.ts';
import type { Epoch, InstanceId } from '../../system/domain/identifiers.ts';
import { failed, ok, rejected, type Err, type Outcome } from '../../system/domain/outcome.ts';
import type { Telemetry } from '../../system/ports/telemetry.ts';
import type { NatsLink } from '../nats/nats.ts';
import { JETSTREAM } from '../nats/nats.ts';
import type { Names } from './names.ts';
import { absent, countFences, makeRoom, type StreamLimits } from './streams.ts';

/** Bound: fences remembered; beyond it all are forgotten, and asked for again. */
const FENCES_KEPT_MAX = 16_384;
/** Bound: repetitions of raising one fence while others raise it or the stream is full. */
const RAISES_MAX = 5;

/** `sequence` 0: none was ever raised. */
export type Fence = { readonly epoch: number; readonly sequence: number };

const NEVER_RAISED: Fence = { epoch: 0, sequence: 0 };

type FencesTools = {
  readonly link: NatsLink;
  readonly names: Names;
  readonly limits: StreamLimits;
  readonly telemetry: Telemetry;
};

export class Fences {
  readonly #tools: FencesTools;
  /** By token. `sequence` null: a newer one was heard of, and not read. */
  readonly #known = new Map<string, { readonly epoch: number; readonly sequence: number | null }>();
  readonly #listeners = new Set<(instance: string, epoch: number) => void>();
  readonly #unwatch: () => void;
  readonly #subscription: Subscription;
  #raising: Promise<unknown> = Promise.resolve();

  constructor(tools: FencesTools) {
    this.#tools = tools;
    const { link, names } = tools;
    const prefix = names.fencesFilter.slice(0, -1);
    this.#subscription = link.connection.subscribe(names.fencesFilter, {
      callback: (error, message) => {
        if (error === null) this.#heard(message.subject.slice(prefix.length), Number(message.string()));
      },
    });
    // What was raised while we were away was not heard.
    this.#unwatch = link.watch(() => this.#known.clear());
  }

  stop(): void {
    this.#unwatch();
    this.#listeners.clear();
    if (!this.#subscription.isClosed()) this.#subscription.unsubscribe();
  }

  /** Tells of each fence that is raised, by the token of its instance. */
  watch(listener: (token: string, epoch: number) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  #heard(token: string, epoch: number): void {
    if (!Number.isSafeInteger(epoch) || epoch <= (this.#known.get(token)?.epoch ?? 0)) return;
    this.#keep(token, { epoch, sequence: null });
    for (const listener of [...this.#listeners]) listener(token, epoch);
  }

  #keep(token: string, fence: { readonly epoch: number; readonly sequence: number | null }): void {
    // A newer one may have been heard of while an answer was on its way.
    if ((this.#known.get(token)?.epoch ?? 0) > fence.epoch) return;
    if (this.#known.size >= FENCES_KEPT_MAX && !this.#known.has(token)) this.#known.clear();
    this.#known.set(token, fence);
  }

  forget(instance: InstanceId): void {
    this.#known.delete(this.#tools.names.instanceToken(instance));
  }

  async #read(instance: InstanceId): Promise<Outcome<Fence>> {
    const { link, names } = this.#tools;
    const subject = names.fenceSubject(instance);
    const found = await link.ask<StoredMsg | null>(
      `the fence of ${instance}`,
      () => link.manager.streams.getMessage(names.events, { last_by_subj: subject }),
      absent(JETSTREAM.noMessage),
    );
    if (!found.ok) return found;
    const fence = found.value === null ? NEVER_RAISED : { epoch: Number(found.value.string()), sequence: found.value.seq };
    this.#keep(names.instanceToken(instance), fence);
    return ok(fence);
  }

  /** The fence of this very epoch; otherwise why it may do nothing: superseded, or not raised yet. */
  async check(what: string, { instance, epoch }: FencingToken): Promise<Outcome<Fence>> {
    const known = this.#known.get(this.#tools.names.instanceToken(instance));
    if (known !== undefined && known.epoch > epoch) return this.#superseded(what, { instance, epoch }, known.epoch);
    if (known?.epoch === epoch && known.sequence !== null) return ok({ epoch, sequence: known.sequence });
    const read = await this.#read(instance);
    if (!read.ok) return read;
    if (read.value.epoch > epoch) return this.#superseded(what, { instance, epoch }, read.value.epoch);
    if (read.value.epoch < epoch) return notRaised(what, { instance, epoch });
    return read;
  }

  #superseded(what: string, { instance, epoch }: FencingToken, current: number): Err {
    this.#tools.telemetry.record('effect.fenced', { what, instance, epoch, current });
    return rejected('WM_FENCED', {
      message: `Instance ${instance} was placed elsewhere (epoch ${current}); its ${what} in epoch ${epoch} is refused.`,
      next: 'Nothing: the successor handles the event.',
    });
  }

  /** Resolves when effects of lower epochs are refused. One at a time, in the order of the calls. */
  raise(token: FencingToken): Promise<Outcome<void>> {
    const raised = this.#raising.then(() => this.#raise(token));
    this.#raising = raised.catch(() => {});
    return raised;
  }

  async #raise({ instance, epoch }: FencingToken): Promise<Outcome<void>> {
    const { link, names, telemetry } = this.#tools;
    const subject = names.fenceSubject(instance);
    for (let tries = 0; tries < RAISES_MAX; tries++) {
      const current = await this.#read(instance);
      if (!current.ok) return current;
      const { epoch: raised, sequence } = current.value;
      if (raised >= epoch) return ok();
      const room = sequence === 0 ? await this.#makeRoom(tries) : ok();
      if (!room.ok) return room;
      const stored = await link.ask<number | null>(
        `the fence of ${instance}`,
        async () => (await link.jetstream.publish(subject, String(epoch), { expect: { lastSubjectSequence: sequence } })).seq,
        absent(JETSTREAM.wrongLastSequence, JETSTREAM.wrongLastSequenceConstant, JETSTREAM.storeFailed),
      );
      if (!stored.ok) return stored;
      if (stored.value === null) {
        // Another raised it, or there was no room for two: the old one goes first, and nothing is let through meanwhile.
        const purged = sequence === 0 ? ok() : await this.#purge(subject, sequence + 1);
        if (!purged.ok) return purged;
        continue;
      }
      this.#keep(names.instanceToken(instance), { epoch, sequence: stored.value });
      telemetry.record('fence.raised', { instance, epoch });
      for (const listener of [...this.#listeners]) listener(names.instanceToken(instance), epoch);
      return sequence === 0 ? ok() : this.#purge(subject, stored.value);
    }
    return failed('WM_BUS_FULL', {
      message: `The fence of ${instance} in epoch ${epoch} found no room in ${names.events} ${RAISES_MAX} times.`,
      next: 'Raise it again; consumers must catch up first.',
    });
  }

  /** For one fence that is new, and places that others may take before it. */
  async #makeRoom(extra: number): Promise<Outcome<void>> {
    const { link, names, limits } = this.#tools;
    const fences = await countFences(link, names);
    return fences.ok ? makeRoom(link, names, limits, fences.value + 1 + extra) : fences;
  }

  /** Removes fences before a sequence. */
  async #purge(filter: string, before: number): Promise<Outcome<void>> {
    const { link, names } = this.#tools;
    const purged = await link.ask(`the old fence ${filter}`, () => link.manager.streams.purge(names.events, { filter, seq: before }));
    return purged.ok ? ok() : purged;
  }
}

function notRaised(what: string, { instance, epoch }: { readonly instance: InstanceId; readonly epoch: Epoch }): Err {
  return failed('WM_UNREACHABLE', {
    message: `The fence of instance ${instance} in epoch ${epoch} is not raised yet; its ${what} was not done.`,
    next: 'Try again with backoff: the controller raises it when it has placed the instance.',
  });
}
