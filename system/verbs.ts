// The verbs of operators that change what is wanted: `plan`, `apply`, `delete`, `rollback`, `scale`, `drain`, `undrain`.
// A composition root: it reads files and prints, and decides nothing that the controller should decide.
import { readFileSync } from 'node:fs';
import process from 'node:process';
import { InvalidArgumentError, type Command } from 'commander';
import {
  addCommon,
  countFrom,
  print,
  printData,
  refuse,
  sleep,
  withOperator,
  type CommonOptions,
  type Session,
} from '../hardware/operator/console.main.ts';
import { loadManifest, type Manifest } from '../scenarios/manifest.ts';
import type { PlacementDecision } from './domain/deployment.ts';
import type { DeploymentName, NodeId, TriggerName } from './domain/identifiers.ts';
import type { OperatorCommand } from './domain/operator.ts';
import { rejected, type Outcome } from './domain/outcome.ts';
import type { FieldChange } from './domain/plan.ts';
import { whyOf } from './domain/why.ts';

const REPLICAS_MAX = 10_000;
const VERSION_MAX = 1_000_000;
const RUNNING_S_MAX = 3_600;
const LOOK_AGAIN_MS = 200;
const RUNNERS_UP_TOLD = 3;
const EXIT_CHANGES = 1;
const EXIT_UNCONVERGED = 3;

function readManifests(files: readonly string[]): Outcome<Manifest> {
  const deployments: Manifest['deployments'][number][] = [];
  const triggers: Manifest['triggers'][number][] = [];
  for (const file of files) {
    let text: string;
    try {
      text = readFileSync(file === '-' ? 0 : file, 'utf8');
    } catch (error) {
      const why = whyOf(error);
      return rejected('WM_ARGUMENT', {
        message: `The manifest ${file} cannot be read (${why}).`,
        next: 'Name a file that you may read, or - for standard input.',
      });
    }
    const loaded = loadManifest({ file: file === '-' ? 'standard input' : file, text });
    if (!loaded.ok) return loaded;
    deployments.push(...loaded.value.deployments);
    triggers.push(...loaded.value.triggers);
  }
  return { ok: true, value: { deployments, triggers } };
}

export function addPlan(program: Command): void {
  const command = program
    .command('plan')
    .summary('show what applying manifests would change, and where instances would be placed')
    .description(
      'Compares manifests with what is, and shows the difference and where each new or moved instance would be placed now, with the reasons. Changes nothing. Exits with 0 when nothing would change, with 1 when something would.',
    )
    .argument('<manifest...>', 'YAML files, - for standard input');
  addCommon(command, { forms: true }).action(async (files: readonly string[], options: CommonOptions) => {
    process.exitCode = await plan(files, options);
  });
}

async function plan(files: readonly string[], options: CommonOptions): Promise<number> {
  const manifest = readManifests(files);
  if (!manifest.ok) return refuse(manifest.error);
  return withOperator(options, async (session) => {
    const planned = await session.query({ kind: 'plan', ...manifest.value });
    if (!planned.ok) return refuse(planned.error);
    if (planned.value.kind !== 'plan') return 0;
    const { deployments, triggers } = planned.value;
    if (session.form === 'json' || session.form === 'yaml') printData(session.form, { deployments, triggers });
    else {
      for (const { name, action, version, fields, instances } of deployments) {
        print(`${MARKS[action]} deployment ${name}: ${action}, version ${version}`);
        if (action === 'update') for (const line of changesOf(fields)) print(line);
        for (const { instance, action: what, from, decision } of instances) {
          print(`    ${instance}  ${what}${from === null ? '' : ` (on ${from})`}`);
          for (const line of decision === null ? [] : reasonsOf(decision, session.form === 'wide')) print(`        ${line}`);
        }
      }
      for (const { name, action, fields } of triggers) {
        print(`${MARKS[action]} trigger ${name}: ${action}`);
        if (action === 'update') for (const line of changesOf(fields)) print(line);
      }
    }
    return [...deployments, ...triggers].every(({ action }) => action === 'unchanged') &&
      deployments.every(({ instances }) => instances.length === 0)
      ? 0
      : EXIT_CHANGES;
  });
}

const MARKS = { create: '+', update: '~', unchanged: '=' } as const;

