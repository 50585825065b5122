// A run's way to one device: an SSH session with the run's program there (`host.main.ts`), and beside it one that carries the node's
// connections to ports of this machine and back, so that nothing but SSH has to reach the device. Both end with the process that
// opened them; the program there sees that, and leaves nothing behind. A device that says nothing for `LOST_MS` is lost.
import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { hostname } from 'node:os';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { failed, ok, rejected, type Err, type Outcome } from '../../system/domain/outcome.ts';
import { machineMicros } from '../local/local.ts';
import { DeviceClock } from './clock.ts';
import type { Device } from './inventory.ts';
import { BEAT_MS, LOG_MARK, LOST_MS, OPEN_MS_MAX, RECORD_MARK, type FromHost, type HostHello, type ToHost } from './messages.ts';
import { EXIT_NOTHING, RUN_HOST, STAY } from './scripts.ts';
import { sshArguments } from './shell.ts';

/** Bound: until the connections of the node are carried. */
const CARRY_MS_MAX = 60_000;
/** Bound: until everything there has stopped and gone: an agent has ten seconds. */
const CLOSE_MS_MAX = 20_000;
/** Bound: what a device that has not answered yet may take to let go; what it made goes by itself then. */
const HANG_UP_MS = 2_000;
/** Bound: answers of the clock before its times are used, and what is kept of what ssh says. */
const BEATS_FIRST = 8;
const SAID_MAX = 2_000;

/** Of loopback: on the device, and here. */
export type Forwarding = { readonly there: number; readonly here: number };

export type SessionListener = {
  readonly hear: (message: FromHost) => void;
  readonly record: (line: string) => void;
  readonly log: (line: string) => void;
};

export class DeviceSession {
  readonly device: Device;
  readonly hello: HostHello;
  readonly clock = new DeviceClock();
  readonly #host: Called;
  #carrier: Called | null = null;
  readonly #asked = new Map<number, number>();
  #beats = 0;
  #heardMs = performance.now();
  #beating: NodeJS.Timeout | null = null;
  #listener: SessionListener | null = null;
  #onBeat: () => void = () => {};
  #isClosing = false;
  #closed: Promise<void> | null = null;
  #lost: Err['error'] | null = null;

  private constructor(host: Called, hello: HostHello) {
    this.device = host.device;
    this.hello = hello;
    this.#host = host;
  }

