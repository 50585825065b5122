// Where a controller keeps what must outlive it: a folder of its own, or NATS, which it shares with its standbys. On NATS it waits
// here until it leads: the store has one writer, and to open it is to take it away from whoever has it. A composition root.
import { hostname } from 'node:os';
import { join } from 'node:path';
import { ok, type Outcome } from '../system/domain/outcome.ts';
import type { Ports } from '../system/ports/ports.ts';
import { connectPlatform } from './buses.main.ts';
import { createLease, LOOKS_PER_LEASE, openNatsLeaseStore, type Lease, type Tenure } from './lease/lease.ts';
import type { NatsLink } from './nats/nats.ts';
import type { Resolved } from './process/process.ts';
import { openNatsStorage, type Durability } from './storage/nats/nats.ts';
import { openStorage, type OpenStorage } from './storage/storage.ts';

type Values = Resolved['values'];

const ANY_ADDRESS = /^(?:0\.0\.0\.0|\[::\]):/;

export type ControllerStore = {
  readonly storage: OpenStorage;
  /** Why this process must not lead any more; it never resolves for a folder. */
  readonly lost: Promise<string>;
  /** After the controller has stopped: a standby leads from here on. */
  close(): Promise<void>;
};

export type ControllerStoreOptions = {
  readonly ports: Pick<Ports, 'clock' | 'random'>;
  readonly folder: string;
  /** Where this controller listens once it leads. */
  readonly listen: string;
  /** To stop, while it waits. */
  readonly asked: Promise<unknown>;
  /** Trouble with the lease, for the log. */
  readonly say: (sentence: string) => void;
  /** Who leads, while this controller waits. */
  readonly onStandby: (sentence: string) => void;
};

export async function openControllerStore(settings: Values, options: ControllerStoreOptions): Promise<Outcome<ControllerStore>> {
  if (settings['store'] === 'nats') return openShared(settings, options);
  const storage = await openStorage({ folder: join(options.folder, 'store') });
  if (!storage.ok) return storage;
  return ok({ storage: storage.value, lost: new Promise<never>(() => {}), close: () => storage.value.close() });
}

async function openShared(settings: Values, options: ControllerStoreOptions): Promise<Outcome<ControllerStore>> {
  const link = await connectPlatform(settings);
  if (!link.ok) return link;
  const lease = await openLease(settings, link.value, options);
  let isWaiting = lease.ok;
  void options.asked.then(() => (lease.ok && isWaiting ? lease.value.stop() : undefined));
  const tenure = lease.ok ? await lease.value.acquire() : lease;
  isWaiting = false;
  const storage = tenure.ok ? await openAsLeader(settings, link.value, tenure.value) : tenure;
  if (lease.ok && tenure.ok && storage.ok) {
    return ok({
      storage: storage.value,
      lost: tenure.value.lost.then((cause) => `it does not lead any more: ${cause}`),
      close: async () => {
        await storage.value.close();
        await lease.value.stop();
        await link.value.close();
      },
    });
  }
  if (lease.ok) await lease.value.stop();
  await link.value.close();
  return storage as Exclude<typeof storage, { readonly ok: true }>;
}

const nameOf = (settings: Values): { readonly name: string; readonly replicas: number } => ({
  name: String(settings['nats.prefix']),
  replicas: Number(settings['nats.replicas']),
});

async function openLease(settings: Values, { connection }: NatsLink, options: ControllerStoreOptions): Promise<Outcome<Lease>> {
  const leaseMs = Number(settings['leaderLease']);
  const store = await openNatsLeaseStore({ connection, ...nameOf(settings), answerMs: Math.ceil(leaseMs / LOOKS_PER_LEASE) });
  if (!store.ok) return store;
  const { ports, listen, say, onStandby } = options;
  return createLease({
    ...ports,
    store: store.value,
    holder: String(settings['name'] ?? hostname()),
    address: listen.replace(ANY_ADDRESS, `${hostname()}:`),
    leaseMs,
    onStandby: (leader) => onStandby(`standby: ${leader.holder} leads at ${leader.address}; this controller waits.`),
    onTrouble: say,
  });
}

function openAsLeader(settings: Values, { connection }: NatsLink, tenure: Tenure): Promise<Outcome<OpenStorage>> {
  const durability: Durability =
    settings['nats.acceptLossAtPowerCut'] === true
      ? { kind: 'accept-loss-at-power-cut' }
      : { kind: 'monitor', urls: (settings['nats.monitors'] as readonly string[] | null) ?? [] };
  return openNatsStorage({ connection, ...nameOf(settings), durability, isLeading: () => tenure.isHeld() });
}
