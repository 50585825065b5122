// The conformance set on an emulated machine, the faithful tier: a kernel, devices and time of its own instead of one emulated program.
// It runs what x86-64 compiled, as a node does, at every level of its architecture; it compiles nothing, and plays no scenarios.
import { cpSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ISA_LEVELS } from '../../system/domain/isa.ts';
import { failed, ok, type Outcome } from '../../system/domain/outcome.ts';
import { writeBundle } from '../qemu/bundle.ts';
import type { MachineImage } from '../qemu/images.ts';
import { wordsOf } from '../debian/debian.ts';
import { runTask } from '../qemu/task.ts';
import { levelProfile, TARGETS } from '../wasm/node-engine.ts';
import type { PlayedLine } from './case.ts';
import type { Machine } from './conformance.ts';
import type { PlayJob } from './play.main.ts';

const PLAYER = 'hardware/conformance/play.main.ts';
/** Where the machine has what it plays. */
const HOME = '/conformance';
const MEMORY_MIB = 512;
/** Bound: from power to the last case; a busy host takes minutes. */
const PLAYED_MS_MAX = 900_000;
/** Bound: between two lines. The longest is from power to the first: 15 s on an idle host, a minute and a half on one with four times the work. */
const SILENT_MS_MAX = 240_000;

export type MachinePlay = {
  readonly image: MachineImage;
  /** Folder of the comparison, with the set and the artefacts of the reference. */
  readonly folder: string;
  readonly signal: AbortSignal;
};

export function machineName({ architecture }: MachineImage): Pick<Machine, 'name' | 'architecture' | 'tier'> {
  return { name: `${architecture}-machine`, architecture, tier: 'qemu-system' };
}

/** WM_MACHINE, WM_CONFORMANCE, WM_CANCELLED. */
export async function playOnMachine({ image, folder, signal }: MachinePlay): Promise<Outcome<Machine>> {
  const { architecture } = image;
  const levels = ISA_LEVELS[architecture];
  const content = join(folder, `machine-${architecture}`);
  const home = join(content, HOME);
  try {
    mkdirSync(home, { recursive: true });
    await writeBundle(home, signal, PLAYER);
    cpSync(join(folder, 'set'), join(home, 'set'), { recursive: true });
    mkdirSync(join(home, 'artefacts'));
    for (const file of readdirSync(join(folder, 'artefacts')))
      if (levels.some(({ name }) => file.startsWith(`${name}-`))) cpSync(join(folder, 'artefacts', file), join(home, 'artefacts', file));
    const job: PlayJob = {
      engine: '/opt/engine.node',
      set: join(HOME, 'set'),
      levels: levels.map((level) => ({ level: level.name, profile: levelProfile(TARGETS[architecture], level) })),
      artefacts: { folder: join(HOME, 'artefacts'), read: true },
      compiles: false,
    };
    writeFileSync(join(home, 'job.json'), JSON.stringify(job));
  } catch (error) {
    return failed('WM_CONFORMANCE', {
      message: `What a machine is to play could not be packed: ${wordsOf(error)}.`,
      next: 'Make room, or repeat.',
    });
  }
  const printed = await runTask({
    name: `play-${architecture}`,
    folder: join(folder, 'machines'),
    image,
    memoryMib: MEMORY_MIB,
    content,
    command: `/usr/bin/node ${HOME}/program.js ${HOME}/job.json`,
    msMax: PLAYED_MS_MAX,
    silentMsMax: SILENT_MS_MAX,
    signal,
  });
  if (!printed.ok) return printed;
  const lines = printed.value
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as PlayedLine);
  const expected = { levels: levels.map(({ name }) => name), programs: 1, mayLack: false, compiles: false, runs: [] };
  return ok({ ...machineName(image), expected, lines });
}
