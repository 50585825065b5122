#!/usr/bin/env node
// One executable: a table of verbs, each loaded when it is called. What a verb does lives in the folder it belongs to.
import { createRequire } from 'node:module';
import process from 'node:process';
import { Command, CommanderError } from 'commander';

type VerbEntry = {
  readonly name: string;
  readonly summary: string;
  readonly load: () => Promise<{ readonly add: (program: Command) => void }>;
};

const VERBS: readonly VerbEntry[] = [
  { name: 'run', summary: 'play scenarios and say what held', load: async () => ({ add: (await import('./sim/verbs.ts')).addRun }) },
  {
    name: 'scenario',
    summary: 'check, explain, list and begin scenarios',
    load: async () => ({ add: (await import('./scenarios/scenario.main.ts')).addScenario }),
  },
  {
    name: 'diff',
    summary: 'say where two recorded runs part',
    load: async () => ({ add: (await import('./reports/diff.main.ts')).addDiff }),
  },
  {
    name: 'fuzz',
    summary: 'draw fleets, work and faults from seeds, and play them',
    load: async () => ({ add: (await import('./sim/campaign/fuzz.main.ts')).addFuzz }),
  },
  {
    name: 'worker',
    summary: 'play runs that campaigns on other machines ask for',
    load: async () => ({ add: (await import('./sim/campaign/remote/worker.main.ts')).addWorker }),
  },
  {
    name: 'replay',
    summary: 'show a recorded run at one instant',
    load: async () => ({ add: (await import('./reports/replay.main.ts')).addReplay }),
  },
  {
    name: 'shrink',
    summary: 'make the scenario of a failed run as small as it gets',
    load: async () => ({ add: (await import('./sim/campaign/shrink.main.ts')).addShrink }),
  },
  {
    name: 'coverage',
    summary: 'say what recorded runs exercised, and what they never did',
    load: async () => ({ add: (await import('./reports/coverage.main.ts')).addCoverage }),
  },
  {
    name: 'arch',
    summary: 'say whether this build behaves identically on every architecture',
    load: async () => ({ add: (await import('./hardware/conformance/arch.main.ts')).addArch }),
  },
  {
    name: 'machines',
    summary: 'arm64 and riscv64 machines under QEMU, as nodes',
    load: async () => ({ add: (await import('./hardware/qemu/machines.main.ts')).addMachines }),
  },
  {
    name: 'up',
    summary: 'start a platform: controller, broker, store, and agents on request',
    load: async () => ({ add: (await import('./hardware/platform.main.ts')).addUp }),
  },
  {
    name: 'agent',
    summary: 'start an agent: make this machine a node',
    load: async () => ({ add: (await import('./hardware/platform.main.ts')).addAgent }),
  },
  {
    name: 'gateway',
    summary: 'carry messages between an MQTT 5 broker and the platform',
    load: async () => ({ add: (await import('./hardware/gateway.main.ts')).addGateway }),
  },
  {
    name: 'get',
    summary: 'show nodes, modules, deployments, instances, trust, events or the matrix',
    load: async () => ({ add: (await import('./hardware/operator/get.main.ts')).addGet }),
  },
  {
    name: 'plan',
    summary: 'show what applying manifests would change, and where instances would be placed',
    load: async () => ({ add: (await import('./system/verbs.ts')).addPlan }),
  },
  {
    name: 'apply',
    summary: 'make what manifests say the wanted state',
    load: async () => ({ add: (await import('./system/verbs.ts')).addApply }),
  },
  {
    name: 'delete',
    summary: 'end a deployment or a trigger, or forget a node',
    load: async () => ({ add: (await import('./system/verbs.ts')).addDelete }),
  },
  {
    name: 'rollback',
    summary: 'let a deployment run an earlier version of its module',
    load: async () => ({ add: (await import('./system/verbs.ts')).addRollback }),
  },
  {
    name: 'scale',
    summary: 'change the number of instances of a deployment',
    load: async () => ({ add: (await import('./system/verbs.ts')).addScale }),
  },
  {
    name: 'drain',
    summary: 'take the work from a node and give it none',
    load: async () => ({ add: (await import('./system/verbs.ts')).addDrain }),
  },
  {
    name: 'undrain',
    summary: 'give work to a node again that was drained',
    load: async () => ({ add: (await import('./system/verbs.ts')).addUndrain }),
  },
  {
    name: 'publish',
    summary: 'publish an event',
    load: async () => ({ add: (await import('./hardware/operator/messages.main.ts')).addPublish }),
  },
  {
    name: 'subscribe',
    summary: 'show events as they come',
    load: async () => ({ add: (await import('./hardware/operator/messages.main.ts')).addSubscribe }),
  },
  {
    name: 'logs',
    summary: 'show what the guests of a deployment log',
    load: async () => ({ add: (await import('./hardware/operator/logs.main.ts')).addLogs }),
  },
  {
    name: 'keys',
    summary: 'make and show signing keys',
    load: async () => ({ add: (await import('./hardware/operator/security.main.ts')).addKeys }),
  },
  {
    name: 'trust',
    summary: 'say whose modules may run',
    load: async () => ({ add: (await import('./hardware/operator/security.main.ts')).addTrust }),
  },
  {
    name: 'push',
    summary: 'sign a module and store it as its next version',
    load: async () => ({ add: (await import('./hardware/operator/security.main.ts')).addPush }),
  },
  {
    name: 'token',
    summary: 'show, make or replace join tokens',
    load: async () => ({ add: (await import('./hardware/operator/security.main.ts')).addToken }),
  },
  {
    name: 'login',
    summary: 'become an operator of a platform that runs elsewhere',
    load: async () => ({ add: (await import('./hardware/operator/security.main.ts')).addLogin }),
  },
  {
    name: 'revoke',
    summary: 'end the certificates of a node or an operator',
    load: async () => ({ add: (await import('./hardware/operator/security.main.ts')).addRevoke }),
  },
  {
    name: 'devices',
    summary: 'make physical devices nodes, over SSH',
    load: async () => ({ add: (await import('./hardware/devices/devices.main.ts')).addDevices }),
  },
  { name: 'doctor', summary: 'say what this machine lacks', load: async () => ({ add: (await import('./hardware/verbs.ts')).addDoctor }) },
];

