// One connection to an MQTT 5 broker, from CONNECT to its end; whoever wants another makes another. Owns the socket, the
// subscriptions of the session, and how much may be in flight towards the broker. Messages are acknowledged by hand: the packet
// loop of `mqtt` goes on at once, so that pings and acknowledgements are never behind a message that waits for the bus.
import { connect, type IClientOptions, type IConnackPacket, type IPublishPacket, type MqttClient } from 'mqtt';
import { failed, ok, rejected, unknown, type Err, type Outcome } from '../../system/domain/outcome.ts';
import { refusedBy, troubleOf } from './trouble.ts';

/** Bound: time for the connection, TLS and the broker's answer to it. */
const CONNECT_MS_MAX = 15_000;
/** Bound: time for the broker to confirm a subscription or a message; after that the connection counts as lost. */
const ANSWER_MS_MAX = 20_000;
/** Bound: time for the last packets to leave when the connection is closed. */
const GOODBYE_MS_MAX = 1_000;
/** Bound: bytes of one packet from the broker, which throws larger ones away. Above what an event may hold, so that those are told. */
const PACKET_BYTES_MAX = 2 * 1_024 * 1_024;
/** While reading is held back, a ping for every third of the keep-alive time. */
const PING_PER_S_MS = 333;
/** What a broker that names no receive maximum takes (MQTT 5, 3.2.2.3.3). */
const RECEIVE_MAXIMUM_ABSENT = 65_535;
/** Reason codes from here on are failures. */
const FAILURE = 0x80;
const SESSION_TAKEN_OVER = 0x8e;

export type BrokerAddress = {
  /** `mqtt://host:port`, or `mqtts://` for TLS. */
  readonly url: string;
  readonly clientId: string;
  readonly username: string | null;
  readonly password: string | null;
  /** PEM texts; without an authority those of the system count. */
  readonly authority: string | null;
  readonly certificate: string | null;
  readonly privateKey: string | null;
  readonly keepAliveS: number;
  readonly sessionExpiryS: number;
  /** Bound: messages that the broker may leave unacknowledged. */
  readonly receiveMaximum: number;
};

/** `receipt` is null for QoS 0. Acknowledging over a connection that is gone does nothing. */
export type Arrival = {
  readonly packet: IPublishPacket;
  readonly receipt: { readonly packetId: number; readonly acknowledge: (reasonCode: number) => void } | null;
};

/** `silent`: the broker closed it, without a reason and without an error. */
export type LinkEnd = { readonly cause: string; readonly takenOver: boolean; readonly silent: boolean };

export class Link {
  readonly #client: MqttClient;
  readonly #address: BrokerAddress;
  readonly sessionPresent: boolean;
  /** Bound: bytes of a packet that the broker takes; null: it names none. */
  readonly packetBytesMax: number | null;
  /** Resolves when the connection is gone. */
  readonly ended: Promise<LinkEnd>;
  #open = true;
  #credit: number;
  /** Bound: outbound routes times their window, who wait for credit. */
  readonly #waiting: (() => void)[] = [];

