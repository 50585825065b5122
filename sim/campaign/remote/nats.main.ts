// Options of the verbs that spread runs over machines, and what is made of them. A composition root.
import process from 'node:process';
import { InvalidArgumentError, Option, type Command } from 'commander';
import { checkJetStream, connectNats, type NatsCredentials, type NatsLink, type NatsOptions } from '../../../hardware/nats/nats.ts';
import { CampaignQueue } from '../../../hardware/queue/queue.ts';
import { describeError, ok, rejected, type Outcome, type WmError } from '../../../system/domain/outcome.ts';
import type { ScenarioSettings } from '../scenario.main.ts';
import { refuse } from '../teller.main.ts';
import { buildOf } from './build.ts';
import { campaignName, RemoteCrew } from './remote.ts';

export type NatsFlags = {
  readonly nats?: readonly string[];
  readonly natsUser?: string;
  readonly natsPassword?: string;
  readonly natsCredentials?: string;
  readonly natsCa?: string;
  readonly natsCertificate?: string;
  readonly natsKey?: string;
  readonly natsPrefix: string;
};

/** `what`: what is done with these servers. */
export function addNatsOptions(command: Command, what: string): Command {
  const secret = (name: string, text: string, variable: string): Option => new Option(name, text).env(variable);
  return command
    .option('--nats <servers>', `${what}: nats://host:4222, or tls://, several with commas`, servers)
    .addOption(secret('--nats-user <name>', 'user at these servers', 'WASMMATRIX_NATS_USER'))
    .addOption(
      secret('--nats-password <text>', 'password of that user; better in the environment than in a flag', 'WASMMATRIX_NATS_PASSWORD'),
    )
    .addOption(secret('--nats-credentials <file>', 'credentials as `nsc` writes them, instead of both', 'WASMMATRIX_NATS_CREDENTIALS'))
    .option('--nats-ca <file>', 'certificates of the authorities that these servers are trusted by (default: those of this machine)')
    .option('--nats-certificate <file>', 'certificate of this process, where the servers ask for one')
    .option('--nats-key <file>', 'its key')
    .option('--nats-prefix <name>', 'beginning of all names at NATS', 'wasmmatrix');
}

/** `--jobs` beside `--nats`. */
export function jobsElsewhere(): WmError {
  return rejected('WM_ARGUMENT', {
    message: '--jobs is for threads of this machine, and with --nats others play.',
    next: 'Leave one of them out; each `wasmmatrix worker` has a --jobs of its own.',
  }).error;
}

export function connectQueue(flags: NatsFlags, name: string): Promise<Outcome<NatsLink>> | Outcome<NatsLink> {
  const options = toNatsOptions(flags, name);
  return options.ok ? connectNats(options.value) : options;
}

/** Whether campaigns can have these servers; asked before anything is built, so that nobody waits for a refusal. Null: they can. */
export async function serversTrouble(flags: NatsFlags): Promise<WmError | null> {
  const link = await connectQueue(flags, `wasmmatrix campaign, process ${process.pid}`);
  if (!link.ok) return link.error;
  const checked = await checkJetStream(link.value);
  await link.value.close();
  return checked.ok ? null : checked.error;
}

export type Remote = { readonly crew: RemoteCrew; close(): Promise<void> };

/** A crew of workers elsewhere; null: refused, and said why. */
export async function openRemote(
  flags: NatsFlags,
  settings: ScenarioSettings,
  { warn, tell }: { readonly warn: (text: string) => void; readonly tell: (text: string) => void },
): Promise<Remote | null> {
  const link = await connectQueue(flags, `wasmmatrix campaign, process ${process.pid}`);
  if (!link.ok) {
    refuse([describeError(link.error)]);
    return null;
  }
  const queue = await CampaignQueue.open({ link: link.value, prefix: flags.natsPrefix, campaign: campaignName() });
  if (!queue.ok) {
    await link.value.close();
    refuse([describeError(queue.error)]);
    return null;
  }
  watchLink(link.value, warn);
  const crew = new RemoteCrew({ queue: queue.value, build: buildOf(settings), servers: (flags.nats ?? []).join(','), warn, tell });
  return {
    crew,
    async close() {
      await crew.close();
      await link.value.close();
    },
  };
}

/** Says when the connection is gone, and when it is there again. */
export function watchLink(link: NatsLink, warn: (text: string) => void): void {
  link.watch((state) => {
    if (state === 'lost') warn('The connection to NATS is lost; it is made again as soon as a server answers.');
    if (state === 'connected') warn('The connection to NATS is there again.');
  });
}

export function toNatsOptions(flags: NatsFlags, name: string): Outcome<NatsOptions> {
  const { natsUser, natsPassword, natsCredentials, natsCa, natsCertificate, natsKey } = flags;
  if ((flags.nats ?? []).some((server) => server.includes('@')))
    return rejected('WM_ARGUMENT', {
      message: 'An address in --nats has an @: who this is does not belong there, for addresses are printed.',
      next: 'Give nats://host:4222, the user with --nats-user, and the password in WASMMATRIX_NATS_PASSWORD.',
    });
  if (natsUser !== undefined && natsCredentials !== undefined)
    return rejected('WM_ARGUMENT', {
      message: '--nats-user and --nats-credentials both say who this is.',
      next: 'Leave one of them out; WASMMATRIX_NATS_USER and WASMMATRIX_NATS_CREDENTIALS count too.',
    });
  if ((natsCertificate === undefined) !== (natsKey === undefined))
    return rejected('WM_ARGUMENT', {
      message: 'A certificate of this process needs its key, and a key its certificate.',
      next: 'Give both --nats-certificate and --nats-key, or neither.',
    });
  const credentials: NatsCredentials =
    natsCredentials !== undefined
      ? { kind: 'file', path: natsCredentials }
      : natsUser !== undefined
        ? { kind: 'password', user: natsUser, password: natsPassword ?? '' }
        : { kind: 'none' };
  const tls =
    natsCa === undefined && natsCertificate === undefined
      ? null
      : {
          ...(natsCa === undefined ? {} : { caFile: natsCa }),
          ...(natsCertificate === undefined ? {} : { certificateFile: natsCertificate }),
          ...(natsKey === undefined ? {} : { keyFile: natsKey }),
        };
  return ok({ servers: flags.nats ?? [], name, credentials, tls });
}

function servers(text: string): readonly string[] {
  const named = text.split(',').filter((server) => server !== '');
  // Refused later: what is refused here is printed.
  if (text.includes('@')) return named;
  if (named.length === 0 || named.some((server) => !/^(?:nats|tls):\/\/[^/\s]+$/.test(server)))
    throw new InvalidArgumentError('Give nats://host:4222 or tls://host:4222, several with commas.');
  return named;
}
