// Runs an example guest the way docs/reference/guest-abi.md says a host does, on the WebAssembly and WASI of Node.js.
// Denied unless granted: every WASI function but those for standard streams, environment and exit.
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { WASI } from 'node:wasi';
import { buildExamples } from '../../../scenarios/examples/build.ts';
import { webAssembly, type GuestMemory, type GuestModule } from './webassembly.ts';

export const DENIED = -1;
export const NOT_FOUND = -2;
export const CONFLICT = -3;
export const UNAVAILABLE = -4;
export const WASI_NOT_CAPABLE = 76;

const ALWAYS_GRANTED = ['fd_read', 'fd_write', 'environ_get', 'environ_sizes_get', 'proc_exit'];

/** An operation's answer: a response, or a negative error. */
export type Answer = string | number;

export type GuestHost = Readonly<Partial<Record<'state_get' | 'state_set' | 'publish' | 'log', (request: string) => Answer>>>;

export type GuestEvent = { readonly id?: string; readonly data?: string; readonly environment?: Record<string, string> };

export type GuestResult = {
  /** Null when it trapped. */
  readonly exitCode: number | null;
  readonly trap: string | null;
  readonly stdout: string;
  readonly stderr: string;
  /** What its memory had grown to. */
  readonly memoryBytes: number;
};

const modules = new Map<string, Promise<GuestModule>>();

export async function loadGuest(name: string): Promise<GuestModule> {
  const loaded = modules.get(name) ?? compileGuest(name);
  modules.set(name, loaded);
  return loaded;
}

async function compileGuest(name: string): Promise<GuestModule> {
  const built = (await buildExamples()).get(name);
  if (built === undefined) throw new Error(`there is no example ${name}`);
  return webAssembly.compile(await readFile(built.wasmPath));
}

export function runGuest(module: GuestModule, event: GuestEvent, host: GuestHost = {}, granted: readonly string[] = []): GuestResult {
  const folder = mkdtempSync(join(tmpdir(), 'guest-'));
  const [stdin, stdout, stderr] = ['stdin', 'stdout', 'stderr'].map((name) => join(folder, name)) as [string, string, string];
  writeFileSync(stdin, event.data ?? '');
  const streams = [openSync(stdin, 'r'), openSync(stdout, 'w'), openSync(stderr, 'w')] as const;
  try {
    const wasi = new WASI({
      version: 'preview1',
      env: {
        ...event.environment,
        WM_EVENT_ID: event.id ?? 'event-1',
        WM_EVENT_SUBJECT: 'sensors.brake',
        WM_TRIGGER: 'test',
        WM_ATTEMPT: '1',
      },
      stdin: streams[0],
      stdout: streams[1],
      stderr: streams[2],
    });
    const functions = Object.entries(wasi.wasiImport as Record<string, () => number>).map(([name, call]) => [
      name,
      ALWAYS_GRANTED.includes(name) || granted.includes(name) ? call : () => WASI_NOT_CAPABLE,
    ]);
    const bridge = createBridge(host);
    const instance = new webAssembly.Instance(module, {
      wasi_snapshot_preview1: Object.fromEntries(functions),
      wasmmatrix: bridge.imports,
    });
    const memory = instance.exports.memory;
    bridge.attach(memory);
    let exitCode: number | null = null;
    let trap: string | null = null;
    try {
      exitCode = wasi.start(instance);
    } catch (error) {
      if (!(error instanceof webAssembly.RuntimeError) && !(error instanceof RangeError)) throw error;
      trap = error.message;
    }
    return {
      exitCode,
      trap,
      stdout: readFileSync(stdout, 'utf8'),
      stderr: readFileSync(stderr, 'utf8'),
      memoryBytes: memory.buffer.byteLength,
    };
  } finally {
    for (const stream of streams) closeSync(stream);
    rmSync(folder, { recursive: true });
  }
}

/** State and subjects of one test: what guests wrote, what they published. */
export class MemoryHost {
  readonly published: { readonly subject: string; readonly payload: string }[] = [];
  readonly state = new Map<string, { readonly version: number; readonly value: string }>();

  state_get = (key: string): Answer => {
    const entry = this.state.get(key);
    return entry === undefined ? NOT_FOUND : `${entry.version}\n${entry.value}`;
  };

  state_set = (request: string): Answer => {
    const [key, expected, value] = split(request, 3) as [string, string, string];
    const version = this.state.get(key)?.version ?? 0;
    if (expected !== '*' && expected !== String(version)) return CONFLICT;
    this.state.set(key, { version: version + 1, value });
    return String(version + 1);
  };

  publish = (request: string): Answer => {
    const [subject, payload] = split(request, 2) as [string, string];
    this.published.push({ subject, payload });
    return '';
  };
}

/** Splits at newlines, the last part keeping the newlines in it. */
function split(request: string, parts: number): string[] {
  const lines = request.split('\n');
  return [...lines.slice(0, parts - 1), lines.slice(parts - 1).join('\n')];
}

/** Requests and responses cross as Latin-1, so that a string holds any bytes unchanged. */
function createBridge(host: GuestHost) {
  let memory: GuestMemory | null = null;
  let response: Buffer = Buffer.alloc(0);
  const view = (start: number, length: number): Buffer => {
    if (memory === null) throw new Error('the guest called before it was started');
    return Buffer.from(memory.buffer, start, length);
  };
  const operation = (name: keyof GuestHost) => (start: number, length: number) => {
    const answer = host[name]?.(view(start, length).toString('latin1')) ?? DENIED;
    if (typeof answer === 'number') return answer;
    response = Buffer.from(answer, 'latin1');
    return response.byteLength;
  };
  return {
    attach: (exported: GuestMemory) => {
      memory = exported;
    },
    imports: {
      state_get: operation('state_get'),
      state_set: operation('state_set'),
      publish: operation('publish'),
      log: operation('log'),
      take: (start: number, capacity: number) => response.copy(view(start, capacity)),
    },
  };
}
