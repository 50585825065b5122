// A real Mosquitto 2 on loopback, as a process of this test. It cannot take port 0, so it has one that is reserved.
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { reservePort } from '../network/reserve.ts';

const PROGRAM = ['mosquitto', '/usr/sbin/mosquitto'].find((name) =>
  /^mosquitto version 2\./m.test(spawnSync(name, ['-h'], { encoding: 'utf8' }).stdout ?? ''),
);

export const HAS_MOSQUITTO = PROGRAM !== undefined;
if (!HAS_MOSQUITTO)
  process.stderr.write('LEFT OUT: no Mosquitto 2 on this machine, so the MQTT gateway is not tried. Install the package mosquitto.\n');

export type MosquittoOptions = {
  /** Further lines of the configuration; `{folder}` is where its files are. */
  readonly lines?: readonly string[];
  readonly files?: Readonly<Record<string, string>>;
  readonly tls?: boolean;
};

export class Mosquitto {
  readonly folder = mkdtempSync(join(tmpdir(), 'wasmmatrix-mosquitto-'));
  readonly #options: MosquittoOptions;
  port = 0;
  #child: ChildProcess | null = null;
  #log = '';

  constructor(options: MosquittoOptions = {}) {
    this.#options = options;
    for (const [name, text] of Object.entries(options.files ?? {})) writeFileSync(join(this.folder, name), text, { mode: 0o600 });
    mkdirSync(join(this.folder, 'data'));
  }

  get url(): string {
    return `${this.#options.tls === true ? 'mqtts://localhost' : 'mqtt://127.0.0.1'}:${this.port}`;
  }

  get log(): string {
    return this.#log;
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  /** A port for a broker that is started later. */
  async choosePort(): Promise<void> {
    this.port = await reservePort();
  }

  /** Keeps its port and its data from one start to the next. */
  async start(): Promise<void> {
    if (this.port === 0) await this.choosePort();
    if (!(await this.#startOn())) throw new Error(`mosquitto did not start:\n${this.#log}`);
  }

  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const child = this.#child;
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGCONT');
    child.kill(signal);
    await ended;
  }

  signal(signal: NodeJS.Signals): void {
    this.#child?.kill(signal);
  }

  /** When it last wrote its data, in milliseconds; 0: never. */
  savedAtMs(): number {
    return statSync(join(this.folder, 'data', 'mosquitto.db'), { throwIfNoEntry: false })?.mtimeMs ?? 0;
  }

  async close(): Promise<void> {
    await this.kill();
    rmSync(this.folder, { recursive: true, force: true });
  }

  #startOn(): Promise<boolean> {
    const { lines = ['allow_anonymous true'] } = this.#options;
    const configuration = [
      `listener ${this.port} 127.0.0.1`,
      ...lines.map((line) => line.replaceAll('{folder}', this.folder)),
      // As root it would become another user, who may not read this folder.
      ...(process.getuid?.() === 0 ? ['user root'] : []),
      'persistence true',
      `persistence_location ${this.folder}/data/`,
      // Saved with every change, which is what makes kill -9 of it survivable.
      'autosave_on_changes true',
      'autosave_interval 1',
      'max_queued_messages 0',
      'log_type all',
    ];
    writeFileSync(join(this.folder, 'mosquitto.conf'), configuration.join('\n'));
    const child = spawn(PROGRAM!, ['-c', join(this.folder, 'mosquitto.conf')], { stdio: ['ignore', 'ignore', 'pipe'] });
    this.#child = child;
    this.#log = '';
    return new Promise((resolve) => {
      child.stderr.on('data', (chunk: Buffer) => {
        this.#log += chunk.toString();
        if (/mosquitto version \S+ running/.test(this.#log)) resolve(true);
      });
      child.once('error', () => resolve(false));
      child.once('exit', () => resolve(false));
    });
  }
}
