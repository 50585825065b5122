// How a connection comes to be: a round trip of the transport, which the systems of both machines make, then one of the
// secure channel, which their processes make and pay for. A process that stands still accepts nobody.
import { failed, ok } from '../../system/domain/outcome.ts';
import type { Outcome } from '../../system/domain/outcome.ts';
import type { Endpoint } from '../../system/domain/identifiers.ts';
import type { Connection, ServiceHandler } from '../../system/ports/network.ts';
import type { ScheduledEvent } from '../kernel/kernel.ts';
import type { Bridge } from './bridge.ts';
import { ConnectionEnd } from './connection.ts';
import type { ConnectionEnv } from './connection.ts';
import type { Host } from './host.ts';

/** Bound: connections of one machine; beyond it, it accepts nobody. */
export const CONNECTIONS_MAX = 65_536;

/** A flight of the handshake, with certificates. */
const HANDSHAKE_BYTES = 1_500;

export type Service = {
  readonly host: Host;
  readonly incarnation: number;
  /** Who answers: a process of the machine, or somebody outside of the simulated world for whom it stands. */
  readonly handler: ServiceHandler | Bridge;
  readonly ends: Set<ConnectionEnd>;
};

export type HandshakeOptions = {
  readonly env: ConnectionEnv;
  readonly host: Host;
  readonly endpoint: Endpoint;
  readonly deadlineMicros: number;
  /** Processor time of each side. */
  readonly costMicros: number;
  /** The machine the endpoint was last on; null when it never was anywhere. */
  readonly home: Host | null;
  /** What listens there now. */
  readonly serviceOf: () => Service | null;
};

export class Handshake {
  readonly #options: HandshakeOptions;
  readonly #incarnation: number;
  readonly #resolve: (outcome: Outcome<Connection>) => void;
  readonly #deadline: ScheduledEvent;
  #settled = false;

  constructor(options: HandshakeOptions, resolve: (outcome: Outcome<Connection>) => void) {
    this.#options = options;
    this.#incarnation = options.host.machine.incarnation;
    this.#resolve = resolve;
    const { env, host, deadlineMicros } = options;
    this.#deadline = env.kernel.after(Math.max(0, Math.ceil(deadlineMicros)), host.machine, 'connect deadline', () =>
      this.#fail(`no connection within ${deadlineMicros} µs`),
    );
  }

  start(): void {
    const { home } = this.#options;
    if (home === null) this.#refuse('nobody has ever listened there');
    else this.#there(home, () => this.#greeted(home));
  }

  #greeted(home: Host): void {
    const service = this.#options.serviceOf();
    if (service === null) this.#back(home, () => this.#refuse('nothing listens there'));
    else if (home.ends.size >= CONNECTIONS_MAX) this.#back(home, () => this.#refuse(`it has ${CONNECTIONS_MAX} connections`));
    else this.#back(home, () => this.#there(home, () => this.#asked(home, service)));
  }

  #asked(home: Host, service: Service): void {
    const handle = (): void => {
      home.machine.execute(this.#options.costMicros, 'handshake', () => {
        if (this.#options.serviceOf() === service && this.#wanted()) this.#admit(home, service);
      });
    };
    home.receive({ payloadBytes: 0, handle });
  }

  #admit(home: Host, service: Service): void {
    const { handler } = service;
    const { host, endpoint, deadlineMicros } = this.#options;
    if (!('dial' in handler)) return void this.#accept(home, service, { handler });
    handler.dial({ name: host.identity }, endpoint, deadlineMicros, (dialled) => {
      if (!dialled.ok) return this.#back(home, () => this.#refuse(dialled.error.message));
      if (!this.#wanted()) return dialled.value.close();
      const end: ConnectionEnd = this.#accept(
        home,
        service,
        handler.over(dialled.value, () => end.reset()),
      );
      return undefined;
    });
  }

  #accept(home: Host, service: Service, answering: { readonly handler: ServiceHandler; readonly onGone?: () => void }): ConnectionEnd {
    const { env, host } = this.#options;
    const dialled = new ConnectionEnd({ env, host: home, peer: host, registry: service.ends, ...answering });
    env.kernel.after(env.keepaliveMicros, home.machine, 'keepalive', () => dialled.dieUnlessJoined());
    this.#back(home, () => host.machine.execute(this.#options.costMicros, 'handshake', () => this.#finish(home, dialled)));
    return dialled;
  }

  #finish(home: Host, dialled: ConnectionEnd): void {
    if (this.#settled) return;
    if (!dialled.lives) {
      this.#fail('it went away during the handshake');
      return;
    }
    const { env, host } = this.#options;
    const dialling = new ConnectionEnd({ env, host, peer: home, handler: null, registry: null });
    ConnectionEnd.join(dialling, dialled);
    this.#settle(ok(dialling.connection()));
  }

  #there(home: Host, arrive: () => void): void {
    this.#transmit(this.#options.host, home, arrive);
  }

  #back(home: Host, arrive: () => void): void {
    this.#transmit(home, this.#options.host, arrive);
  }

  #transmit(from: Host, to: Host, arrive: () => void): void {
    this.#options.env.linkOf(from, to).transmit({
      label: 'handshake',
      bytes: HANDSHAKE_BYTES,
      blocked: () => false,
      spoil: () => this.#refuse('a corrupt record arrived'),
      wanted: () => this.#wanted(),
      arrive,
      giveUp: () => this.#refuse('nothing got through'),
    });
  }

  #wanted(): boolean {
    return !this.#settled && this.#options.host.machine.lives(this.#incarnation);
  }

  /** As `#fail`, from outside the machine. */
  #refuse(why: string): void {
    if (this.#wanted()) this.#options.env.kernel.after(0, this.#options.host.machine, 'connect refused', () => this.#fail(why));
  }

  #fail(why: string): void {
    const { endpoint } = this.#options;
    this.#settle(
      failed('WM_UNREACHABLE', {
        message: `${endpoint} could not be reached: ${why}.`,
        next: 'Try again with backoff.',
        detail: { endpoint },
      }),
    );
  }

  #settle(outcome: Outcome<Connection>): void {
    if (this.#settled) return;
    this.#settled = true;
    this.#deadline.cancel();
    this.#resolve(outcome);
  }
}