function changesOf(fields: readonly FieldChange[]): readonly string[] {
  return fields.map(({ field, from, to }) => `    ${field}: ${from ?? 'none'} -> ${to ?? 'none'}`);
}

function reasonsOf({ chosen, runnersUp, refused, feasible }: PlacementDecision, wide: boolean): readonly string[] {
  if (chosen === null) {
    return ['nowhere: no node can take it now', ...refused.map(({ reason, nodes, example }) => `${nodes} × ${reason} (${example})`)];
  }
  const factors = chosen.factors.map(({ name, points, weight, why }) => `${name} ${Math.round(points)} × ${weight}: ${why}`);
  const others = runnersUp.map(({ node, score }) => `${node} (${Math.round(score)})`);
  return [
    `on ${chosen.node}, score ${Math.round(chosen.score)}, of ${feasible} that could take it`,
    ...factors,
    ...(others.length === 0 ? [] : [`before ${others.slice(0, wide ? others.length : RUNNERS_UP_TOLD).join(', ')}`]),
  ];
}

export function addApply(program: Command): void {
  const command = program
    .command('apply')
    .summary('make what manifests say the wanted state')
    .description('Applies the deployments and triggers of manifests. What is already so is left alone. `plan` shows the difference first.')
    .argument('<manifest...>', 'YAML files, - for standard input')
    .option('--running <seconds>', 'wait until every instance of the deployments runs, at most this long', countFrom(1, RUNNING_S_MAX));
  addCommon(command).action(async (files: readonly string[], options: CommonOptions & { readonly running?: number }) => {
    process.exitCode = await apply(files, options);
  });
}

async function apply(files: readonly string[], options: CommonOptions & { readonly running?: number }): Promise<number> {
  const manifest = readManifests(files);
  if (!manifest.ok) return refuse(manifest.error);
  return withOperator(options, async (session) => {
    const planned = await session.query({ kind: 'plan', ...manifest.value });
    if (!planned.ok) return refuse(planned.error);
    if (planned.value.kind !== 'plan') return 0;
    const actions = new Map<string, string>();
    for (const { name, action } of planned.value.deployments) actions.set(`deployment ${name}`, action);
    for (const { name, action } of planned.value.triggers) actions.set(`trigger ${name}`, action);
    const commands: readonly (readonly [string, OperatorCommand])[] = [
      ...manifest.value.deployments.map((spec) => [`deployment ${spec.name}`, { kind: 'deployment-apply', spec }] as const),
      ...manifest.value.triggers.map((spec) => [`trigger ${spec.name}`, { kind: 'trigger-apply', spec }] as const),
    ];
    for (const [what, command] of commands) {
      const action = actions.get(what);
      if (action === 'unchanged') {
        print(`${what} unchanged`);
        continue;
      }
      const reply = await session.execute(command);
      if (!reply.ok) return refuse(reply.error);
      print(`${what} ${action === 'create' ? 'created' : 'updated'}`);
    }
    return options.running === undefined ? 0 : untilRunning(session, manifest.value, options.running);
  });
}

async function untilRunning(session: Session, manifest: Manifest, seconds: number): Promise<number> {
  const endMs = performance.now() + seconds * 1_000;
  for (;;) {
    const answer = await session.query({ kind: 'instances' });
    if (!answer.ok) return refuse(answer.error);
    const instances = answer.value.kind === 'instances' ? answer.value.instances : [];
    const missing = manifest.deployments.flatMap(({ name, replicas }) => {
      const running = instances.filter(({ deployment, state }) => deployment === name && state === 'running').length;
      return running >= replicas ? [] : [`${name} (${running} of ${replicas})`];
    });
    if (missing.length === 0) {
      print('every instance runs');
      return 0;
    }
    if (performance.now() > endMs) {
      process.stderr.write(`After ${seconds} s not every instance runs: ${missing.join(', ')}. \`wasmmatrix get instances\` says why.\n`);
      return EXIT_UNCONVERGED;
    }
    await sleep(LOOK_AGAIN_MS);
  }
}

type Simple = {
  readonly name: string;
  readonly summary: string;
  readonly arguments: readonly (readonly [string, string])[];
  readonly command: (args: readonly string[]) => OperatorCommand;
  readonly done: (args: readonly string[]) => string;
};

