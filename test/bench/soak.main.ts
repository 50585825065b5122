// A real platform under steady load for a long time: `node test/bench/soak.main.ts [--minutes 10] [--warm-up 10] [--cores 1] [--record]
// [--keep]`.
// Starts a controller and two agents as processes, publishes as many events as keep them that busy together, and holds them to
// this: memory, handles and open files do not grow after a time of warming up; every accepted event has its effect, and no event has
// two. --record writes the figures to reports/baseline/soak.json. It wants a machine to itself; it says what else ran.
import { copyFileSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { openOperator, type Operator } from '../../hardware/operator/operator.ts';
import { buildExamples } from '../../scenarios/examples/build.ts';
import type { Endpoint } from '../../system/domain/identifiers.ts';
import { describeError } from '../../system/domain/outcome.ts';
import { createStateClient } from '../../system/state/state.ts';
import { halfWritten, temporaryFolder } from '../support/e2e/command.ts';
import { eventually, Platform } from '../support/e2e/platform.ts';
import { readFigures, sampleOf, type Figures } from '../support/soak/figures.ts';
import { grows, measureGrowth, type Growth } from '../support/soak/growth.ts';
import { Load } from '../support/soak/load.ts';

const SAMPLE_MS = 5_000;
/** Garbage is collected each so many samples, and only what has survived is judged. */
const COLLECT_EVERY = 4;
const COLLECT_MS = 500;
const NODES = ['soak-1', 'soak-2'] as const;
const QUEUE = 10_000;
const START_RATE = 50;
/** Samples of the rate while it warms up of which the mean is kept: two minutes. */
const RATES_AVERAGED = 24;
/** Bound: time for everything around the load itself. */
const SETUP_MS_MAX = 600_000;
/** Bound: how long the last results may take. */
const SETTLE_MS_MAX = 60_000;
const MIB = 1_024 * 1_024;
/** What counts as no growth, per minute. */
const LIMITS = {
  heapBytes: { perMinute: 0.5 * MIB, unit: 'MiB', scale: MIB },
  nativeBytes: { perMinute: 0.5 * MIB, unit: 'MiB', scale: MIB },
  // With it the pages that the JavaScript engine takes and keeps as it sees fit.
  rssBytes: { perMinute: 2 * MIB, unit: 'MiB', scale: MIB },
  openFiles: { perMinute: 0.5, unit: '', scale: 1 },
  handles: { perMinute: 0.5, unit: '', scale: 1 },
} as const;
type Judged = keyof typeof LIMITS;
const COUNTERS = [
  'wasmmatrix_events_accepted_total',
  'wasmmatrix_events_duplicate_total',
  'wasmmatrix_events_refused_total',
  'wasmmatrix_events_retried_total',
  'wasmmatrix_events_deadlettered_total',
  'wasmmatrix_invocations_total',
  'wasmmatrix_instance_restarts_total',
  'wasmmatrix_log_lines_dropped_total',
] as const;
const BASELINE = join(import.meta.dirname, '..', '..', 'reports', 'baseline', 'soak.json');

const { values: flags } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    /** Minutes under load before those that are judged, in which the rate is found. */
    'warm-up': { type: 'string', default: '10' },
    cores: { type: 'string', default: '1' },
    record: { type: 'boolean', default: false },
    /** Leaves the folder of the platform for whoever looks into it. */
    keep: { type: 'boolean', default: false },
  },
});
const minutes = Number(flags.minutes);
const warmUp = Number(flags['warm-up']);
const coresWanted = Number(flags.cores);
if (!(minutes > 0) || !(warmUp > 0) || !(coresWanted > 0)) throw new Error('--minutes, --warm-up and --cores take a number above 0.');

type Member = {
  readonly name: string;
  readonly admin: string;
  readonly pid: number;
  readonly samples: { readonly seconds: number; readonly figures: Figures }[];
};

