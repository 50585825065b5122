// Kills a controller again and again while another process loads it, and holds it to what that process was answered. The controller is
// `wasmmatrix up` as users start it; one data folder, one address.
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { FileKeys } from '../../../hardware/keys/keys.ts';
import { openOperator } from '../../../hardware/operator/operator.ts';
import { start, type Running } from '../e2e/command.ts';
import { reserveAddress } from '../network/reserve.ts';
import { Judge, judgeEvents } from './judge.ts';
import { readLines, type Line } from './lines.ts';

const LOAD = fileURLToPath(new URL('./load.main.ts', import.meta.url));
/** One in so many is killed at any moment of its start; the others when the log of the load has grown by up to so many bytes. */
const STARTING = 4;
const SERVING_BYTES_MAX = 100_000;
/** Bound: the same in time, for when the machine is busy with other things. */
const SERVING_MS_MAX = 5_000;
const LOOK_MS = 5;
/** Between two judgements: kills, and commands, of which the controller remembers the answers of 4,096. */
const KILLS_BETWEEN = 10;
const COMMANDS_BETWEEN_MAX = 2_500;
/** Bounds: waits for what must come. */
const PAUSED_WITHIN_MS = 120_000;
const DELIVERED_WITHIN_MS = 60_000;

export type Figures = {
  readonly kills: number;
  readonly killsWhileStarting: number;
  readonly commandsAcknowledged: number;
  readonly commandsUnknown: number;
  readonly commandsUnknownThatHappened: number;
  readonly commandsRefused: number;
  readonly eventsAcknowledged: number;
  readonly writesAcknowledged: number;
  readonly judgements: number;
  readonly journalSequence: number;
  readonly recoveredEntriesMost: number;
  readonly startMsMedian: number;
  readonly startMsLongest: number;
};

export type Outcome = { readonly figures: Figures; readonly faults: readonly string[] };

export type Options = {
  readonly kills: number;
  /** Told now and then. */
  readonly onProgress: (line: string) => void;
};

export async function killControllers(options: Options): Promise<Outcome> {
  const folder = mkdtempSync(join(tmpdir(), 'wasmmatrix-kills-'));
  const course = new Course(folder, options);
  const atExit = (): void => course.kill();
  process.once('exit', atExit);
  try {
    const outcome = await course.run();
    if (outcome.faults.length === 0) rmSync(folder, { recursive: true });
    else options.onProgress(`Everything is left in ${folder}.`);
    return outcome;
  } finally {
    process.off('exit', atExit);
    await course.end();
  }
}

class Course {
  readonly #folder: string;
  readonly #options: Options;
  readonly #judge: Judge;
  readonly #keys: FileKeys;
  readonly #log: string;
  #address = '';
  #joinToken: string | null = null;
  #controller: Running | null = null;
  #load: Load | null = null;
  #judgedCommands = 0;
  #judgements = 0;
  readonly #startMs: number[] = [];
  #journalSequence = 0;
  #recoveredEntries = 0;

  constructor(folder: string, options: Options) {
    this.#folder = folder;
    this.#options = options;
    this.#keys = new FileKeys(join(folder, 'keys'));
    this.#judge = new Judge(this.#keys);
    this.#log = join(folder, 'load.jsonl');
  }

