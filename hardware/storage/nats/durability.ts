// Whether an acknowledgement of the server means that the bytes are on disk. By default it does not: JetStream calls fsync every
// two minutes. So a store opens only where every server of the cluster says `sync_interval: always`, or where the operator has
// said that a power cut may take what was acknowledged. Asked when the store is opened, not afterwards.
import type { NatsConnection } from '@nats-io/transport-node';
import { failed, ok } from '../../../system/domain/outcome.ts';
import type { Err, Outcome } from '../../../system/domain/outcome.ts';
import { unsuitable } from './answers.ts';

/** How it is known that the server syncs what it acknowledges. */
export type Durability =
  /** Monitoring endpoints of all servers, `http://host:8222`. */
  | { readonly kind: 'monitor'; readonly urls: readonly string[] }
  /** A connection as a user of the system account, which can ask all servers at once. */
  | { readonly kind: 'system'; readonly connection: NatsConnection }
  /** It is not, and the operator accepts what that means. */
  | { readonly kind: 'accept-loss-at-power-cut' };

/** Bound: how long servers have to answer. */
const ASKED_WITHIN_MS = 5_000;
/** Bound: servers that are listened to. */
const SERVERS_MAX = 64;
const NEXT = 'Set `sync_interval: always` in the `jetstream` block of every server and restart it (docs/howto/production.md).';

/** What `/varz` says, as far as it matters. */
type Answer = {
  readonly server_id?: string;
  readonly server_name?: string;
  readonly jetstream?: {
    readonly config?: { readonly sync_always?: boolean };
    readonly meta?: { readonly cluster_size?: number };
  };
};

export async function checkDurability(durability: Durability, connection: NatsConnection): Promise<Outcome<void>> {
  if (durability.kind === 'accept-loss-at-power-cut') return ok();
  const answers = await (durability.kind === 'monitor' ? askMonitors(durability.urls) : askSystem(durability.connection));
  if (!answers.ok) return answers;
  return judge(answers.value, connection.info?.server_id ?? '') ?? ok();
}

function judge(answers: readonly Answer[], connectedTo: string): Err | null {
  const servers = new Map(answers.map((answer) => [answer.server_id ?? '', answer]));
  if (!servers.has(connectedTo)) {
    return unsuitable(
      'The server that was asked whether it syncs is not the one that the store is connected to.',
      'Name the monitoring addresses of the very servers that the store uses.',
      { connectedTo, asked: [...servers.keys()].join(' ') },
    );
  }
  const storing = [...servers.values()].filter((answer) => answer.jetstream?.config !== undefined);
  const lax = storing.find((answer) => answer.jetstream?.config?.sync_always !== true);
  if (lax !== undefined) {
    return unsuitable(
      `NATS server ${lax.server_name ?? lax.server_id} acknowledges before it has synced: a power cut would lose what was promised.`,
      NEXT,
      { server: lax.server_id ?? '' },
    );
  }
  const members = Math.max(1, ...storing.map((answer) => answer.jetstream?.meta?.cluster_size ?? 1));
  if (storing.length >= members) return null;
  return unsuitable(
    `${storing.length} of the ${members} servers that keep the streams said that they sync; the others were not heard.`,
    'Name the monitoring addresses of all of them, or ask through the system account.',
    { heard: storing.length, members },
  );
}

function unheard(who: string, error: unknown): Err {
  return failed('WM_UNREACHABLE', {
    message: `${who} could not be asked whether it syncs: ${error instanceof Error ? error.message : String(error)}.`,
    next: 'Check the address and the rights of the user, and whether the server runs; then start again.',
    detail: { who },
  });
}

async function askMonitors(urls: readonly string[]): Promise<Outcome<readonly Answer[]>> {
  const answers: Answer[] = [];
  for (const url of urls) {
    try {
      const response = await fetch(new URL('/varz', url), { signal: AbortSignal.timeout(ASKED_WITHIN_MS) });
      if (!response.ok) return unheard(url, `HTTP status ${response.status}`);
      answers.push((await response.json()) as Answer);
    } catch (error) {
      return unheard(url, error);
    }
  }
  return ok(answers);
}

async function askSystem(connection: NatsConnection): Promise<Outcome<readonly Answer[]>> {
  const answers: Answer[] = [];
  try {
    const heard = await connection.requestMany('$SYS.REQ.SERVER.PING.VARZ', '', {
      strategy: 'stall',
      stall: 1_000,
      maxWait: ASKED_WITHIN_MS,
      maxMessages: SERVERS_MAX,
    });
    for await (const message of heard) answers.push(message.json<{ readonly data: Answer }>().data);
  } catch (error) {
    return unheard('The system account', error);
  }
  if (answers.length > 0) return ok(answers);
  return unheard('The system account', 'nobody answered');
}
