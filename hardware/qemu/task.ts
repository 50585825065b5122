// One program on an emulated machine, from power to the end of its output: the machine boots, runs it over a file system that was made
// for it, and switches itself off. What it prints leaves through a port, as records do. Nothing of the machine is kept.
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { failed, ok, rejected, type Outcome } from '../../system/domain/outcome.ts';
import type { MachineImage } from './images.ts';
import { lookAt, removeMachine, startMachine, stopMachine } from './machine.ts';
import { makeFile, squash } from './squash.ts';

const LOOK_MS = 200;
/** Bound: what is told of its console. */
const LAST_WORDS_MAX = 600;
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
  readonly signal: AbortSignal;
};

/** What it printed. WM_MACHINE: the machine did not come up, the program failed or did not end in its time; WM_CANCELLED. */
export async function runTask({ name, folder, image, memoryMib, content, command, msMax, signal }: TaskOptions): Promise<Outcome<string>> {
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
  const ended = await untilOff({ folder, name }, msMax, signal);
  await stopMachine(folder, name);
  const said = textOf(started.value.console);
  removeMachine(folder, name);
  if (signal.aborted) return rejected('WM_CANCELLED', { message: 'The machine was stopped by the user.', next: 'Start it again.' });
  const code = ENDED_LINE.exec(said)?.[1];
  if (ended && code === '0') return ok(textOf(printed));
  const why = !ended ? `was not done after ${msMax / 1_000} s` : code === undefined ? 'came to no end' : `ended with ${code}`;
  return failed('WM_MACHINE', {
    message: `${command} ${why} on the machine ${name}. It said last: ${said.trim().slice(-LAST_WORDS_MAX)}`,
    next: 'Correct what it names; a machine with too little memory is the usual cause.',
  });
}

/** False: it is on after `msMax`. */
async function untilOff(
  { folder, name }: { readonly folder: string; readonly name: string },
  msMax: number,
  signal: AbortSignal,
): Promise<boolean> {
  const endMs = performance.now() + msMax;
  while (performance.now() < endMs && !signal.aborted) {
    const look = await lookAt(folder, name);
    if (!look.ok || look.value.pid === null) return true;
    await sleep(LOOK_MS);
  }
  return false;
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
