// What a campaign over a queue is tried with: a real NATS server, and places on it that know nothing of each other. Workers of a place
// are in this process and play a toy.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connectNats, type NatsLink } from '../../../hardware/nats/nats.ts';
import { CampaignQueue, WorkerQueue } from '../../../hardware/queue/queue.ts';
import type { RunSummary } from '../../../scenarios/record.ts';
import type { CampaignProgress } from '../../../sim/campaign/campaign.ts';
import { toBuild, type Build } from '../../../sim/campaign/remote/build.ts';
import { campaignName, RemoteCrew } from '../../../sim/campaign/remote/remote.ts';
import { Worker } from '../../../sim/campaign/remote/work.ts';
import { get } from '../../support/bus/site.ts';
import { startNats, type NatsServer } from '../../support/nats/nats.ts';
import { playerUrl } from '../../unit/sim-kernel/jobs.ts';

export const TOY = { player: playerUrl('toy.ts') };
export const TOYS: Build = toBuild({ version: '0', node: '24', sources: 'toy', engine: '', guests: '' }, null);

export const seeds = (count: number): readonly string[] => Array.from({ length: count }, (_, i) => `0x${(i + 1).toString(16)}`);

/** What a run came to, without what the machine was like. */
export const comeTo = ({ wallMs: _, ...rest }: RunSummary): Omit<RunSummary, 'wallMs'> => rest;

/** `seen` resolves when so many runs are played at a time. */
export function isPlaying(runs: number): { readonly seen: Promise<void>; readonly onProgress: (progress: CampaignProgress) => void } {
  let see: () => void = () => {};
  const seen = new Promise<void>((resolve) => (see = resolve));
  return { seen, onProgress: ({ active }) => void (active.length >= runs && see()) };
}

type Told = { readonly crew: RemoteCrew; readonly said: string[]; readonly campaign: string; readonly queue: CampaignQueue };
type Hired = { readonly worker: Worker; readonly ended: Promise<void>; readonly played: string[]; readonly said: string[] };

export class QueueSite {
  readonly folder = mkdtempSync(join(tmpdir(), 'wasmmatrix-queue-'));
  readonly server: NatsServer;
  readonly #links: NatsLink[] = [];

  private constructor(server: NatsServer) {
    this.server = server;
  }

  static async open(): Promise<QueueSite> {
    return new QueueSite(await startNats());
  }

  async close(): Promise<void> {
    for (const link of this.#links) await link.close();
    await this.server.stop();
    rmSync(this.folder, { recursive: true });
  }

  async connect(): Promise<NatsLink> {
    return this.#keep(await connectNats({ servers: [this.server.url], name: 'test', credentials: { kind: 'none' }, tls: null }));
  }

  async login({ url }: NatsServer, user: string, password: string): Promise<NatsLink> {
    const credentials = { kind: 'password', user, password } as const;
    return this.#keep(await connectNats({ servers: [url], name: user, credentials, tls: null }));
  }

  #keep(connected: Awaited<ReturnType<typeof connectNats>>): NatsLink {
    const link = get(connected);
    this.#links.push(link);
    return link;
  }
}

/** Streams of one prefix. */
export class Place {
  readonly prefix: string;
  readonly #site: QueueSite;
  readonly #ends: (() => Promise<unknown>)[] = [];

  constructor(site: QueueSite, prefix: string) {
    this.#site = site;
    this.prefix = prefix;
  }

  onEnd(end: () => Promise<unknown>): void {
    this.#ends.push(end);
  }

  async end(): Promise<void> {
    for (const end of this.#ends.splice(0).toReversed()) await end();
  }

  async crewOf(build: Build = TOYS, link: NatsLink | null = null): Promise<Told> {
    const campaign = campaignName();
    const queue = get(await CampaignQueue.open({ link: link ?? (await this.#site.connect()), prefix: this.prefix, campaign }));
    const said: string[] = [];
    const say = (text: string): void => void said.push(text);
    return { crew: new RemoteCrew({ queue, build, servers: this.#site.server.url, warn: say, tell: say }), said, campaign, queue };
  }

  async workerQueue(link: NatsLink | null = null): Promise<WorkerQueue> {
    return get(WorkerQueue.open(link ?? (await this.#site.connect()), this.prefix));
  }

  /** `isWell` false: its end is not waited for, since it ends with an error that the test hears. */
  async hire(name: string, threads = 1, build: Build = TOYS, link: NatsLink | null = null, isWell = true): Promise<Hired> {
    const played: string[] = [];
    const said: string[] = [];
    const worker = new Worker({
      queue: await this.workerQueue(link),
      build,
      name,
      threads,
      player: TOY,
      folder: this.#site.folder,
      warn: (text) => said.push(text),
      onRun: ({ scenario, seed }) => played.push(`${scenario} ${seed}`),
    });
    const ended = worker.run();
    this.onEnd(async () => {
      worker.giveBack();
      return isWell ? ended : null;
    });
    return { worker, ended, played, said };
  }

  async whatIsLeft(): Promise<Readonly<Record<string, readonly [messages: number, consumers: number]>>> {
    const { manager } = await this.#site.connect();
    const left: Record<string, readonly [number, number]> = {};
    for await (const { config, state } of manager.streams.list())
      if (config.name.startsWith(`${this.prefix}-`)) left[config.name] = [state.messages, state.consumer_count];
    return left;
  }
}