  async run(): Promise<Outcome> {
    this.#address = await reserveAddress();
    await this.#serve();
    this.#load = new Load([join(this.#data, 'operator.json'), join(this.#folder, 'keys'), this.#log]);
    await this.#load.said('loading', PAUSED_WITHIN_MS);
    let killsWhileStarting = 0;
    let faults: readonly string[] = [];
    for (let kill = 1; kill <= this.#options.kills && faults.length === 0; kill++) {
      const starting = kill % STARTING === 0;
      if (starting) {
        killsWhileStarting += 1;
        const startMs = this.#startMs.at(-1) ?? SERVING_MS_MAX;
        this.#controller = this.#start();
        await this.#killAfter(this.#controller, Math.random() * startMs);
      } else {
        if (this.#controller === null) await this.#serve();
        await this.#loaded(Math.random() * SERVING_BYTES_MAX);
        await this.#killAfter(this.#controller!, Math.random() * LOOK_MS);
      }
      this.#controller = null;
      if (kill % STARTING !== STARTING - 1 && (kill % KILLS_BETWEEN === 0 || this.#unjudged() > COMMANDS_BETWEEN_MAX))
        faults = await this.#judgeNow();
      if (kill % KILLS_BETWEEN === 0) this.#options.onProgress(`${kill} kills; ${this.#judgedCommands} commands were judged.`);
    }
    if (faults.length === 0) faults = await this.#judgeNow();
    return { figures: this.#figures(killsWhileStarting), faults };
  }

  async end(): Promise<void> {
    await this.#load?.end();
    if (this.#controller !== null) await this.#killAfter(this.#controller, 0);
  }

  /** Nothing is left when this process is told to end. */
  kill(): void {
    this.#controller?.child.kill('SIGKILL');
    this.#load?.kill();
  }

  get #data(): string {
    return join(this.#folder, 'controller');
  }

  #start(): Running {
    return start(['up', '--json', '--listen', this.#address, '--data', this.#data, '--log-format', 'json'], {
      env: { WASMMATRIX_ADMIN: '127.0.0.1:0', XDG_CONFIG_HOME: join(this.#folder, 'config') },
    });
  }

  async #serve(): Promise<void> {
    const since = performance.now();
    const running = this.#start();
    this.#controller = running;
    await running.said('"joinToken"');
    this.#startMs.push(performance.now() - since);
    const told = (JSON.parse(running.stdout().split('\n')[0] ?? '') as { readonly controller: { joinToken: string } }).controller;
    if (this.#joinToken !== null && told.joinToken !== this.#joinToken) throw new Error('the join token is another one after a start');
    this.#joinToken = told.joinToken;
  }

  async #loaded(bytes: number): Promise<void> {
    const enough = statSync(this.#log).size + bytes;
    for (const since = performance.now(); statSync(this.#log).size < enough && performance.now() - since < SERVING_MS_MAX;)
      await new Promise((resolve) => void setTimeout(resolve, LOOK_MS));
  }

  async #killAfter(running: Running, ms: number): Promise<void> {
    await new Promise((resolve) => void setTimeout(resolve, ms));
    const kill = running.child.kill('SIGKILL');
    const ended = await running.ended;
    if (!kill || running.child.signalCode !== 'SIGKILL')
      throw new Error(`the controller ended by itself (${ended.code ?? running.child.signalCode}): ${ended.stderr}`);
    const recovered = /"kind":"controller.started","fields":(\{[^}]*\})/.exec(ended.stderr)?.[1];
    if (recovered === undefined) return;
    const { sequence, entries } = JSON.parse(recovered) as { readonly sequence: number; readonly entries: number };
    this.#journalSequence = Math.max(this.#journalSequence, sequence);
    this.#recoveredEntries = Math.max(this.#recoveredEntries, entries);
  }

  #unjudged(): number {
    return readLines(this.#log).filter(({ at }) => at === 'sent').length - this.#judgedCommands;
  }

  async #judgeNow(): Promise<readonly string[]> {
    if (this.#controller === null) await this.#serve();
    await this.#load!.pause();
    const lines = await this.#delivered();
    const operator = await openOperator({ context: join(this.#data, 'operator.json'), environment: {}, onTrouble: () => {} });
    if (!operator.ok) throw new Error(operator.error.message);
    const faults = await this.#judge.check(operator.value, lines);
    await operator.value.close();
    this.#judgedCommands = lines.filter(({ at }) => at === 'sent').length;
    this.#judgements += 1;
    this.#load!.go();
    return [...faults, ...judgeEvents(lines).faults];
  }

  /** The log when every event that was acknowledged has come. Bound: `DELIVERED_WITHIN_MS`. */
  async #delivered(): Promise<readonly Line[]> {
    for (const since = performance.now(); ;) {
      const lines = readLines(this.#log);
      const { missing } = judgeEvents(lines);
      if (missing === 0) return lines;
      if (performance.now() - since > DELIVERED_WITHIN_MS) throw new Error(`${missing} acknowledged events were never delivered`);
      await new Promise((resolve) => void setTimeout(resolve, 100));
    }
  }

  #figures(killsWhileStarting: number): Figures {
    const count = (at: Line['at']): number => lines.filter((line) => line.at === at).length;
    const lines = readLines(this.#log);
    const sorted = this.#startMs.toSorted((a, b) => a - b);
    return {
      kills: this.#options.kills,
      killsWhileStarting,
      commandsAcknowledged: count('acknowledged'),
      commandsUnknown: count('unknown'),
      commandsUnknownThatHappened: this.#judge.happenedUnseen,
      commandsRefused: count('refused'),
      eventsAcknowledged: count('published'),
      writesAcknowledged: count('put'),
      judgements: this.#judgements,
      journalSequence: this.#journalSequence,
      recoveredEntriesMost: this.#recoveredEntries,
      startMsMedian: Math.round(sorted[Math.floor(sorted.length / 2)] ?? 0),
      startMsLongest: Math.round(sorted.at(-1) ?? 0),
    };
  }
}

/** The process that loads, and outlives every controller. */
class Load {
  readonly #child: ChildProcess;
  readonly #ended: Promise<void>;
  #said: string[] = [];
  #error = '';

  constructor(args: readonly string[]) {
    this.#child = spawn(process.execPath, [LOAD, ...args], { stdio: ['pipe', 'pipe', 'pipe'] });
    this.#child.stdout?.on('data', (chunk: Buffer) => this.#said.push(...chunk.toString().split('\n')));
    this.#child.stderr?.on('data', (chunk: Buffer) => (this.#error += chunk.toString()));
    this.#ended = new Promise((resolve) => this.#child.once('close', () => resolve()));
  }

  async said(word: string, withinMs: number): Promise<void> {
    for (const since = performance.now(); !this.#said.includes(word);) {
      if (this.#child.exitCode !== null) throw new Error(`the load ended: ${this.#error}`);
      if (performance.now() - since > withinMs) throw new Error(`the load did not say '${word}' within ${withinMs} ms: ${this.#error}`);
      await new Promise((resolve) => void setTimeout(resolve, 20));
    }
  }

  async pause(): Promise<void> {
    this.#said = [];
    this.#child.stdin?.write('pause\n');
    await this.said('paused', PAUSED_WITHIN_MS);
  }

  go(): void {
    this.#child.stdin?.write('go\n');
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }

  async end(): Promise<void> {
    this.kill();
    await this.#ended;
  }
}
