// The verbs that deal in events: `publish`, `subscribe`. A composition root.
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import process from 'node:process';
import type { Command } from 'commander';
import type { ConsumerSpec } from '../../system/domain/broker.ts';
import { EVENT_BYTES_MAX, type BusEvent } from '../../system/domain/event.ts';
import type { ConsumerName, CorrelationId, EventId, SubjectFilter } from '../../system/domain/identifiers.ts';
import { ok, rejected, type Outcome } from '../../system/domain/outcome.ts';
import { isSubject, isSubjectFilter } from '../../system/domain/subject.ts';
import { whyOf } from '../../system/domain/why.ts';
import { repeat } from '../../system/api/api.ts';
import { SystemClock } from '../clock/clock.ts';
import { SystemRandom } from '../random/random.ts';
import { addCommon, collect, countFrom, print, refuse, sleep, withOperator, type CommonOptions, type Session } from './console.main.ts';

const COUNT_MAX = 1_000_000_000;
const FETCH = { eventsMax: 64, waitMs: 2_000, fence: null } as const;
const SUBSCRIPTION = {
  ackWaitMs: 30_000,
  deliveriesMax: 1_000,
  backoffMs: 100,
  backoffMsMax: 2_000,
  pendingMax: 256,
  idleMsMax: 60_000,
} as const;
/** Pause before a fetch or stream that failed is repeated. */
const AGAIN_MS = 500;

type PublishOptions = CommonOptions & { readonly id?: string; readonly header?: readonly string[]; readonly json?: true };

export function addPublish(program: Command): void {
  const command = program
    .command('publish')
    .summary('publish an event')
    .description('Publishes an event and waits until it is durable. Publishing again under the same identifier stores it once.')
    .argument('<subject>', 'such as sensors.brake')
    .argument('<data>', 'the event itself; @file reads a file, - standard input')
    .option('--id <id>', 'identifier of the event (default: a new one)')
    .option('--header <name=value>', 'header of the event; may be repeated', collect)
    .option('--json', 'print the acknowledgement as JSON');
  addCommon(command).action(async (subject: string, data: string, options: PublishOptions) => {
    process.exitCode = await publish(subject, data, options);
  });
}

function readData(data: string): Outcome<Uint8Array> {
  if (data !== '-' && !data.startsWith('@')) return ok(new TextEncoder().encode(data));
  const file = data === '-' ? 0 : data.slice(1);
  try {
    return ok(new Uint8Array(readFileSync(file)));
  } catch (error) {
    const why = whyOf(error);
    return rejected('WM_ARGUMENT', {
      message: `The data ${data} cannot be read (${why}).`,
      next: 'Name a file that you may read after the @.',
    });
  }
}

function wrongArgument(message: string, next: string): number {
  return refuse(rejected('WM_ARGUMENT', { message, next }).error);
}

async function publish(subject: string, data: string, options: PublishOptions): Promise<number> {
  if (!isSubject(subject))
    return wrongArgument(`'${subject}' is no subject.`, 'Use words joined by dots, such as sensors.brake; wildcards are for filters.');
  const bytes = readData(data);
  if (!bytes.ok) return refuse(bytes.error);
  if (bytes.value.length > EVENT_BYTES_MAX)
    return refuse(
      rejected('WM_EVENT_INVALID', {
        message: `The event has ${bytes.value.length} bytes of data; one may have ${EVENT_BYTES_MAX}.`,
        next: 'Send less, or keep it elsewhere and publish where it is.',
      }).error,
    );
  const headers: Record<string, string> = {};
  for (const header of options.header ?? []) {
    const equals = header.indexOf('=');
    if (equals < 1) return wrongArgument(`The header '${header}' has no name and value.`, 'Write it as name=value.');
    headers[header.slice(0, equals)] = header.slice(equals + 1);
  }
  const id = options.id ?? randomUUID();
  const clock = new SystemClock();
  const event: BusEvent = {
    id: id as EventId,
    subject: subject,
    timeMs: clock.civilMs(),
    correlation: id as CorrelationId,
    headers,
    data: bytes.value,
  };
  return withOperator(options, async ({ operator, deadlineMicros }) => {
    const stream = new SystemRandom().stream('publish');
    const ack = await repeat({ clock, stream, deadlineMicros }, (micros) =>
      operator.bus.publish(event, { fence: null, deadlineMicros: micros }),
    );
    if (!ack.ok) return refuse(ack.error);
    const { sequence, duplicate } = ack.value;
    if (options.json === true) print(JSON.stringify({ id, subject, sequence, duplicate }));
    else print(duplicate ? `event ${id} is stored already, as ${sequence}` : `event ${id} is stored as ${sequence}`);
    return 0;
  });
}