const folder = temporaryFolder();
const home = folder.make('home');
const platform = new Platform(home, {
  wallMsMax: (minutes + warmUp) * 60_000 + SETUP_MS_MAX,
  env: { NODE_OPTIONS: `--import=${new URL('../support/soak/collect.main.ts', import.meta.url).href}` },
});
const mib = (bytes: number): string => (bytes / MIB).toFixed(1);
const say = (line: string): void => void process.stdout.write(`${line}\n`);
const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Keys, modules, deployments and triggers, as a user sets them up. */
async function setUp(): Promise<void> {
  const examples = await buildExamples();
  await platform.ok('keys', 'create', 'soak');
  await platform.ok('trust', 'add', 'soak', '--grant', 'state-read:counter/', '--grant', 'state-write:counter/');
  for (const name of ['echo', 'counter']) {
    const example = examples.get(name);
    if (example === undefined) throw new Error(`there is no example ${name}`);
    const module = join(folder.path, name, `${name}.wasm`);
    mkdirSync(join(folder.path, name), { recursive: true });
    copyFileSync(example.wasmPath, module);
    const manifest = join(import.meta.dirname, '..', '..', 'scenarios', 'examples', name, 'module.yaml');
    await platform.ok('push', module, '--sign', 'soak', '--manifest', manifest);
  }
  const manifest = join(folder.path, 'soak.yaml');
  writeFileSync(
    manifest,
    [
      '- { deploy: echo, origin: local, replicas: 2, spread: node, concurrency: 32 }',
      '- { trigger: echo, on: soak.echo, result: soak.out.echo }',
      '- { deploy: counter, origin: local, replicas: 2, spread: node, concurrency: 1 }',
      '- { trigger: counter, on: soak.count, result: soak.out.count }',
      '',
    ].join('\n'),
  );
  await platform.ok('apply', manifest);
  await eventually(
    () => platform.json<readonly { readonly state: string }[]>('get', 'instances'),
    (rows) => rows.filter(({ state }) => state === 'running').length === 4,
    'four instances run',
  );
}

/** Rejects when a process ends before its time, with what it said last. */
function untilOneEnds(): Promise<never> {
  const processes = [
    ['controller', platform.controllerProcess()] as const,
    ...NODES.map((name) => [name, platform.agentProcess(name)] as const),
  ];
  return Promise.race(
    processes.map(async ([name, running]) => {
      const { code, stderr } = await running.ended;
      throw new Error(`${name} ended with ${code ?? running.child.signalCode}; it said last:\n${stderr.slice(-2_000)}`);
    }),
  );
}

async function look(members: readonly Member[], startedMs: number): Promise<void> {
  for (const member of members) {
    member.samples.push({ seconds: (performance.now() - startedMs) / 1_000, figures: await readFigures(member.admin, member.pid) });
  }
}

/** Cores that a member used between two samples. */
function coresOf({ samples }: Member, from: number, to: number): number {
  const [a, b] = [samples.at(from), samples.at(to)];
  if (a === undefined || b === undefined || a === b) return 0;
  return (b.figures.cpuSeconds - a.figures.cpuSeconds) / (b.seconds - a.seconds);
}

/**
 * Samples, and steers the rate while it warms up: as much as keeps the platform as busy as is wanted, or as much as the machine has
 * room for. While it is judged the rate stays what it was last on average: a rate that rises needs memory that rises.
 */
async function watch(members: readonly Member[], load: Load, warmUpMs: number, durationMs: number): Promise<readonly number[]> {
  const loads: number[] = [];
  const rates: number[] = [];
  const startedMs = performance.now();
  let publishedBefore = 0;
  await look(members, startedMs);
  for (let next = SAMPLE_MS; next <= durationMs; next += SAMPLE_MS) {
    await sleep(Math.max(0, startedMs + next - performance.now()));
    if ((next / SAMPLE_MS) % COLLECT_EVERY === 0) {
      for (const { pid } of members) process.kill(pid, 'SIGUSR2');
      await sleep(COLLECT_MS);
    }
    await look(members, startedMs);
    loads.push(loadavg()[0] ?? 0);
    const cores = members.reduce((total, member) => total + coresOf(member, -2, -1), 0);
    const achieved = ((load.published - publishedBefore) / SAMPLE_MS) * 1_000;
    publishedBefore = load.published;
    if (next < warmUpMs) {
      rates.push(achieved);
      const wanted = load.rate * Math.min(1.25, Math.max(0.8, coresWanted / cores));
      load.rate = achieved < load.rate * 0.8 ? Math.max(1, achieved * 1.1) : wanted;
    } else {
      const last = rates.slice(-RATES_AVERAGED);
      load.rate = last.reduce((total, rate) => total + rate, 0) / last.length;
    }
    const rss = members
      .map(
        ({ name, samples }) => `${name} ${mib(samples.at(-1)!.figures.rssBytes)} (native ${mib(samples.at(-1)!.figures.nativeBytes)}) MiB`,
      )
      .join(', ');
    say(
      `${(next / 1_000).toFixed(0).padStart(5)} s  ${achieved.toFixed(0).padStart(5)} events/s  ${cores.toFixed(2)} cores  ` +
        `outstanding ${load.backlog}  p99 ${load.latencyMs(0.99).toFixed(0)} ms  ${rss}`,
    );
  }
  return loads;
}

