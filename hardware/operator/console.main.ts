// What the operator's verbs share: the options that all of them have, a connection for as long as a command takes, interruption,
// and the forms of output. A composition root.
import { randomUUID } from 'node:crypto';
import process from 'node:process';
import { InvalidArgumentError, Option, type Command } from 'commander';
import { stringify } from 'yaml';
import type { OperatorAnswer, OperatorCommand, OperatorQuery, OperatorReply } from '../../system/domain/operator.ts';
import { describeError, type Outcome, type WmError } from '../../system/domain/outcome.ts';
import { openOperator, plainOf, type Operator } from './operator.ts';

export const EXIT_REJECTED = 2;
const EXIT_INTERRUPTED = 130;
const MICROS_PER_S = 1_000_000;
const WAIT_S = 30;
const WAIT_S_MAX = 3_600;
/** A controller that is away is spoken of once it has been for this long. */
const SILENT_MS = 1_500;

export type CommonOptions = {
  readonly context?: string;
  readonly wait?: number;
  readonly output?: Form;
};

export const FORMS = ['table', 'wide', 'json', 'yaml'] as const;
export type Form = (typeof FORMS)[number];

export function addCommon(command: Command, options: { readonly forms: boolean } = { forms: false }): Command {
  command
    .option('--context <file>', 'whom to speak to as whom (default: WASMMATRIX_CONTEXT, the last login, or the controller of this machine)')
    .option('--wait <seconds>', `how long to wait for a controller that does not answer (default: ${WAIT_S})`, seconds);
  if (options.forms) command.addOption(new Option('-o, --output <form>', 'form of the output').choices(FORMS).default('table'));
  return command;
}

/** What a verb has while it runs. */
export type Session = {
  readonly operator: Operator;
  readonly deadlineMicros: number;
  readonly form: Form;
  /** True from the first signal on. */
  readonly interrupted: () => boolean;
  /** Called at the first signal. */
  readonly onInterrupt: (listener: () => void) => void;
  execute(command: OperatorCommand): Promise<Outcome<OperatorReply>>;
  query(query: OperatorQuery): Promise<Outcome<OperatorAnswer>>;
};

/** Opens, runs, closes; the exit code is the verb's. */
export async function withOperator(options: CommonOptions, run: (session: Session) => Promise<number>): Promise<number> {
  const since = performance.now();
  let told = '';
  const opened = await openOperator({
    context: options.context ?? null,
    environment: process.env,
    onTrouble: (error) => {
      const line = `Waiting for the controller: ${error.message}`;
      if (performance.now() - since < SILENT_MS || line === told) return;
      told = line;
      process.stderr.write(`${line}\n`);
    },
  });
  if (!opened.ok) return refuse(opened.error);
  const operator = opened.value;
  const deadlineMicros = (options.wait ?? WAIT_S) * MICROS_PER_S;
  const listeners: (() => void)[] = [];
  let interrupts = 0;
  const interrupt = (): void => {
    interrupts += 1;
    // A command that waits for nothing but an answer has no order to stop in.
    if (interrupts > 1 || listeners.length === 0) process.exit(EXIT_INTERRUPTED);
    for (const listener of listeners) listener();
  };
  process.on('SIGINT', interrupt);
  process.on('SIGTERM', interrupt);
  try {
    return await run({
      operator,
      deadlineMicros,
      form: options.output ?? 'table',
      interrupted: () => interrupts > 0,
      onInterrupt: (listener) => listeners.push(listener),
      execute: (command) => operator.client.execute(`${command.kind}-${randomUUID()}`, command, { deadlineMicros }),
      query: (query) => operator.client.query(query, { deadlineMicros }),
    });
  } finally {
    process.off('SIGINT', interrupt);
    process.off('SIGTERM', interrupt);
    await operator.close();
  }
}

export const sleep = (ms: number): Promise<void> => new Promise((resolve) => void setTimeout(resolve, ms));

export function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

export function printData(form: 'json' | 'yaml', value: unknown): void {
  const plain = plainOf(value);
  process.stdout.write(form === 'json' ? `${JSON.stringify(plain, null, 2)}\n` : stringify(plain));
}

export function refuse(error: WmError): number {
  process.stderr.write(`${describeError(error).replaceAll(/\n (?=\S)/g, '\n')}\n`);
  return EXIT_REJECTED;
}

export function countFrom(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text === '' || !Number.isSafeInteger(value) || value < min || value > max)
      throw new InvalidArgumentError(`expected a whole number from ${min} to ${max}.`);
    return value;
  };
}

function seconds(text: string): number {
  const value = Number(text);
  if (text === '' || !(value > 0) || value > WAIT_S_MAX)
    throw new InvalidArgumentError(`expected seconds, more than 0 and at most ${WAIT_S_MAX}.`);
  return value;
}

export function collect(text: string, before: readonly string[] = []): readonly string[] {
  return [...before, text];
}
