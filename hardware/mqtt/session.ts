// The session with the broker over all its connections: dialled with backoff and jitter, for as long as the gateway runs. Says
// each change once. Ends when it is told to stop, or when another client took the session.
import { describeError, rejected, type WmError } from '../../system/domain/outcome.ts';
import type { GatewayCounters } from './counters.ts';
import { Inbound, type InboundPorts } from './inbound.ts';
import { Link, type LinkEnd } from './link.ts';
import type { GatewayConfig, GatewayStatus } from './config.ts';
import { backoffMs, pause, type BackoffLaw } from './pause.ts';
import type { Receipts } from './receipts.ts';
import type { TopicMapping } from './route.ts';

/** Tries have no bound. Long enough that a broker that refuses us is not filled with attempts. */
const RECONNECT: BackoffLaw = { baseMs: 250, maxMs: 30_000 };
/** Brokers that close without a word, so many times in a row, are suspected of having two clients of one name. */
const SILENT_ENDS_TOLD = 3;
/** A connection that held so long begins the backoff anew. */
const STEADY_MICROS = 10_000_000;

export type SessionOptions = {
  readonly config: GatewayConfig;
  readonly mappings: readonly TopicMapping[];
  readonly receipts: Receipts;
  readonly counters: GatewayCounters;
  readonly stopping: AbortSignal;
  readonly stopMsMax: number;
  readonly onStatus: (change: Partial<GatewayStatus>) => void;
};

export type Session = {
  /** Resolves with null when it was stopped after `sending` had ended, with an error when it must not go on. */
  readonly run: (sending: Promise<unknown>) => Promise<WmError | null>;
  readonly link: () => Promise<Link | null>;
};

type Served = LinkEnd & { readonly wasConnected: boolean };

export function connectionLoop(ports: InboundPorts, options: SessionOptions): Session {
  const { clock, random, telemetry } = ports;
  const { config, mappings, receipts, counters, stopping, stopMsMax, onStatus } = options;
  const { broker, name } = config;
  let link: Link | null = null;
  /** Bound: one for each outbound route and window place. */
  const waiting: ((link: Link | null) => void)[] = [];
  const use = (next: Link | null, tell: boolean): void => {
    link = next;
    if (!tell) return;
    for (const resume of waiting.splice(0)) resume(next);
  };
  stopping.addEventListener('abort', () => use(link, true), { once: true });

  const say = (state: 'connected' | 'lost', attempt: number, cause: string): void =>
    telemetry.record('gateway.session', { gateway: name, broker: broker.url, state, attempt, cause });
  /** One connection, until it is gone. */
  const serve = async (attempt: number, sending: Promise<unknown>): Promise<Served> => {
    const inbound = new Inbound(ports, {
      gateway: name,
      mappings,
      receipts,
      receiveMaximum: broker.receiveMaximum,
      counters,
      onHeld: (error) => onStatus({ held: error === null ? null : describeError(error) }),
    });
    const dialled = await Link.open(broker, (arrival) => inbound.take(arrival), stopping);
    const usable = dialled.ok ? await dialled.value.subscribe(config.inbound.map(({ topics }) => topics)) : dialled;
    if (!dialled.ok || !usable.ok) {
      counters.connectionsFailed++;
      const goodbye = dialled.ok ? await dialled.value.ended : null;
      await inbound.end();
      return {
        wasConnected: false,
        silent: false,
        takenOver: goodbye?.takenOver === true,
        cause: usable.ok ? '' : describeError(usable.error),
      };
    }
    const opened = dialled.value;
    counters.connections++;
    say(
      'connected',
      attempt,
      opened.sessionPresent ? 'the broker kept the session' : 'the broker had no session of this name: it begins now',
    );
    onStatus({ state: 'connected', cause: null });
    use(opened, true);
    if (await stoppedBefore(stopping, opened.ended)) {
      const given = new AbortController();
      const inFlight = Promise.all([inbound.end(), sending]);
      await Promise.race([inFlight, opened.ended, pause(clock, stopMsMax, given.signal)]);
      given.abort();
      opened.close();
    }
    const goodbye = await opened.ended;
    use(null, false);
    await inbound.end();
    return { wasConnected: true, ...goodbye };
  };

  return {
    async run(sending) {
      let attempt = 0;
      let silentEnds = 0;
      let told: string | null = null;
      while (!stopping.aborted) {
        const began = clock.monotonicMicros();
        const served = await serve(attempt, sending);
        if (served.takenOver) return takenOverError(config);
        if (stopping.aborted) break;
        if (clock.monotonicMicros() - began >= STEADY_MICROS) attempt = 0;
        silentEnds = served.silent ? silentEnds + 1 : 0;
        const cause = silentEnds < SILENT_ENDS_TOLD ? served.cause : silentlyTaken(config, silentEnds);
        onStatus({ state: 'connecting', cause });
        // A broker that is away for a day is one line, not a thousand.
        if (served.wasConnected || cause !== told) say('lost', attempt, cause);
        told = cause;
        await pause(clock, backoffMs(RECONNECT, attempt++, random.stream('mqtt-reconnect')), stopping);
      }
      return null;
    },
    link: () => {
      if (stopping.aborted) return Promise.resolve(null);
      if (link !== null) return Promise.resolve(link);
      return new Promise((resolve) => waiting.push((next) => resolve(stopping.aborted ? null : next)));
    },
  };
}

/** True when the stop came first. */
function stoppedBefore(stopping: AbortSignal, ended: Promise<unknown>): Promise<boolean> {
  if (stopping.aborted) return Promise.resolve(true);
  return new Promise((resolve) => {
    const stopped = (): void => resolve(true);
    stopping.addEventListener('abort', stopped, { once: true });
    void ended.then(() => {
      stopping.removeEventListener('abort', stopped);
      resolve(false);
    });
  });
}

/** Mosquitto 2.0 gives the session to the newcomer and tells the other nothing (MQTT 5 has 0x8E for it). */
function silentlyTaken({ broker }: GatewayConfig, times: number): string {
  return `the broker closed the connection ${times} times in a row and gave no reason, as it does when another client with the identifier '${broker.clientId}' connects: run one gateway of each name`;
}

function takenOverError({ broker, name }: GatewayConfig): WmError {
  return rejected('WM_MQTT_REFUSED', {
    message: `Another client with the identifier '${broker.clientId}' connected to ${broker.url}, and the broker gave it the session of the gateway ${name}.`,
    next: 'Run one gateway of each name: stop the other one, or give this one a name and a client identifier of its own.',
    detail: { broker: broker.url, clientId: broker.clientId },
  }).error;
}
