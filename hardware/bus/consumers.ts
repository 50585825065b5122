// Durable consumers: each is a pull consumer of the stream of events, and carries our description of it in its metadata, from
// which whoever fetches learns how often and how long an event is tried. How often is ours: the server is told to deliver for ever.
import { AckPolicy, DeliverPolicy, ReplayPolicy, type ConsumerConfig, type ConsumerInfo } from '@nats-io/jetstream';
import { nanos } from '@nats-io/transport-node';
import type { ConsumerSpec } from '../../system/domain/broker.ts';
import type { ConsumerName } from '../../system/domain/identifiers.ts';
import { ok, rejected, type Outcome } from '../../system/domain/outcome.ts';
import { isSubjectFilter } from '../../system/domain/subject.ts';
import type { Ports } from '../../system/ports/ports.ts';
import { MICROS_PER_MS } from '../../system/ports/clock.ts';
import type { NatsLink } from '../nats/nats.ts';
import { JETSTREAM } from '../nats/nats.ts';
import { checkConsumerName, type Names } from './names.ts';
import { consumerUnknown } from './pull.ts';
import { absent } from './streams.ts';

const METADATA = 'wasmmatrix';
/** A description that is older is asked for again: another process may have changed it. */
const FRESH_MS = 5_000;
/** Bound: descriptions remembered; beyond it all are forgotten, and asked for again. */
const REMEMBERED_MAX = 4_096;
/** Bound: fetches that wait at one consumer. */
const WAITING_MAX = 4_096;

export class Consumers {
  readonly #link: NatsLink;
  readonly #names: Names;
  readonly #ports: Pick<Ports, 'clock' | 'telemetry'>;
  readonly #remembered = new Map<ConsumerName, { readonly spec: ConsumerSpec; readonly untilMicros: number }>();

  constructor(link: NatsLink, names: Names, ports: Pick<Ports, 'clock' | 'telemetry'>) {
    this.#link = link;
    this.#names = names;
    this.#ports = ports;
  }

  async create(spec: ConsumerSpec): Promise<Outcome<void>> {
    const refused = checkConsumerName(spec.name);
    if (refused !== null) return refused;
    if (!isSubjectFilter(spec.filter)) {
      return rejected('WM_ARGUMENT', {
        message: `Consumer ${spec.name} filters by '${spec.filter}', which is no subject filter.`,
        next: "Use tokens of letters, digits, '_', '-' and '$' with dots between them; `*` for one of them, a final `>` for the rest.",
      });
    }
    const found = await this.#info(spec.name);
    if (!found.ok) return found;
    const changeable = {
      ack_wait: nanos(spec.ackWaitMs),
      max_deliver: -1,
      max_ack_pending: spec.pendingMax,
      inactive_threshold: spec.idleMsMax === null ? 0 : nanos(spec.idleMsMax),
      filter_subject: this.#names.eventSubject(spec.filter),
      metadata: { [METADATA]: JSON.stringify(spec) },
    } satisfies Partial<ConsumerConfig>;
    const { consumers } = this.#link.manager;
    const done = await this.#link.ask<ConsumerInfo>(`consumer ${spec.name}`, () =>
      found.value === null
        ? consumers.add(this.#names.events, {
            durable_name: spec.name,
            ack_policy: AckPolicy.Explicit,
            deliver_policy: DeliverPolicy.New,
            replay_policy: ReplayPolicy.Instant,
            max_waiting: WAITING_MAX,
            ...changeable,
          })
        : consumers.update(this.#names.events, spec.name, changeable),
    );
    if (!done.ok) return done;
    this.#remember(spec);
    if (found.value === null) {
      const next = done.value.delivered.stream_seq + 1;
      this.#ports.telemetry.record('consumer.created', { consumer: spec.name, filter: spec.filter, next });
    }
    return ok();
  }

  async delete(name: ConsumerName): Promise<Outcome<void>> {
    const refused = checkConsumerName(name);
    if (refused !== null) return refused;
    this.#remembered.delete(name);
    const deleted = await this.#link.ask<boolean | null>(
      `the end of consumer ${name}`,
      () => this.#link.manager.consumers.delete(this.#names.events, name),
      absent(JETSTREAM.consumerNotFound),
    );
    return deleted.ok ? ok() : deleted;
  }

  /** The server's own pages bound each question; there are as many consumers as were created. */
  list(): Promise<Outcome<readonly ConsumerName[]>> {
    return this.#link.ask('the list of consumers', async () => {
      const names: ConsumerName[] = [];
      // Others are of this platform's own making, or of other programs.
      for await (const { config } of this.#link.manager.consumers.list(this.#names.events)) {
        const spec = decodeSpec(config.metadata?.[METADATA]);
        if (spec !== null) names.push(spec.name);
      }
      return names;
    });
  }

  /** What the consumer was created with, not older than `FRESH_MS`. */
  async get(name: ConsumerName): Promise<Outcome<ConsumerSpec>> {
    const refused = checkConsumerName(name);
    if (refused !== null) return refused;
    const known = this.#remembered.get(name);
    if (known !== undefined && known.untilMicros > this.#ports.clock.monotonicMicros()) return ok(known.spec);
    const found = await this.#info(name);
    if (!found.ok) return found;
    const spec = found.value === null ? null : decodeSpec(found.value.config.metadata?.[METADATA]);
    if (spec === null) {
      this.#remembered.delete(name);
      return consumerUnknown(name);
    }
    this.#remember(spec);
    return ok(spec);
  }

  forget(name: ConsumerName): void {
    this.#remembered.delete(name);
  }

  #remember(spec: ConsumerSpec): void {
    if (this.#remembered.size >= REMEMBERED_MAX && !this.#remembered.has(spec.name)) this.#remembered.clear();
    this.#remembered.set(spec.name, { spec, untilMicros: this.#ports.clock.monotonicMicros() + FRESH_MS * MICROS_PER_MS });
  }

  #info(name: ConsumerName): Promise<Outcome<ConsumerInfo | null>> {
    return this.#link.ask<ConsumerInfo | null>(
      `consumer ${name}`,
      () => this.#link.manager.consumers.info(this.#names.events, name),
      absent(JETSTREAM.consumerNotFound),
    );
  }
}

function decodeSpec(text: string | undefined): ConsumerSpec | null {
  try {
    const spec = JSON.parse(text ?? '') as Partial<Record<keyof ConsumerSpec, unknown>>;
    const numbers = [spec.ackWaitMs, spec.deliveriesMax, spec.backoffMs, spec.backoffMsMax, spec.pendingMax];
    return typeof spec.name === 'string' && numbers.every(Number.isSafeInteger) ? (spec as ConsumerSpec) : null;
  } catch {
    return null;
  }
}
