// `logs`: what the guests of a deployment log, on all nodes. A composition root.
import process from 'node:process';
import type { Command } from 'commander';
import type { DeploymentName } from '../../system/domain/identifiers.ts';
import { LOG_LINES_MAX, type GuestLogLine } from '../../system/domain/logs.ts';
import { LOGS_METHOD } from '../../system/domain/operator.ts';
import { unknown } from '../../system/domain/outcome.ts';
import { decodeLogsMessage, encodeLogsRequest } from '../../system/wire/codec/logs.ts';
import {
  addCommon,
  countFrom,
  EXIT_REJECTED,
  print,
  refuse,
  sleep,
  withOperator,
  type CommonOptions,
  type Session,
} from './console.main.ts';

const LOG_LINES = 100;
/** Pause before a stream that was lost is opened again. */
const AGAIN_MS = 500;

type LogsOptions = CommonOptions & { readonly follow?: true; readonly lines?: number; readonly json?: true };

export function addLogs(program: Command): void {
  const command = program
    .command('logs')
    .summary('show what the guests of a deployment log')
    .description(
      'Shows the recent lines that the guests of a deployment logged, on all nodes, and how failed invocations ended. The controller keeps them in memory only.',
    )
    .argument('<deployment>', 'its name')
    .option('-f, --follow', 'go on with new lines, until Ctrl-C')
    .option('-n, --lines <n>', `how many recent lines to begin with (default: ${LOG_LINES})`, countFrom(0, LOG_LINES_MAX))
    .option('--json', 'print each line as JSON');
  addCommon(command).action(async (deployment: string, options: LogsOptions) => {
    process.exitCode = await withOperator(options, (session) => logs(session, deployment as DeploymentName, options));
  });
}

async function logs(session: Session, deployment: DeploymentName, options: LogsOptions): Promise<number> {
  let lines = options.lines ?? LOG_LINES;
  let stop = (): void => {};
  session.onInterrupt(() => stop());
  for (;;) {
    const opened = await session.operator.client.open(LOGS_METHOD, { deadlineMicros: session.deadlineMicros });
    if (!opened.ok) return refuse(opened.error);
    const stream = opened.value;
    stop = () => stream.close();
    await stream.send(encodeLogsRequest({ deployment, follow: options.follow === true, lines }));
    for (;;) {
      const received = await stream.receive();
      if (session.interrupted()) return 0;
      if (!received.ok) break;
      if (received.value === null) return 0;
      const message = decodeLogsMessage(received.value);
      if (!message.ok) return refuse(message.error);
      if (message.value.kind === 'ended') {
        process.stderr.write(`${message.value.code}: ${message.value.message} ${message.value.next}\n`);
        return EXIT_REJECTED;
      }
      if (message.value.dropped > 0)
        process.stderr.write(`${message.value.dropped} lines were lost here: more were logged than is carried.\n`);
      for (const line of message.value.lines) print(options.json === true ? JSON.stringify(line) : lineOf(line));
    }
    stream.close();
    if (options.follow !== true)
      return refuse(
        unknown('WM_CONNECTION_LOST', { message: 'The connection was lost before all lines were read.', next: 'Repeat the command.' })
          .error,
      );
    lines = 0;
    await sleep(AGAIN_MS);
  }
}

function lineOf({ timeMs, node, instance, version, level, event, text }: GuestLogLine): string {
  return `${new Date(timeMs).toISOString()} ${level.padEnd(5)} ${instance}@${version} ${node} ${event}: ${text}`;
}