const NODE_MAJOR_LEAST = 24;
const EXIT_REJECTED = 2;
const EXIT_BUG = 70;
const EXIT_INTERRUPTED = 130;

/** A reader that has seen enough (`| head -1`) ends the command, as an interrupt would; anything else is said in words. */
function onBrokenOutput(error: NodeJS.ErrnoException): void {
  if (error.code === 'EPIPE') process.exit(EXIT_INTERRUPTED);
  process.stderr.write(`WM_STORAGE_FAILED (unknown): The output cannot be written (${error.code ?? error.message}). Send it elsewhere.\n`);
  process.exit(EXIT_REJECTED);
}

async function main(args: readonly string[]): Promise<void> {
  const major = Number(process.versions.node.split('.')[0]);
  if (major < NODE_MAJOR_LEAST) {
    process.stderr.write(
      `WM_ARGUMENT (rejected): wasmmatrix needs Node.js ${NODE_MAJOR_LEAST} and was started with ${process.versions.node}. Run it as \`npx wasmmatrix\` after \`npm ci\`, which brings the right one.\n`,
    );
    process.exitCode = EXIT_REJECTED;
    return;
  }
  const { version } = createRequire(import.meta.url)('./package.json') as { readonly version: string };
  const program = new Command('wasmmatrix')
    .description('Runs signed WebAssembly modules close to where they are needed, and proves that it will keep working.')
    .version(version, '-V, --version')
    .showHelpAfterError('Run it with --help for what is accepted.')
    .configureOutput({
      outputError: (text, write) =>
        write(text.replace(/^error: (.)/, (_, first: string) => `WM_ARGUMENT (rejected): ${first.toUpperCase()}`)),
    })
    .exitOverride();
  const [first, second] = args.filter((arg) => !arg.startsWith('-'));
  const wanted = first === 'help' ? second : first;
  // `help nothing` would print the help of everything, and end as if it had been asked for.
  const asked = first === 'help' && !VERBS.some(({ name }) => name === second) ? [...args].filter((arg) => arg !== 'help') : args;
  for (const verb of VERBS) {
    if (verb.name === wanted) (await verb.load()).add(program);
    else program.command(verb.name).summary(verb.summary).description(verb.summary);
  }
  program.addHelpText(
    'after',
    '\nExit codes: 0 held, 1 a goal or invariant did not hold, 2 rejected,\n3 did not converge, 4 not deterministic, 70 bug, 130 interrupted.',
  );
  try {
    await program.parseAsync(asked.length === 0 ? ['--help'] : [...asked], { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    // Help and version end with 0; everything else that commander refuses is a wrong command line.
    process.exitCode = error.exitCode === 0 || error.code === 'commander.help' ? 0 : EXIT_REJECTED;
  }
}

for (const stream of [process.stdout, process.stderr]) stream.on('error', onBrokenOutput);
main(process.argv.slice(2)).catch((error: unknown) => {
  process.stderr.write(
    `WM_BUG (bug): ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\nReport this with the command that you ran.\n`,
  );
  process.exitCode = EXIT_BUG;
});