const whole = (text: string | undefined, what: string, max: number, min = 0): number => {
  const value = Number(text);
  if (text === undefined || text === '' || !Number.isSafeInteger(value) || value < min || value > max)
    throw new InvalidArgumentError(`${what} is '${text}'; expected a whole number from ${min} to ${max}.`);
  return value;
};

const SIMPLE: readonly Simple[] = [
  {
    name: 'rollback',
    summary: 'let a deployment run an earlier version of its module',
    arguments: [
      ['<deployment>', 'its name'],
      ['<version>', 'version of the module to run'],
    ],
    command: ([deployment, version]) => ({
      kind: 'rollback',
      deployment: deployment as DeploymentName,
      version: whole(version, 'The version', VERSION_MAX, 1),
    }),
    done: ([deployment, version]) => `deployment ${deployment} rolled back to version ${version}`,
  },
  {
    name: 'scale',
    summary: 'change the number of instances of a deployment',
    arguments: [
      ['<deployment>', 'its name'],
      ['<replicas>', 'instances it is to have'],
    ],
    command: ([deployment, replicas]) => ({
      kind: 'deployment-scale',
      deployment: deployment as DeploymentName,
      replicas: whole(replicas, 'The number of replicas', REPLICAS_MAX),
    }),
    done: ([deployment, replicas]) => `deployment ${deployment} scaled to ${replicas}`,
  },
  {
    name: 'drain',
    summary: 'take the work from a node and give it none',
    arguments: [['<node>', 'its name']],
    command: ([node]) => ({ kind: 'node-drain', node: node as NodeId }),
    done: ([node]) => `node ${node} drains`,
  },
  {
    name: 'undrain',
    summary: 'give work to a node again that was drained',
    arguments: [['<node>', 'its name']],
    command: ([node]) => ({ kind: 'node-undrain', node: node as NodeId }),
    done: ([node]) => `node ${node} takes work again`,
  },
];

function addSimple(simple: Simple): (program: Command) => void {
  return (program) => {
    const command = program
      .command(simple.name)
      .summary(simple.summary)
      .description(`${simple.summary.charAt(0).toUpperCase()}${simple.summary.slice(1)}.`);
    for (const [argument, text] of simple.arguments) command.argument(argument, text);
    addCommon(command).action(async (...given: readonly unknown[]) => {
      const args = given.slice(0, simple.arguments.length).map(String);
      const options = given[simple.arguments.length] as CommonOptions;
      let wanted: OperatorCommand;
      try {
        wanted = simple.command(args);
      } catch (error) {
        if (!(error instanceof InvalidArgumentError)) throw error;
        process.exitCode = refuse(rejected('WM_ARGUMENT', { message: error.message, next: 'Correct it.' }).error);
        return;
      }
      process.exitCode = await withOperator(options, async (session) => {
        const reply = await session.execute(wanted);
        if (!reply.ok) return refuse(reply.error);
        print(simple.done(args));
        return 0;
      });
    });
  };
}

export const [addRollback, addScale, addDrain, addUndrain] = SIMPLE.map(addSimple) as [Adder, Adder, Adder, Adder];
type Adder = (program: Command) => void;

export function addDelete(program: Command): void {
  const command = program
    .command('delete')
    .summary('end a deployment or a trigger, or forget a node')
    .description(
      'Ends a deployment with its triggers and instances, or a trigger alone. Modules stay: their history is append-only. Forgets a node that is gone for good: it must be unavailable; work that waits for it is placed elsewhere.',
    )
    .argument('<kind>', 'deployment, trigger or node')
    .argument('<name>', 'its name');
  addCommon(command).action(async (kind: string, name: string, options: CommonOptions) => {
    const wanted: OperatorCommand | null =
      kind === 'deployment'
        ? { kind: 'deployment-delete', deployment: name as DeploymentName }
        : kind === 'trigger'
          ? { kind: 'trigger-delete', trigger: name as TriggerName }
          : kind === 'node'
            ? { kind: 'node-remove', node: name as NodeId }
            : null;
    if (wanted === null) {
      process.exitCode = refuse(
        rejected('WM_ARGUMENT', { message: `'${kind}' cannot be deleted.`, next: 'Name a deployment, a trigger or a node.' }).error,
      );
      return;
    }
    process.exitCode = await withOperator(options, async (session) => {
      const reply = await session.execute(wanted);
      if (!reply.ok) return refuse(reply.error);
      print(`${kind} ${name} deleted`);
      return 0;
    });
  });
}