type Judgement = { readonly member: string; readonly figure: Judged; readonly growth: Growth; readonly grows: boolean };

/** `from`: seconds from which on nothing may grow. */
function judge(members: readonly Member[], from: number): readonly Judgement[] {
  return members.flatMap(({ name, samples }) =>
    (Object.keys(LIMITS) as Judged[]).map((figure) => {
      const growth = measureGrowth(
        samples.map(({ seconds, figures }) => ({ seconds, value: figures[figure] })),
        from,
      );
      return { member: name, figure, growth, grows: grows(growth, LIMITS[figure].perMinute) };
    }),
  );
}

/** How often the counter module counted, as the state store says. */
async function countOf(operator: Operator): Promise<number> {
  const state = createStateClient({ network: operator.network }, { store: 'controller' as Endpoint });
  const entry = await state.get('counter/count', { deadlineMicros: 10_000_000 });
  if (!entry.ok) throw new Error(describeError(entry.error));
  return entry.value === null ? 0 : Number(new TextDecoder().decode(entry.value.value).split('\n')[0]);
}

function bytesIn(path: string): number {
  return readdirSync(path, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((total, entry) => total + statSync(join(entry.parentPath, entry.name)).size, 0);
}

async function soak(): Promise<boolean> {
  const loadBefore = loadavg()[0] ?? 0;
  await platform.up(['--queue', String(QUEUE)]);
  for (const name of NODES) await platform.agent(name, ['--cores', '1', '--memory', '512MiB']);
  await setUp();
  const adminOf = (name: string): string =>
    (JSON.parse(platform.agentProcess(name).stdout().split('\n')[0] ?? '') as { readonly agent: { readonly admin: string } }).agent.admin;
  const members: readonly Member[] = [
    { name: 'controller', admin: platform.told.admin, pid: platform.controllerProcess().child.pid ?? 0, samples: [] },
    ...NODES.map((name) => ({ name, admin: adminOf(name), pid: platform.agentProcess(name).child.pid ?? 0, samples: [] })),
  ];
  const troubles: string[] = [];
  const opened = await openOperator({
    context: platform.told.context,
    environment: platform.env,
    onTrouble: (error) => troubles.push(describeError(error)),
  });
  if (!opened.ok) throw new Error(describeError(opened.error));
  const operator = opened.value;
  const warmUpMs = warmUp * 60_000;
  const durationMs = warmUpMs + minutes * 60_000;
  const load = new Load(operator.bus, { eventsMax: Math.ceil((durationMs / 1_000) * 5_000), rate: START_RATE });
  await load.start();
  let over = false;
  let loads: readonly number[] = [];
  const publishing = load.publish(() => over);
  const working = async (): Promise<void> => {
    loads = await watch(members, load, warmUpMs, durationMs);
    over = true;
    await publishing;
    await load.settle(SETTLE_MS_MAX);
  };
  const ended = untilOneEnds();
  // Later they are ended on purpose.
  ended.catch(() => {});
  await Promise.race([working(), ended]);
  const counted = await countOf(operator);
  await look(members, 0);
  await operator.close();

  const { ledger } = load;
  const loadMean = loads.reduce((total, one) => total + one, 0) / loads.length;
  const lost = ledger.lost();
  const growth = judge(
    members.map((member) => ({ ...member, samples: member.samples.slice(0, -1) })),
    warmUp * 60,
  );
  const last = members.map(({ samples }) => samples.at(-1)!.figures.text);
  const totals = Object.fromEntries(COUNTERS.map((name) => [name, last.reduce((total, text) => total + sampleOf(text, name), 0)]));
  const cores = Object.fromEntries(members.map((member) => [member.name, Number(coresOf(member, 0, -2).toFixed(3))]));
  const failures = [
    ...growth.filter((one) => one.grows).map(({ member, figure }) => `${figure} of ${member} grows`),
    ...(lost.length > 0 ? [`${lost.length} accepted events have no effect, such as soak-${lost[0]}`] : []),
    ...(ledger.doubled.length > 0
      ? [
          `${ledger.doubled.length} events have two results, such as soak-${ledger.doubled[0]?.number}, ${ledger.doubled[0]?.apart} events apart`,
        ]
      : []),
    ...(counted === load.counted ? [] : [`${load.counted} events were to be counted, the state store counted ${counted}`]),
    ...(ledger.strange.length > 0 ? [`${ledger.strange.length} results of nothing, such as ${ledger.strange[0]}`] : []),
  ];

  say('');
  for (const { member, figure, growth: line, grows: isGrowing } of growth) {
    const { unit, scale, perMinute } = LIMITS[figure];
    const number = (value: number): string => (value / scale).toFixed(2).padStart(9);
    say(
      `${member.padEnd(11)} ${figure.padEnd(10)} mean ${number(line.mean)} ${unit}  slope ${number(line.slope)} ± ${number(2 * line.error).trim()} ` +
        `per minute, limit ${(perMinute / scale).toFixed(2)}  ${isGrowing ? 'GROWS' : 'ok'}`,
    );
  }
  say(
    `events      ${ledger.accepted} accepted, ${ledger.done} with their effect, ${counted} of ${load.counted} counted in state, ${load.repeated} publishes repeated`,
  );
  say(`totals      ${JSON.stringify(totals)}; trouble ${JSON.stringify(Object.fromEntries(load.troubles))}`);
  say(`cores       ${JSON.stringify(cores)}; load average ${loadBefore.toFixed(2)} before, ${loadMean.toFixed(2)} meanwhile`);
  say(failures.length === 0 ? 'No growth, no loss, no second effect.' : failures.map((failure) => `FAILED: ${failure}`).join('\n'));
  if (flags.record) {
    const machine = {
      processor: cpus()[0]?.model ?? 'unknown',
      cores: cpus().length,
      node: process.versions.node,
      loadBefore,
      loadMean: Number(loadMean.toFixed(2)),
    };
    const results = {
      minutes,
      warmUpMinutes: warmUp,
      coresWanted,
      coresUsed: cores,
      eventsPerSecond: Number((load.published / (durationMs / 1_000)).toFixed(1)),
      latencyMsP50: Number(load.latencyMs(0.5).toFixed(1)),
      latencyMsP99: Number(load.latencyMs(0.99).toFixed(1)),
      events: {
        accepted: ledger.accepted,
        done: ledger.done,
        toCount: load.counted,
        counted,
        repeated: load.repeated,
        lost: lost.length,
        doubled: ledger.doubled.length,
      },
      troubles: Object.fromEntries(load.troubles),
      totals,
      growthPerMinute: Object.fromEntries(
        members.map(({ name }) => [
          name,
          Object.fromEntries(growth.filter(({ member }) => member === name).map(({ figure, growth: line }) => [figure, line])),
        ]),
      ),
      limitsPerMinute: Object.fromEntries(Object.entries(LIMITS).map(([figure, { perMinute }]) => [figure, perMinute])),
      diskBytes: bytesIn(home),
      failures,
    };
    writeFileSync(BASELINE, `${JSON.stringify({ machine, results }, null, 2)}\n`);
    say('Written to reports/baseline/soak.json.');
  }
  if (troubles.length > 0) say(`The operator's connection had trouble: ${troubles.slice(0, 3).join(' ')}`);
  return failures.length === 0;
}

try {
  process.exitCode = (await soak()) ? 0 : 1;
} finally {
  await platform.close();
  if (flags.keep) say(`Kept in ${folder.path}; ${halfWritten(folder.path).length} files half-written.`);
  else folder.remove();
}