  /** The run's program on the device, which has told what it is; its clock is known. */
  static async open(device: Device, node: string, stop: AbortSignal): Promise<Outcome<DeviceSession>> {
    const host = new Called(device, [], RUN_HOST, [device.folder, device.name, node, whoRuns()]);
    // Its program there sees that nobody is left, and takes away what it made.
    const leave = (): void => {
      host.hangUp();
      setTimeout(() => host.end(), HANG_UP_MS).unref();
    };
    stop.addEventListener('abort', leave);
    if (stop.aborted) leave();
    const first = await host.first(OPEN_MS_MAX);
    stop.removeEventListener('abort', leave);
    if (stop.aborted) {
      await within(HANG_UP_MS, host.ended);
      host.end();
      return stopped(device);
    }
    if (!first.ok) return first;
    const hello = parse(first.value);
    if (hello?.kind === 'refused') {
      host.hangUp();
      return failed('WM_DEVICE', { message: `${device.name} cannot be a node of this run: ${hello.why}.`, next: hello.next });
    }
    if (hello?.kind !== 'hello') {
      host.hangUp();
      return strange(device, first.value);
    }
    const session = new DeviceSession(host, hello);
    host.listen((line) => session.#take(line));
    void host.ended.then((why) => session.#lose(why));
    await session.#tellClocks();
    return session.#lost === null ? ok(session) : { ok: false, error: session.#lost };
  }

  /** Why nothing more comes of this device; null while that is not so, and after it was let go. */
  get lost(): Err['error'] | null {
    return this.#lost;
  }

  listen(listener: SessionListener): void {
    this.#listener = listener;
  }

  tell(message: ToHost): void {
    this.#host.write(JSON.stringify(message));
  }

  /** `out`: what somebody on the device dials is here; `into`: what is dialled here is there. Resolves when all of it stands. */
  async carry(out: readonly Forwarding[], into: readonly Forwarding[]): Promise<Outcome<void>> {
    const options = [
      ...['-o', 'ExitOnForwardFailure=yes'],
      ...out.flatMap(({ there, here }) => ['-R', `127.0.0.1:${there}:127.0.0.1:${here}`]),
      ...into.flatMap(({ there, here }) => ['-L', `127.0.0.1:${here}:127.0.0.1:${there}`]),
    ];
    const carrier = new Called(this.device, options, STAY, []);
    this.#carrier = carrier;
    const first = await carrier.first(CARRY_MS_MAX);
    if (!first.ok) return first;
    void carrier.ended.then((why) => this.#lose(why));
    return ok();
  }

  /** Its agent stops in order, and nothing of the run is left there. Idempotent. */
  close(): Promise<void> {
    return (this.#closed ??= this.#close());
  }

  async #close(): Promise<void> {
    this.#isClosing = true;
    if (this.#beating !== null) clearInterval(this.#beating);
    if (this.#lost === null) {
      this.tell({ kind: 'order', order: 'stop' });
      this.#host.hangUp();
      await within(CLOSE_MS_MAX, this.#host.ended);
    }
    for (const called of [this.#host, this.#carrier]) {
      called?.hangUp();
      called?.end();
    }
  }

  async #tellClocks(): Promise<void> {
    for (let i = 0; i < BEATS_FIRST && this.#lost === null; i += 1) {
      const answered = new Promise<void>((resolve) => (this.#onBeat = resolve));
      this.#beat();
      await within(LOST_MS, Promise.race([answered, this.#host.ended]));
      if (performance.now() - this.#heardMs > LOST_MS) this.#lose('it does not answer');
    }
    this.#beating = setInterval(() => {
      if (performance.now() - this.#heardMs > LOST_MS) this.#lose(`it has said nothing for ${LOST_MS / 1_000} s`);
      else this.#beat();
    }, BEAT_MS);
  }

  #beat(): void {
    this.#beats += 1;
    this.#asked.set(this.#beats, machineMicros());
    this.tell({ kind: 'beat', beat: this.#beats });
  }

  #take(line: string): void {
    this.#heardMs = performance.now();
    if (line.startsWith(RECORD_MARK)) return this.#listener?.record(line.slice(RECORD_MARK.length));
    if (line.startsWith(LOG_MARK)) return this.#listener?.log(line.slice(LOG_MARK.length));
    const message = parse(line);
    if (message === null) return undefined;
    if (message.kind !== 'beat') return this.#listener?.hear(message);
    const asked = this.#asked.get(message.beat);
    this.#asked.delete(message.beat);
    if (asked !== undefined) this.clock.hear(asked, machineMicros(), message.micros);
    return this.#onBeat();
  }

  #lose(why: string): void {
    if (this.#isClosing || this.#lost !== null) return;
    if (this.#beating !== null) clearInterval(this.#beating);
    this.#lost = failed('WM_DEVICE_UNREACHABLE', {
      message: `${this.device.name} went away during the run: ${why}. What the run started there ends by itself.`,
      next: 'Look whether it is on and its network steady, and play the run again.',
    }).error;
    for (const called of [this.#host, this.#carrier]) called?.end();
  }
}

/** One call of ssh: what is said there comes line by line. */
class Called {
  readonly device: Device;
  /** Resolves with why. */
  readonly ended: Promise<string>;
  readonly #child: ChildProcessWithoutNullStreams;
  #said = '';
  #code: number | string | null = null;
  #onLine: (line: string) => void = () => {};

  constructor(device: Device, options: readonly string[], script: string, args: readonly string[]) {
    this.device = device;
    // A session of its own: the interrupt of a terminal is the runner's business.
    const child = spawn('ssh', [...options, ...sshArguments(device, script, args)], { detached: true, stdio: ['pipe', 'pipe', 'pipe'] });
    this.#child = child;
    child.stdin.on('error', () => {});
    child.stderr.on('data', (data: Buffer) => (this.#said = (this.#said + data.toString()).slice(-SAID_MAX)));
    createInterface({ input: child.stdout }).on('line', (line) => this.#onLine(line));
    this.ended = new Promise((resolve) => {
      child.once('error', (error: NodeJS.ErrnoException) => {
        this.#code = error.code ?? error.message;
        resolve(this.#why());
      });
      child.once('close', (code, signal) => {
        this.#code ??= code ?? signal;
        resolve(this.#why());
      });
    });
  }

  /** The first line, or why there is none. */
  async first(msMax: number): Promise<Outcome<string>> {
    const line = new Promise<string>((resolve) => (this.#onLine = resolve));
    const answer = await within(msMax, Promise.race([line, this.ended.then(() => null)]));
    if (typeof answer === 'string') return ok(answer);
    this.end();
    const { name, user, host, port, folder } = this.device;
    if (this.#code === 'ENOENT')
      return rejected('WM_TARGET_TOOLS', { message: 'Devices are reached with ssh, which is not here.', next: 'Install openssh-client.' });
    if (this.#code === EXIT_NOTHING)
      return failed('WM_DEVICE', {
        message: `Nothing, or only a part, is installed on ${name} in ${folder}.`,
        next: 'Install it first: `wasmmatrix devices install`.',
      });
    return failed('WM_DEVICE_UNREACHABLE', {
      message: `${name} at ${user}@${host}:${port} cannot take part in the run: ${answer === undefined ? `it said nothing for ${msMax / 1_000} s` : this.#why()}.`,
      next: 'Look whether it is on, whether `ssh` gets in without a question, and whether its server lets ports be forwarded.',
    });
  }

  listen(take: (line: string) => void): void {
    this.#onLine = take;
  }

  write(line: string): void {
    if (this.#child.stdin.writable) this.#child.stdin.write(`${line}\n`);
  }

  /** The other end sees that nothing more comes. */
  hangUp(): void {
    this.#child.stdin.end();
  }

  end(): void {
    if (this.#code === null) this.#child.kill('SIGKILL');
  }

  #why(): string {
    const words = this.#said.trim().split('\n').at(-1) ?? '';
    return words === '' ? `its session ended with ${this.#code ?? 'nothing'}` : words;
  }
}

/** For whoever finds the device taken. */
function whoRuns(): string {
  const user = process.env['USER'] ?? process.env['LOGNAME'] ?? `user ${process.getuid?.() ?? 'unknown'}`;
  return `${user}@${hostname()} (process ${process.pid})`;
}

/** Undefined: it took longer. */
async function within<T>(msMax: number, work: Promise<T>): Promise<T | undefined> {
  let timer: NodeJS.Timeout | null = null;
  const late = new Promise<undefined>((resolve) => (timer = setTimeout(() => resolve(undefined), msMax)));
  const result = await Promise.race([work, late]);
  if (timer !== null) clearTimeout(timer);
  return result;
}

function parse(line: string): FromHost | null {
  try {
    return JSON.parse(line) as FromHost;
  } catch {
    return null;
  }
}

function stopped(device: Device): Outcome<never> {
  return rejected('WM_CANCELLED', {
    message: `The call to ${device.name} was stopped by the user; what the run made there goes by itself.`,
    next: 'Play it again.',
  });
}

function strange(device: Device, line: string): Outcome<never> {
  return failed('WM_DEVICE', {
    message: `The program of the run on ${device.name} said '${line.slice(0, SAID_MAX)}', which is not expected.`,
    next: 'Install the product again: `wasmmatrix devices install`.',
  });
}
