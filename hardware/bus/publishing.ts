// What is published: stored once, within the bounds of the stream, and never for an instance that was superseded.
import type { JetStreamPublishOptions, StreamInfo } from '@nats-io/jetstream';
import type { BusEvent, FencingToken, PublishAck } from '../../system/domain/event.ts';
import { bytesOf } from '../../system/domain/letter.ts';
import { failed, ok, rejected, type Err, type Outcome } from '../../system/domain/outcome.ts';
import { MICROS_PER_MS } from '../../system/ports/clock.ts';
import type { Telemetry } from '../../system/ports/telemetry.ts';
import type { NatsLink } from '../nats/nats.ts';
import { JETSTREAM } from '../nats/nats.ts';
import type { Fences } from './fences.ts';
import { encodeEvent, messageIdOf } from './message.ts';
import type { Names } from './names.ts';
import { full, Room, type Depth } from './room.ts';

/** Bound: repetitions of a publish whose fence was raised meanwhile, not above its epoch. */
const FENCED_PUBLISHES_MAX = 3;

type PublisherTools = { readonly link: NatsLink; readonly names: Names; readonly telemetry: Telemetry; readonly fences: Fences };

export class Publisher {
  readonly #tools: PublisherTools;
  readonly #room = new Room(() => this.#look());

  constructor(tools: PublisherTools) {
    this.#tools = tools;
  }

  backlog(): { readonly depth: number; readonly bound: number } | null {
    const told = this.#room.told();
    return told === null ? null : { depth: told.events, bound: told.eventsMax };
  }

  async publish(
    event: BusEvent,
    { fence, deadlineMicros }: { readonly fence: FencingToken | null; readonly deadlineMicros: number },
  ): Promise<Outcome<PublishAck>> {
    if (fence === null) {
      const room = await this.#room.take(event, bytesOf(event));
      return room.ok ? this.store(event, null, deadlineMicros) : this.#refused(event, room);
    }
    for (let tries = 0; tries < FENCED_PUBLISHES_MAX; tries++) {
      const current = await this.#tools.fences.check(`event ${event.id}`, fence);
      if (!current.ok) return current;
      const { sequence } = current.value;
      const stored = await this.store(event, { fence, sequence }, deadlineMicros);
      if (stored.ok || stored.error.code !== 'WM_CONFLICT') return stored;
      this.#tools.fences.forget(fence.instance);
    }
    return failed('WM_UNREACHABLE', {
      message: `The fence of instance ${fence.instance} changed ${FENCED_PUBLISHES_MAX} times while event ${event.id} was published.`,
      next: 'Publish again with backoff.',
    });
  }

  /** WM_CONFLICT: a newer fence was raised. */
  async store(
    event: BusEvent,
    guard: { readonly fence: FencingToken; readonly sequence: number } | null,
    deadlineMicros: number,
  ): Promise<Outcome<PublishAck>> {
    const { link, names, telemetry } = this.#tools;
    const encoded = encodeEvent(event);
    if (!encoded.ok) return this.#refused(event, encoded);
    const options: Partial<JetStreamPublishOptions> = {
      msgID: messageIdOf(event.id),
      headers: encoded.value,
      timeout: Math.max(1, Math.ceil(deadlineMicros / MICROS_PER_MS)),
      ...(guard === null
        ? {}
        : { expect: { lastSubjectSequence: guard.sequence, lastSubjectSequenceSubject: names.fenceSubject(guard.fence.instance) } }),
    };
    const stored = await link.ask(
      `event ${event.id}`,
      () => link.jetstream.publish(names.eventSubject(event.subject), event.data, options),
      ({ code, message }) => {
        if (code === JETSTREAM.wrongLastSequence || code === JETSTREAM.wrongLastSequenceConstant)
          return rejected('WM_CONFLICT', {
            message: `The fence of event ${event.id} is another one now.`,
            next: 'Look at the fence again.',
          });
        if (code === JETSTREAM.duplicateInProcess)
          return failed('WM_UNREACHABLE', {
            message: `Event ${event.id} is being stored by an earlier publish of it.`,
            next: 'Publish it again with backoff.',
          });
        return code === JETSTREAM.storeFailed && message.startsWith('maximum ') ? full(event, null) : null;
      },
    );
    if (!stored.ok) return stored.error.code === 'WM_BUS_FULL' ? this.#refused(event, stored) : stored;
    const { seq: sequence, duplicate } = stored.value;
    if (duplicate) {
      telemetry.record('event.duplicate', { event: event.id, subject: event.subject, sequence }, event.correlation);
    } else {
      const { instance, epoch } = guard?.fence ?? { instance: null, epoch: null };
      const fields = { event: event.id, subject: event.subject, sequence, bytes: event.data.length, instance, epoch };
      telemetry.record('event.accepted', fields, event.correlation);
    }
    return ok({ sequence, duplicate });
  }

  #refused(event: BusEvent, refused: Err): Err {
    const { code } = refused.error;
    this.#tools.telemetry.record('event.refused', { event: event.id, subject: event.subject, code }, event.correlation);
    return refused;
  }

  async #look(): Promise<Outcome<Depth>> {
    const { link, names, telemetry } = this.#tools;
    const info = await link.ask<StreamInfo>(`stream ${names.events}`, () =>
      link.manager.streams.info(names.events, { subjects_filter: names.fencesFilter }),
    );
    if (!info.ok) return info;
    const { state, config } = info.value;
    const fences = Object.values(state.subjects ?? {}).reduce((sum, each) => sum + each, 0);
    const depth = {
      events: state.messages - fences,
      bytes: state.bytes,
      eventsMax: config.max_msgs - fences - 1,
      bytesMax: config.max_bytes,
    };
    telemetry.record('queue.depth', { queue: names.events, depth: depth.events, bound: depth.eventsMax });
    return ok(depth);
  }
}
