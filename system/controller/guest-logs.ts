// What guests logged lately, by deployment, and the operators who read it. In memory only: a restart begins with nothing.
// Bounds: lines of a deployment, and bytes of all; where there is no more room, whoever has the most gives.
import type { DeploymentName, InstanceId, NodeId } from '../domain/identifiers.ts';
import { LOG_LINES_MAX, type GuestLogLine, type LogsMessage } from '../domain/logs.ts';
import { rejected, type Err } from '../domain/outcome.ts';
import type { AgentMessage } from '../domain/session.ts';
import type { LogsStream } from '../api/api.ts';
import { MICROS_PER_S, type Clock } from '../ports/clock.ts';
import { Feed, tooMany } from './feed.ts';

/** Bound: bytes of all lines that are kept. */
const LOG_BYTES_MAX = 16 * 1024 * 1024;
/** Bound: operators that read logs at a time. */
export const READERS_MAX = 256;
/** Bound: time that a stream has to say what it wants. */
const REQUEST_MICROS = 5 * MICROS_PER_S;
/** Bytes of a line beside its text. */
const LINE_BYTES = 256;

type KeptLine = {
  readonly bytes: number;
  readonly line: GuestLogLine;
  /** Lines that were lost before this one. */
  readonly dropped: number;
};
type Kept = { lines: KeptLine[]; bytes: number; dropped: number };
type Reader = { readonly deployment: DeploymentName; readonly feed: Feed<KeptLine, LogsMessage> };
type Logs = Extract<AgentMessage, { readonly kind: 'logs' }>;

export type GuestLogsOptions = {
  readonly clock: Pick<Clock, 'after'>;
  /** Null: there is no such instance. */
  readonly deploymentOf: (instance: InstanceId) => DeploymentName | null;
  readonly isDeployed: (deployment: DeploymentName) => boolean;
};

export class GuestLogs {
  readonly #options: GuestLogsOptions;
  /** Bound: deployments; those that are deleted are forgotten. */
  readonly #kept = new Map<DeploymentName, Kept>();
  readonly #readers = new Set<Reader>();
  #bytes = 0;
  #stopped = false;

  constructor(options: GuestLogsOptions) {
    this.#options = options;
  }

  /** Owns the stream until it resolves. */
  async serve(stream: LogsStream): Promise<void> {
    const { clock, isDeployed } = this.#options;
    const timer = clock.after(REQUEST_MICROS, () => stream.close());
    const first = await stream.receive();
    timer.cancel();
    if (!first.ok) return first.error.code === 'WM_MESSAGE_INVALID' ? stream.refuse(first.error) : stream.close();
    if (first.value === null || this.#stopped) return stream.close();
    const { deployment, follow, lines } = first.value;
    if (!isDeployed(deployment)) return stream.refuse(unknownDeployment(deployment, 'is called'));
    if (this.#readers.size >= READERS_MAX) return stream.refuse(tooMany('streams of logs', READERS_MAX));
    const feed = new Feed<KeptLine, LogsMessage>({ clock, stream, joins: (_, next) => next.dropped === 0, compose });
    const reader: Reader = { deployment, feed };
    const asked = Math.min(lines, LOG_LINES_MAX);
    feed.begin(asked === 0 ? [] : (this.#kept.get(deployment)?.lines.slice(-asked) ?? []));
    if (follow) this.#readers.add(reader);
    else feed.finish();
    while (!feed.closed) {
      const received = await stream.receive();
      if (received.ok && received.value !== null)
        feed.end(
          rejected('WM_MESSAGE_INVALID', { message: 'A reader of logs asked twice.', next: 'Open a stream for each deployment.' }).error,
        );
      else feed.close();
    }
    this.#readers.delete(reader);
  }

  /** Whoever reads is closed in order. */
  stop(): void {
    this.#stopped = true;
    for (const { feed } of this.#readers) feed.close();
  }

  /** A node sent lines. Those of instances that nobody knows are of no use to anybody. */
  add(node: NodeId, { lines, dropped }: Logs): void {
    for (const { instance, lines: count } of dropped) {
      const deployment = this.#find(instance);
      if (deployment !== null) this.#keptOf(deployment).dropped += count;
    }
    for (const line of lines) {
      const deployment = this.#find(line.instance);
      if (deployment !== null) this.#addLine(deployment, { ...line, node });
    }
  }

  /** Null for an instance that nobody knows, and for one whose deployment is gone: its last lines come late. */
  #find(instance: InstanceId): DeploymentName | null {
    const deployment = this.#options.deploymentOf(instance);
    return deployment !== null && this.#options.isDeployed(deployment) ? deployment : null;
  }

  /** It was deleted. */
  forget(deployment: DeploymentName): void {
    this.#bytes -= this.#kept.get(deployment)?.bytes ?? 0;
    this.#kept.delete(deployment);
    for (const reader of this.#readers)
      if (reader.deployment === deployment) reader.feed.end(unknownDeployment(deployment, 'is called any more'));
  }

  #keptOf(deployment: DeploymentName): Kept {
    let kept = this.#kept.get(deployment);
    if (kept === undefined) this.#kept.set(deployment, (kept = { lines: [], bytes: 0, dropped: 0 }));
    return kept;
  }

  #addLine(deployment: DeploymentName, line: GuestLogLine): void {
    const kept = this.#keptOf(deployment);
    const item: KeptLine = { bytes: LINE_BYTES + line.text.length, line, dropped: kept.dropped };
    kept.dropped = 0;
    kept.lines.push(item);
    kept.bytes += item.bytes;
    this.#bytes += item.bytes;
    if (kept.lines.length > LOG_LINES_MAX) this.#dropOldest(kept);
    while (this.#bytes > LOG_BYTES_MAX) this.#dropOldest(this.#largest());
    for (const reader of this.#readers) if (reader.deployment === deployment) reader.feed.push(item);
  }

  #largest(): Kept {
    return [...this.#kept.values()].reduce((most, kept) => (kept.bytes > most.bytes ? kept : most));
  }

  #dropOldest(kept: Kept): void {
    const bytes = kept.lines.shift()?.bytes ?? 0;
    kept.bytes -= bytes;
    this.#bytes -= bytes;
  }
}

function compose(items: readonly KeptLine[]): LogsMessage {
  return { kind: 'lines', lines: items.map(({ line }) => line), dropped: items[0]?.dropped ?? 0 };
}

function unknownDeployment(deployment: DeploymentName, verb: string): Err['error'] {
  return rejected('WM_DEPLOYMENT_UNKNOWN', {
    message: `No deployment ${verb} '${deployment}'.`,
    next: 'List the deployments for their names.',
    detail: { deployment },
  }).error;
}
