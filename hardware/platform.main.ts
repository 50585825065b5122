// The verbs that start the platform: `up` (a controller, and agents beside it on request) and `agent` (one node). Both stay in
// the foreground until they are asked to stop. A composition root.
import { join } from 'node:path';
import { hostname } from 'node:os';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { InvalidArgumentError, type Command } from 'commander';
import { execa } from 'execa';
import { isName } from '../system/domain/identifiers.ts';
import type { Outcome } from '../system/domain/outcome.ts';
import { startAgent } from './agent.main.ts';
import { addSettings, prepareEngine, readSettings, refuse } from './compose.main.ts';
import { startController, type ControllerProcess } from './controller.main.ts';
import { AGENT_SETTINGS, CONTROLLER_SETTINGS, dataHome, watchSignals, type Resolved } from './process/process.ts';

const CLI = fileURLToPath(new URL('../cli.ts', import.meta.url));
const EXIT_FAILED = 2;
const EXIT_INTERRUPTED = 130;
/** Bound: agents that `up` starts beside the controller. */
const LOCAL_AGENTS_MAX = 64;
/** Room beyond the setting `drain` for what comes before and after draining. */
const STOP_SLACK_MS = 5_000;
/** Bound: a process that only waits to lead, and is asked to stop, has so long to say that it has done so. */
const WAITING_STOP_MS = 3_000;

type Options = Readonly<Record<string, unknown>>;

export function addUp(program: Command): void {
  const command = program
    .command('up')
    .summary('start a platform: controller, broker, store, and agents on request')
    .description(
      'Starts a controller with embedded broker and store, and stays in the foreground. Prints where it listens and the join token for agents. Everything that must survive is in one folder, or on NATS, where a second controller stands by; kill -9 loses nothing that was acknowledged. Ctrl-C stops in order.',
    )
    .option('--agents <n>', 'start this many agents on this machine beside it (default: none)', count)
    .option('--json', 'print what was started as one JSON line');
  addSettings(command, CONTROLLER_SETTINGS).action(async (options: Options) => {
    process.exitCode = await up(options);
  });
}

export function addAgent(program: Command): void {
  const command = program
    .command('agent')
    .summary('start an agent: make this machine a node')
    .description(
      'Starts the agent of one node, and stays in the foreground. At its first start it joins with a token; afterwards it knows its control plane. Several agents may run on one machine, each with a name of its own. Ctrl-C stops in order: running invocations finish first.',
    )
    .option('--json', 'print what was started as one JSON line')
    .option('--while-stdin', 'stop in order when standard input ends, as it does when the process that started it is gone');
  addSettings(command, AGENT_SETTINGS).action(async (options: Options) => {
    process.exitCode = await agent(options);
  });
}

async function up(options: Options): Promise<number> {
  const settings = readSettings(CONTROLLER_SETTINGS, options);
  if (!settings.ok) return refuse(settings.error);
  const values = { ...settings.value.values, data: settings.value.values['data'] ?? join(dataHome(process.env), 'controller') };
  const wrong = checkTimes(values);
  if (wrong !== null) return say(`WM_ARGUMENT (rejected): ${wrong}`);
  return serve(
    'controller',
    options,
    values,
    async (asked) => {
      const addon = await prepareEngine();
      return addon.ok ? startController(values, addon.value, asked) : addon;
    },
    async (started: ControllerProcess) => {
      const agents = startLocalAgents(Number(options['agents'] ?? 0), started, values);
      const isDefault = values.data === join(dataHome(process.env), 'controller');
      if (options['json'] === true) {
        const { address, addresses, admin, joinToken, context } = started;
        return { agents, json: { controller: { address, addresses, admin, joinToken, context, data: values.data } }, lines: [] };
      }
      return {
        agents,
        json: {},
        lines: [
          `The controller is up at ${started.address}; its metrics are at http://${started.admin}/metrics.`,
          `Everything is kept in ${values.data}.`,
          '',
          agents.length === 0
            ? 'Add a node, on this machine or another:'
            : `${agents.length === 1 ? 'One agent is' : `${agents.length} agents are`} starting beside it; more nodes join with:`,
          `  npx wasmmatrix agent --join ${started.joinToken}`,
          'Look around:',
          ...(isDefault ? [] : [`  export WASMMATRIX_CONTEXT=${started.context}`]),
          '  npx wasmmatrix get nodes',
          '',
          'Ctrl-C stops it.',
        ],
      };
    },
  );
}

async function agent(options: Options): Promise<number> {
  const settings = readSettings(AGENT_SETTINGS, options);
  if (!settings.ok) return refuse(settings.error);
  const name = settings.value.values['name'] ?? nameOfMachine();
  const values = {
    ...settings.value.values,
    name,
    data: settings.value.values['data'] ?? join(dataHome(process.env), 'agents', String(name)),
  };
  return serve(
    'agent',
    options,
    values,
    async () => {
      const addon = await prepareEngine();
      return addon.ok ? startAgent(values, addon.value) : addon;
    },
    async (started) => ({
      agents: [],
      json: {
        agent: { node: started.node, address: started.address, admin: started.admin, controllers: started.controllers, data: values.data },
      },
      lines: [
        `The agent of ${started.node} is up at ${started.address}, for the controller at ${started.controllers.join(', ')}.`,
        `Everything is kept in ${values.data}. Ctrl-C stops it.`,
      ],
    }),
  );
}

const NEVER = new Promise<string>(() => {});