  private constructor(client: MqttClient, address: BrokerAddress, connack: IConnackPacket, ended: Promise<LinkEnd>) {
    this.#client = client;
    this.#address = address;
    this.sessionPresent = connack.sessionPresent;
    this.packetBytesMax = connack.properties?.maximumPacketSize ?? null;
    this.#credit = connack.properties?.receiveMaximum ?? RECEIVE_MAXIMUM_ABSENT;
    this.ended = ended.then((end) => {
      this.#open = false;
      for (const resume of this.#waiting.splice(0)) resume();
      return end;
    });
  }

  static open(address: BrokerAddress, onArrival: (arrival: Arrival) => Promise<void> | null, given: AbortSignal): Promise<Outcome<Link>> {
    const client = connect(address.url, optionsOf(address));
    const giveUp = (): void => void client.stream.destroy();
    given.addEventListener('abort', giveUp, { once: true });
    client.handleMessage = (packet, goOn) => {
      // Messages of the session may come before anybody knows that the connection stands.
      const room = onArrival({ packet, receipt: receiptOf(client, packet) });
      // An error here keeps `mqtt` from acknowledging the message, and does nothing else.
      const goOnUnanswered = (): void => goOn(new Error('acknowledged later'));
      if (room === null) goOnUnanswered();
      else void patiently(client, address.keepAliveS, room).then(goOnUnanswered);
    };
    return new Promise((resolve) => {
      let cause: Error | null = null;
      let goodbye: { readonly reasonCode: number; readonly text: string } | null = null;
      let link: Link | null = null;
      let end: (end: LinkEnd) => void = () => {};
      const ended = new Promise<LinkEnd>((resolveEnd) => (end = resolveEnd));
      client.on('error', (error) => (cause ??= error));
      client.on('disconnect', ({ reasonCode, properties }) => {
        goodbye = { reasonCode: reasonCode ?? 0, text: properties?.reasonString ?? '' };
      });
      client.on('connect', (connack) => {
        given.removeEventListener('abort', giveUp);
        link = new Link(client, address, connack, ended);
        resolve(ok(link));
      });
      client.on('close', () => {
        given.removeEventListener('abort', giveUp);
        if (link === null) resolve(troubleOf(address, cause));
        end({
          cause: goodbye !== null ? refusedBy(goodbye.reasonCode, goodbye.text) : (cause?.message ?? 'the connection was closed'),
          takenOver: goodbye?.reasonCode === SESSION_TAKEN_OVER,
          silent: goodbye === null && cause === null,
        });
      });
    });
  }

  /** The session's subscriptions: at most once delivered while known, never our own messages, retained ones once. */
  async subscribe(filters: readonly string[]): Promise<Outcome<void>> {
    if (filters.length === 0) return ok();
    const wanted = Object.fromEntries(filters.map((filter) => [filter, { qos: 1 as const, nl: true, rap: true, rh: 1 }]));
    const granted = await within<Outcome<void>>(
      (finish) =>
        this.#client.subscribe(wanted, (error, _granted, suback) => {
          const codes = suback?.granted.map(Number) ?? [];
          const refusedAt = codes.findIndex((code) => code >= FAILURE || code === 0);
          if (refusedAt >= 0) return finish(this.#notGranted(filters[refusedAt] ?? '', codes[refusedAt] ?? FAILURE));
          return finish(error === null ? ok() : this.#lost(error.message));
        }),
      () => this.#lost('it did not confirm the subscriptions'),
    );
    if (!granted.ok) this.close();
    return granted;
  }

  /** Resolves ok when the broker has it. WM_CONNECTION_LOST: it may have. */
  async publish(
    topic: string,
    payload: Buffer,
    options: { readonly retain: boolean; readonly properties: NonNullable<IPublishPacket['properties']> },
  ): Promise<Outcome<void>> {
    while (this.#open && this.#credit === 0) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    if (!this.#open)
      return failed('WM_UNREACHABLE', {
        message: `The connection to ${this.#address.url} was lost.`,
        next: 'Publish again when there is another.',
      });
    this.#credit--;
    const published = await within<Outcome<void>>(
      (finish) => {
        this.#client.publish(topic, payload, { ...options, qos: 1 }, (error) => {
          if (error === null || error === undefined) return finish(ok());
          return finish('code' in error && typeof error.code === 'number' ? this.#notTaken(topic, error.code) : this.#lost(error.message));
        });
        void this.ended.then((end) => finish(this.#lost(end.cause)));
      },
      () => {
        // It answers pings and confirms nothing: another connection is the only way on.
        this.#client.stream.destroy();
        return this.#lost(`it confirmed nothing within ${ANSWER_MS_MAX / 1_000} s`);
      },
    );
    this.#credit++;
    this.#waiting.shift()?.();
    return published;
  }

  /** Says goodbye; the session stays at the broker for as long as it was told to keep it. */
  close(): void {
    this.#client.end(false, { reasonCode: 0 });
    // A broker that does not read must not hold this process.
    const force = setTimeout(() => this.#client.stream.destroy(), GOODBYE_MS_MAX);
    void this.ended.then(() => clearTimeout(force));
  }

  #lost(cause: string): Err {
    return unknown('WM_CONNECTION_LOST', {
      message: `The broker ${this.#address.url} was lost while an answer was outstanding: ${cause}.`,
      next: 'It is sent again under the same identifier.',
    });
  }

  #notGranted(filter: string, code: number): Err {
    return rejected('WM_MQTT_REFUSED', {
      message:
        code === 0
          ? `The broker ${this.#address.url} grants only QoS 0 for ${filter}, which may lose messages.`
          : `The broker ${this.#address.url} refused the subscription to ${filter}: ${refusedBy(code, '')}.`,
      next: `Let the client '${this.#address.clientId}' read ${filter} with QoS 1 in the access rules of the broker, or correct the route.`,
      detail: { filter, reasonCode: code },
    });
  }

  #notTaken(topic: string, code: number): Err {
    return rejected('WM_MQTT_REFUSED', {
      message: `The broker ${this.#address.url} refused a message on ${topic}: ${refusedBy(code, '')}.`,
      next: `Let the client '${this.#address.clientId}' publish to ${topic} in the access rules of the broker, or correct the route.`,
      detail: { topic, reasonCode: code },
    });
  }
}

function receiptOf(client: MqttClient, { qos, messageId }: IPublishPacket): Arrival['receipt'] {
  if (qos === 0 || messageId === undefined) return null;
  return {
    packetId: messageId,
    acknowledge: (reasonCode) => {
      if (client.connected) client['_sendPacket']({ cmd: 'puback', messageId, reasonCode });
    },
  };
}

/** While nothing is read, no answer to a ping is either: both sides are told that this one lives. */
async function patiently(client: MqttClient, keepAliveS: number, room: Promise<void>): Promise<void> {
  const pings = setInterval(() => {
    if (!client.connected) return;
    client.reschedulePing(true);
    client.sendPing();
  }, keepAliveS * PING_PER_S_MS);
  await room;
  clearInterval(pings);
}

function optionsOf(address: BrokerAddress): IClientOptions {
  return {
    protocolVersion: 5,
    clientId: address.clientId,
    clean: false,
    // Whoever owns the link decides when to dial again.
    reconnectPeriod: 0,
    resubscribe: false,
    connectTimeout: CONNECT_MS_MAX,
    keepalive: address.keepAliveS,
    ...(address.username === null ? {} : { username: address.username }),
    ...(address.password === null ? {} : { password: address.password }),
    ...(address.authority === null ? {} : { ca: address.authority }),
    ...(address.certificate === null ? {} : { cert: address.certificate }),
    ...(address.privateKey === null ? {} : { key: address.privateKey }),
    rejectUnauthorized: true,
    properties: {
      sessionExpiryInterval: address.sessionExpiryS,
      receiveMaximum: address.receiveMaximum,
      maximumPacketSize: PACKET_BYTES_MAX,
      requestProblemInformation: true,
    },
  };
}

function within<T>(start: (finish: (result: T) => void) => void, late: () => T): Promise<T> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(late()), ANSWER_MS_MAX);
    start((result) => {
      clearTimeout(timer);
      resolve(result);
    });
  });
}
