// One program on an emulated machine, from power to the end of its output: the machine boots, runs it over a file system that was made
// for it, and switches itself off. What it prints leaves through a port, as records do. Nothing of the machine is kept.
import { mkdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { failed, ok, rejected, type Outcome } from '../../system/domain/outcome.ts';
import type { MachineImage } from './images.ts';
import { lookAt, removeMachine, startMachine, stopMachine } from './machine.ts';
import { Patience } from './patience.ts';
import { makeFile, squash } from './squash.ts';

const LOOK_MS = 200;
/** Bound: what is told of its console. */
const LAST_WORDS_MAX = 600;
/** Bound: what is told of the last line that its program printed. */
const LAST_LINE_MAX = 200;
/** What the first program says when the task has ended. */
const ENDED_LINE = /^the task ended with (\d+)/m;

export type TaskOptions = {
  readonly name: string;
  /** Folder of all machines. */
  readonly folder: string;
  readonly image: MachineImage;
  readonly memoryMib: number;
  /** Its content is at the root of the machine. */
  readonly content: string;
  readonly command: string;
  /** Bound: from power to end. */
  readonly msMax: number;
  /** Bound: without a word on its console or from its program, it is taken for one that hangs. */
  readonly silentMsMax: number;
  readonly signal: AbortSignal;
};

/** What it printed. WM_MACHINE: the machine did not come up or hung, the program failed or did not end in its time; WM_CANCELLED. */
export async function runTask(options: TaskOptions): Promise<Outcome<string>> {
  const { name, folder, image, memoryMib, content, command, signal } = options;
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const printed = join(folder, `${name}.printed`);
  const made = await makeFile(join(folder, `${name}.squashfs`), (part) => squash(content, part, [], signal));
  if (!made.ok) return made;
  const task = { layer: made.value, command };
  const started = await startMachine({
    name,
    folder,
    image,
    memoryMib,
    joinToken: null,
    zone: 'task',
    environment: {},
    records: printed,
    task,
  });
  if (!started.ok) return started;
  const ending = await untilOff(options, [printed, started.value.console]);
  await stopMachine(folder, name);
  const said = textOf(started.value.console);
  removeMachine(folder, name);
  if (signal.aborted) return rejected('WM_CANCELLED', { message: 'The machine was stopped by the user.', next: 'Start it again.' });
  const code = ENDED_LINE.exec(said)?.[1];
  if (ending === 'off' && code === '0') return ok(textOf(printed));
  const why = ending !== 'off' ? ending : code === undefined ? 'came to no end' : `ended with ${code}`;
  const lines = textOf(printed).trim().split('\n');
  const last =
    lines.at(-1) === ''
      ? 'It printed nothing'
      : `It had printed ${lines.length} lines, the last of them ${lines.at(-1)?.slice(0, LAST_LINE_MAX)}`;
  return failed('WM_MACHINE', {
    message: `${command} ${why} on the machine ${name}. ${last}. Its console ended with: ${said.trim().slice(-LAST_WORDS_MAX)}`,
    next: 'Correct what it names; a machine with too little memory is the usual cause. A busy host may need a quieter hour.',
  });
}

/** `off`, or in words why it was not waited for any longer. */
async function untilOff({ folder, name, msMax, silentMsMax, signal }: TaskOptions, spoken: readonly string[]): Promise<string> {
  const patience = new Patience({ msMax, silentMsMax }, performance.now());
  while (!signal.aborted) {
    const look = await lookAt(folder, name);
    if (!look.ok || look.value.pid === null) return 'off';
    const bytes = spoken.reduce((sum, file) => sum + bytesOf(file), 0);
    const ended = patience.endedBy(bytes, performance.now());
    if (ended !== null) return ended;
    await sleep(LOOK_MS);
  }
  return 'was stopped';
}

function bytesOf(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.size ?? 0;
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