type SubscribeOptions = CommonOptions & { readonly count?: number; readonly json?: true };

export function addSubscribe(program: Command): void {
  const command = program
    .command('subscribe')
    .summary('show events as they come')
    .description('Shows the events whose subject matches a filter, from now on, until Ctrl-C: subject and data, one a line.')
    .argument('<filter>', "such as 'alerts.>' or 'sensors.*'; quote it, or the shell may read it")
    .option('--count <n>', 'end after this many', countFrom(1, COUNT_MAX))
    .option('--json', 'print each event as a JSON line, with its identifier, headers and time');
  addCommon(command).action(async (filter: string, options: SubscribeOptions) => {
    if (!isSubjectFilter(filter)) {
      process.exitCode = wrongArgument(
        `'${filter}' is no filter of subjects.`,
        "Use words joined by dots, * for one word, a final > for the rest: 'alerts.>'.",
      );
      return;
    }
    process.exitCode = await withOperator(options, (session) => subscribe(session, filter, options));
  });
}

async function subscribe(session: Session, filter: SubjectFilter, options: SubscribeOptions): Promise<number> {
  const { bus } = session.operator;
  const spec: ConsumerSpec = { ...SUBSCRIPTION, name: `cli-${randomUUID()}` as ConsumerName, filter };
  const clock = new SystemClock();
  const stream = new SystemRandom().stream('subscribe');
  const created = await repeat({ clock, stream, deadlineMicros: session.deadlineMicros }, () => bus.createConsumer(spec));
  if (!created.ok) return refuse(created.error);
  session.onInterrupt(() => {});
  process.stderr.write(`Listening on ${filter}. Ctrl-C ends it.\n`);
  let left = options.count ?? Number.POSITIVE_INFINITY;
  let code = 0;
  while (left > 0 && !session.interrupted()) {
    const fetched = await bus.fetch(spec.name, { ...FETCH, eventsMax: Math.min(FETCH.eventsMax, left) });
    if (!fetched.ok) {
      if (fetched.error.kind === 'rejected') {
        code = refuse(fetched.error);
        break;
      }
      await sleep(AGAIN_MS);
      continue;
    }
    for (const delivery of fetched.value) {
      print(options.json === true ? JSON.stringify(jsonOf(delivery.event)) : `${delivery.event.subject} ${textOf(delivery.event.data)}`);
      left -= 1;
      await bus.settle(spec.name, delivery, { kind: 'ack' }, { fence: null });
    }
  }
  const deleted = await bus.deleteConsumer(spec.name);
  if (!deleted.ok) process.stderr.write(`The consumer ${spec.name} is left behind: ${deleted.error.message}\n`);
  return code;
}

function textOf(data: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(data).replaceAll('\n', '\\n');
  } catch {
    return `base64:${Buffer.from(data).toString('base64')}`;
  }
}

function jsonOf({ id, subject, timeMs, correlation, headers, data }: BusEvent): object {
  const text = textOf(data);
  return {
    id,
    subject,
    time: new Date(timeMs).toISOString(),
    correlation,
    headers,
    ...(text.startsWith('base64:') ? { base64: text.slice(7) } : { data: new TextDecoder().decode(data) }),
  };
}
