// The runner's side of the keeper (keeper.main.ts): what it has to look after, told as it comes and goes.
import { spawn, type ChildProcess } from 'node:child_process';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

const PROGRAM = fileURLToPath(new URL('keeper.main.ts', import.meta.url));
/** Bound: how long it may take to remove everything. */
const CLEAN_MS_MAX = 15_000;

export class Keeper {
  readonly #child: ChildProcess;
  readonly #ended: Promise<void>;

  constructor(folder: string) {
    // A session of its own: the interrupt of a terminal is the runner's business.
    this.#child = spawn(process.execPath, [PROGRAM, folder], { detached: true, stdio: ['pipe', 'ignore', 'inherit'] });
    this.#ended = new Promise((resolve) => this.#child.once('close', () => resolve()));
    this.#child.stdin?.on('error', () => {});
    // It outlives a runner that dies, and keeps none alive.
    this.#child.unref();
  }

  began(pid: number): void {
    this.#tell(`+ ${pid}`);
  }

  ended(pid: number): void {
    this.#tell(`- ${pid}`);
  }

  mounted(path: string): void {
    this.#tell(`mount ${path}`);
  }

  /** Everything goes now. Resolves when nothing is left. */
  async close(): Promise<void> {
    this.#child.ref();
    this.#child.stdin?.end();
    let timer: NodeJS.Timeout | null = null;
    await Promise.race([this.#ended, new Promise((resolve) => (timer = setTimeout(resolve, CLEAN_MS_MAX)))]);
    if (timer !== null) clearTimeout(timer);
  }

  #tell(line: string): void {
    this.#child.stdin?.write(`${line}\n`);
  }
}
