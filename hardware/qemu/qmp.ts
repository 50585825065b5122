// The control socket of an emulated machine (QEMU Machine Protocol): one command after the other, each answered. What the machine says
// unasked is not kept.
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { failed, ok, type Outcome } from '../../system/domain/outcome.ts';

/** Bound: how long a machine may take to answer. */
const ANSWER_MS_MAX = 20_000;
/** The socket is there before anybody listens at it. */
const CONNECT_MS_MAX = 10_000;
const AGAIN_MS = 50;

type Waiting = { readonly resolve: (line: Reply) => void };
type Reply = { readonly return?: unknown; readonly error?: { readonly desc?: string }; readonly QMP?: unknown };

export class Qmp {
  readonly #socket: Socket;
  readonly #waiting: Waiting[] = [];
  #rest = '';
  #ended = false;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setEncoding('utf8');
    socket.on('data', (text: string) => this.#take(text));
    socket.on('error', () => this.#end());
    socket.on('close', () => this.#end());
  }

  static async open(path: string): Promise<Outcome<Qmp>> {
    const endMs = performance.now() + CONNECT_MS_MAX;
    for (;;) {
      const socket = await dial(path);
      if (socket !== null) {
        const qmp = new Qmp(socket);
        const greeting = await qmp.#next();
        const agreed = greeting.ok ? await qmp.execute('qmp_capabilities') : greeting;
        if (agreed.ok) return ok(qmp);
        // An open socket would keep the command alive, and the machine from anybody else.
        qmp.close();
        return agreed;
      }
      if (performance.now() > endMs)
        return failed('WM_MACHINE', {
          message: `The machine does not answer at ${path}.`,
          next: 'Look at its console; it may have ended.',
        });
      await sleep(AGAIN_MS);
    }
  }

  /** WM_MACHINE: it refused, or has ended. */
  async execute(command: string, args: Readonly<Record<string, unknown>> = {}): Promise<Outcome<unknown>> {
    const answer = this.#next();
    this.#socket.write(`${JSON.stringify({ execute: command, arguments: args })}\n`);
    const reply = await answer;
    if (!reply.ok) return reply;
    if (reply.value.error === undefined) return ok(reply.value.return);
    return failed('WM_MACHINE', {
      message: `The machine refused ${command}: ${reply.value.error.desc ?? 'without a reason'}.`,
      next: 'Report this.',
    });
  }

  close(): void {
    this.#socket.destroy();
  }

  async #next(): Promise<Outcome<Reply>> {
    const timer = new AbortController();
    const answer = new Promise<Reply | null>((resolve) => {
      if (this.#ended) resolve(null);
      else this.#waiting.push({ resolve });
    });
    const late = sleep(ANSWER_MS_MAX, null, { signal: timer.signal }).catch(() => null);
    const reply = await Promise.race([answer, late]);
    timer.abort();
    if (reply !== null && Object.keys(reply).length > 0) return ok(reply);
    return failed('WM_MACHINE', { message: 'The machine ended, or does not answer any more.', next: 'Look at its console.' });
  }

  #take(text: string): void {
    const lines = (this.#rest + text).split('\n');
    this.#rest = lines.pop() ?? '';
    for (const line of lines) {
      const reply = JSON.parse(line) as Reply;
      if ('return' in reply || 'error' in reply || 'QMP' in reply) this.#waiting.shift()?.resolve(reply);
    }
  }

  #end(): void {
    this.#ended = true;
    for (const { resolve } of this.#waiting.splice(0)) resolve({});
  }
}

function dial(path: string): Promise<Socket | null> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => resolve(socket));
    socket.once('error', () => resolve(null));
  });
}