/** Whoever held the other end is gone, however it ended. */
function stdinEnded(): Promise<string> {
  return new Promise((resolve) => {
    process.stdin.on('end', () => resolve('standard input ended')).on('error', () => resolve('standard input ended'));
    process.stdin.resume();
  });
}

type LocalAgent = { stop(): Promise<void> };
type Running = { readonly ended: Promise<string>; stop(): Promise<void> };
type Told = { readonly agents: readonly LocalAgent[]; readonly json: object; readonly lines: readonly string[] };

/** Starts, tells, waits for a signal or the end, and stops in order. */
async function serve<R extends Running>(
  what: string,
  options: Options,
  values: Resolved['values'],
  start: (asked: Promise<unknown>) => Promise<Outcome<R>>,
  tell: (started: R) => Promise<Told>,
): Promise<number> {
  const ending = watchSignals(() => process.stderr.write('Ended at once, as asked.\n'));
  const orphaned = options['whileStdin'] === true ? stdinEnded() : NEVER;
  const asked = Promise.race([ending.asked, orphaned]);
  const forget = (): void => {
    ending.forget();
    if (options['whileStdin'] === true) process.stdin.destroy();
  };
  const starting = start(asked);
  let first = await Promise.race([starting, asked.then(() => null)]);
  if (first === null) {
    first = await Promise.race([starting, new Promise<null>((resolve) => setTimeout(resolve, WAITING_STOP_MS, null))]);
    if (first?.ok === false && first.error.code === 'WM_CANCELLED') {
      forget();
      return 0;
    }
    // What was begun is left as after a crash, which every start copes with.
    process.exit(EXIT_INTERRUPTED);
  }
  if (!first.ok) {
    forget();
    return refuse(first.error);
  }
  const told = await tell(first.value);
  if (options['json'] === true) process.stdout.write(`${JSON.stringify(told.json)}\n`);
  else for (const line of told.lines) process.stdout.write(`${line}\n`);
  const cause = await Promise.race([asked.then(() => null), first.value.ended]);
  if (cause === null) process.stderr.write(`Stopping in order. Once more ends the ${what} at once.\n`);
  const overdue = setTimeout(
    () => {
      process.stderr.write(`The ${what} did not stop within its time; it is ended.\n`);
      process.exit(EXIT_FAILED);
    },
    Number(values['drain']) + STOP_SLACK_MS,
  );
  await Promise.all(told.agents.map((child) => child.stop()));
  await first.value.stop();
  clearTimeout(overdue);
  forget();
  if (cause === null) return 0;
  process.stderr.write(`The ${what} ended: ${cause}\nStart it again; it recovers from ${String(values['data'])}.\n`);
  return EXIT_FAILED;
}

function say(line: string): number {
  process.stderr.write(`${line}\n`);
  return EXIT_FAILED;
}

/** What the settings contradict; null when nothing does. */
function checkTimes(values: Resolved['values']): string | null {
  const ms = (name: string): number => Number(values[name]);
  if (ms('lease') >= ms('unavailable'))
    return `A lease of ${ms('lease')} ms must lapse before a node is unavailable (${ms('unavailable')} ms). Lower --lease or raise --unavailable.`;
  if (ms('heartbeat') >= ms('suspect') || ms('suspect') >= ms('unavailable') || ms('heartbeat') >= ms('lease'))
    return `Expected heartbeat < suspect < unavailable, and heartbeat < lease; they are ${ms('heartbeat')}, ${ms('suspect')}, ${ms('unavailable')} and ${ms('lease')} ms. Correct them.`;
  return null;
}

function startLocalAgents(count: number, controller: ControllerProcess, values: Resolved['values']): readonly LocalAgent[] {
  // Settings of the controller are none of theirs.
  const environment = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !name.startsWith('WASMMATRIX_') || name === 'WASMMATRIX_ENGINE'),
  );
  return Array.from({ length: count }, (_, i) => {
    const name = `local-${i + 1}`;
    const child = execa(
      process.execPath,
      [
        CLI,
        'agent',
        '--name',
        name,
        '--data',
        join(String(values['data']), 'agents', name),
        '--log-format',
        String(values['log.format']),
        '--while-stdin',
      ],
      {
        env: { ...environment, WASMMATRIX_JOIN: controller.joinToken },
        extendEnv: false,
        // The pipe is never written to: it ends with this process, even when that is killed, and the agents with it.
        stdio: ['pipe', 'ignore', 'inherit'],
        // A terminal's Ctrl-C reaches the controller alone, which then asks them.
        detached: true,
        cleanup: true,
        reject: false,
      },
    );
    void child.then((result) => {
      if (result.isTerminated !== true && result.exitCode !== 0)
        process.stderr.write(`The agent ${name} ended with ${result.exitCode ?? result.signal}.\n`);
    });
    return {
      stop: async () => {
        child.kill('SIGTERM');
        await child;
      },
    };
  });
}

function nameOfMachine(): string {
  const name = (hostname().toLowerCase().split('.')[0] ?? '')
    .replaceAll(/[^a-z0-9-]+/g, '-')
    .replaceAll(/^-+|-+$/g, '')
    .slice(0, 63);
  return isName(name) ? name : 'node';
}

function count(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 0 || value > LOCAL_AGENTS_MAX)
    throw new InvalidArgumentError(`expected a whole number from 0 to ${LOCAL_AGENTS_MAX}.`);
  return value;
}
