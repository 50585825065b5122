// A platform as a user has it: `wasmmatrix up` and `wasmmatrix agent` as processes of their own, with folders of their own, and
// commands against it. Nothing of the product is imported.
import { join } from 'node:path';
import { reserveAddress } from '../network/reserve.ts';
import { start, wasmmatrix, type Ended, type Running, type Where } from './command.ts';

type Told = {
  readonly controller: { readonly address: string; readonly admin: string; readonly joinToken: string; readonly context: string };
};

export class Platform {
  readonly #home: string;
  readonly #where: Where;
  readonly #agents = new Map<string, Running>();
  #controller: Running | null = null;
  #told: Told['controller'] | null = null;

  /** `wallMsMax` bounds each process and each command; `env` is added to that of each. */
  constructor(home: string, options: Pick<Where, 'wallMsMax' | 'env'> = {}) {
    this.#home = home;
    this.#where = { ...options, env: { ...this.env, ...options.env } };
  }

  get env(): Readonly<Record<string, string>> {
    return { XDG_DATA_HOME: join(this.#home, 'data'), XDG_CONFIG_HOME: join(this.#home, 'config'), WASMMATRIX_ADMIN: '127.0.0.1:0' };
  }

  get told(): Told['controller'] {
    if (this.#told === null) throw new Error('the controller was never up');
    return this.#told;
  }

  /** Later starts take the port of the first, so that agents find it again. With `--listen` in `args` the process is there at once. */
  async up(args: readonly string[] = []): Promise<void> {
    const listen = args.includes('--listen') ? [] : ['--listen', this.#told?.address ?? (await reserveAddress())];
    const running = start(['up', '--json', ...listen, ...args], this.#where);
    this.#controller = running;
    await running.said('"joinToken"');
    const line = running.stdout().split('\n')[0] ?? '';
    this.#told = (JSON.parse(line) as Told).controller;
  }

  /** Agents that start from now on join with this one. */
  adoptToken(joinToken: string): void {
    this.#told = { ...this.told, joinToken };
  }

  async agent(name: string, args: readonly string[] = []): Promise<void> {
    const running = start(['agent', '--json', '--name', name, ...args], {
      ...this.#where,
      env: { ...this.#where.env, WASMMATRIX_JOIN: this.told.joinToken },
    });
    this.#agents.set(name, running);
    await running.said('"controllers"');
  }

  /** One command of an operator, to its end. */
  run(...args: readonly string[]): Promise<Ended> {
    return wasmmatrix(args, this.#where);
  }

  /** Standard output of a command that must succeed. */
  async ok(...args: readonly string[]): Promise<string> {
    const ended = await this.run(...args);
    if (ended.code !== 0) throw new Error(`wasmmatrix ${args.join(' ')} ended with ${ended.code}: ${ended.stderr}${ended.stdout}`);
    return ended.stdout;
  }

  async json<T>(...args: readonly string[]): Promise<T> {
    return JSON.parse(await this.ok(...args, '-o', 'json')) as T;
  }

  /** A command that goes on, such as `subscribe`. */
  follow(...args: readonly string[]): Running {
    return start(args, this.#where);
  }

  controllerProcess(): Running {
    if (this.#controller === null) throw new Error('the controller is not up');
    return this.#controller;
  }

  agentProcess(name: string): Running {
    const running = this.#agents.get(name);
    if (running === undefined) throw new Error(`there is no agent ${name}`);
    return running;
  }

  async kill(running: Running, signal: NodeJS.Signals): Promise<Ended> {
    running.child.kill(signal);
    return running.ended;
  }

  async close(): Promise<void> {
    for (const running of [...this.#agents.values(), ...(this.#controller === null ? [] : [this.#controller])]) {
      if (running.child.exitCode === null && running.child.signalCode === null) await this.kill(running, 'SIGKILL');
    }
  }
}

/** Looks again until it is as it should be. Bound: a minute unless given; what it looked like last stands in the error. */
export async function eventually<T>(
  look: () => Promise<T>,
  isRight: (seen: T) => boolean,
  what: string,
  { wallMsMax = 60_000 }: { readonly wallMsMax?: number } = {},
): Promise<T> {
  const endMs = performance.now() + wallMsMax;
  for (;;) {
    const seen = await look();
    if (isRight(seen)) return seen;
    if (performance.now() > endMs)
      throw new Error(`${what} did not come true within ${wallMsMax / 1_000} s; last seen: ${JSON.stringify(seen)}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
