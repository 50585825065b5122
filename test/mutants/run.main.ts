// Planted bugs: each patch in this folder makes one known-bad variant of the platform, which its scenarios must catch with a
// sentence that points at it, while the same scenarios hold on the unchanged tree (the control). A harness that lets one of
// them pass proves nothing about the rest. Prints one line for each and `N passed, N failed` at the end.
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { causeOf } from '../../reports/summarise.ts';
import { count, seedOf } from '../../sim/campaign/arguments.main.ts';
import { describeSize, type Size } from '../../sim/campaign/shrink/document.ts';
import { refuse } from '../../sim/campaign/teller.main.ts';
import { readCaught, writeCaught } from '../support/mutants/caught.ts';
import { fuzzMutants } from '../support/mutants/fuzzed.main.ts';
import {
  CANARY,
  firstLine,
  judgeMutant,
  MUTANTS_PAGE,
  mutantsPage,
  readMutants,
  type Caught,
  type Mutant,
} from '../support/mutants/mutants.ts';
import { copyTree, patch, play, ROOT, wasmmatrix } from '../support/mutants/planted.ts';
import { readSmall, SMALL, smallFile, smallSection, smallTitle, type Small } from '../support/mutants/small.ts';

const SEED = '0x1';
/** Enough for nearly all, and under an hour for all of them on two cores. */
const RUNS = 100;
const RUNS_MAX = 100_000;

const USAGE = `Usage: npx node test/mutants/run.main.ts [mutant...] [options]

Plants known bugs, one at a time, in copies of the working tree, and says what catches each. Without a name those of the gate.

  --all            every one
  --small          under the cases that --shrink kept, in place of the scenarios
  --shrink         make the failure of each small, and keep it in test/mutants/small
  --minutes <n>    of --shrink, for each at most (default: 5)
  --fuzz           play \`wasmmatrix fuzz\` against each until a run fails that holds on the unplanted code
  --runs <n>       of --fuzz, at most (default: ${RUNS})
  --seed <seed>    of --fuzz, of the first run (default: ${SEED})
  --no-guide       of --fuzz, draw every run afresh
  --jobs <n>       worker threads; with --fuzz so many bugs at a time
  --write          write what caught each to test/mutants/caught.json, and docs/reference/mutants.md
  --json           of --fuzz, print what it came to, and nothing else, as JSON on stdout
  --help           print this

Ends with 0 when all were caught, with 1 when one was not, with 2 when an argument is wrong.
`;

/** What the command line takes for a scenario of the catalogue, or of the regressions. */
function argumentOf(scenario: string): string {
  const regression = join('scenarios', 'regressions', `${scenario}.scenario.yaml`);
  return existsSync(join(ROOT, regression)) ? regression : scenario;
}

/** What is played for a mutant: its scenarios with so many seeds, or what was left of one with its seed. */
type Plays = { readonly files: readonly string[]; readonly seeds: readonly string[] };

function playsOf({ name, scenarios, seeds }: Mutant, small: readonly Small[] | null): Plays {
  if (small === null) return { files: scenarios.map(argumentOf), seeds: ['--seeds', String(seeds)] };
  return { files: [smallFile(name)], seeds: ['--seed', small.find(({ mutant }) => mutant === name)?.seed ?? '1'] };
}

/** Each scenario once for each choice of seeds that a mutant needs. Null: all of them hold. */
async function controlTrouble(tree: string, plays: readonly Plays[], jobs: string | undefined): Promise<string | null> {
  const filesOf = new Map<string, Set<string>>();
  for (const { files, seeds } of plays) {
    const key = seeds.join(' ');
    filesOf.set(key, new Set([...(filesOf.get(key) ?? []), ...files]));
  }
  for (const [seeds, files] of filesOf) {
    const { exitCode, runs, stderr } = await play(tree, [...files], seeds.split(' '), jobs);
    if (exitCode !== 0)
      return `exit code ${exitCode}: ${runs?.map(causeOf).filter(Boolean).map(firstLine).join(' | ') ?? stderr.slice(-800)}`;
  }
  return null;
}

/** With the mutant planted. */
async function planted<T>(tree: string, mutant: Mutant, act: () => Promise<T>): Promise<T> {
  patch(tree, mutant);
  try {
    return await act();
  } finally {
    patch(tree, mutant, '--reverse');
  }
}

async function judge(tree: string, mutant: Mutant, { files, seeds }: Plays, jobs: string | undefined): Promise<Caught | string> {
  const { exitCode, runs, stderr } = await play(tree, files, seeds, jobs);
  return runs === null ? `no summary was written (exit code ${exitCode}): ${stderr.slice(-800)}` : judgeMutant(mutant, { runs });
}

/** Makes what caught a planted mutant small, and keeps it; otherwise why not, in words. */
async function makeSmall(tree: string, { name }: Mutant, { scenario, seed }: Caught, minutes: string): Promise<string | null> {
  const out = join(tree, `${name}.scenario.yaml`);
  const bounds = ['--minutes', minutes, '--against', ROOT, '--out', out, '--json', '--quiet'];
  const { exitCode, stdout, stderr } = await wasmmatrix(tree, ['shrink', argumentOf(scenario), '--seed', String(seed), ...bounds]);
  if (exitCode !== 0) return `it was not made small (exit code ${exitCode}): ${stderr.slice(-800)}`;
  mkdirSync(SMALL, { recursive: true });
  const { before, after, runs } = JSON.parse(stdout) as { readonly before: Size; readonly after: Size; readonly runs: number };
  writeFileSync(smallFile(name), smallTitle(name, scenario, before) + readFileSync(out, 'utf8'));
  process.stdout.write(`  ${describeSize(before)} → ${describeSize(after)}, in ${runs} runs\n`);
  return null;
}

function writePage(): void {
  writeFileSync(MUTANTS_PAGE, mutantsPage(readMutants(), readCaught()) + smallSection(readSmall()));
}

/** Null when a name is unknown, and that was said. */
function choose(names: readonly string[], all: boolean): readonly Mutant[] | null {
  const mutants = readMutants();
  const unknown = names.filter((name) => !mutants.some((mutant) => mutant.name === name));
  if (unknown.length > 0) {
    refuse([`No planted bug is called ${unknown.join(' or ')}. There are ${mutants.map(({ name }) => name).join(', ')}.`]);
    return null;
  }
  const chosen = mutants.filter(({ name, gate }) => all || (names.length === 0 ? gate === true : names.includes(name)));
  return [...mutants.filter(({ name }) => name === CANARY), ...chosen.filter(({ name }) => name !== CANARY)];
}

type CatalogueOptions = {
  readonly small: readonly Small[] | null;
  readonly shrinks: boolean;
  readonly minutes: string;
  readonly jobs: string | undefined;
  readonly writes: boolean;
};

async function playCatalogue(mutants: readonly Mutant[], { small, shrinks, minutes, jobs, writes }: CatalogueOptions): Promise<number> {
  const rows: { mutant: Mutant; caught: Caught }[] = [];
  let failures = 0;
  const fail = (line: string): void => {
    failures += 1;
    process.stdout.write(`✖ ${line}\n`);
  };
  const tree = mkdtempSync(join(tmpdir(), 'wasmmatrix-mutant-'));
  try {
    copyTree(tree);
    const plays = mutants.map((mutant) => playsOf(mutant, small));
    const trouble = await controlTrouble(tree, plays, jobs);
    if (trouble !== null) fail(`the control does not hold: ${trouble}`);
    for (const [i, mutant] of mutants.entries()) {
      const caught = await planted(tree, mutant, async () => {
        const judged = await judge(tree, mutant, plays[i] as Plays, jobs);
        if (typeof judged === 'string') return judged;
        process.stdout.write(
          `✔ ${mutant.name}: caught by ${judged.scenario}, ${mutant.goal}, with seed ${judged.seed}: ${judged.because}\n`,
        );
        return (shrinks ? await makeSmall(tree, mutant, judged, minutes) : null) ?? judged;
      });
      if (typeof caught === 'string') fail(`${mutant.name} (${mutant.bug}): ${caught}`);
      else rows.push({ mutant, caught });
      if (mutant.name === CANARY && failures > 0) {
        fail('the canary or the control failed: what comes after it would prove nothing.');
        break;
      }
    }
  } finally {
    rmSync(tree, { recursive: true, force: true });
  }
  if (writes && failures === 0) {
    const before = readCaught();
    const now = Object.fromEntries(rows.map(({ mutant, caught: { scenario, seed } }) => [mutant.name, { scenario, seeds: seed }]));
    writeCaught({ ...before, catalogue: { ...before.catalogue, ...now } });
    writePage();
  }
  process.stdout.write(`\n${rows.length} passed, ${failures} failed\n`);
  return failures === 0 && rows.length > 0 ? 0 : 1;
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    allowNegative: true,
    options: {
      all: { type: 'boolean', default: false },
      small: { type: 'boolean', default: false },
      shrink: { type: 'boolean', default: false },
      minutes: { type: 'string', default: '5' },
      fuzz: { type: 'boolean', default: false },
      runs: { type: 'string', default: String(RUNS) },
      seed: { type: 'string', default: SEED },
      guide: { type: 'boolean', default: true },
      jobs: { type: 'string' },
      write: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(USAGE);
    return 0;
  }
  const { small, shrink, fuzz, jobs, write: writes } = values;
  if ([small, shrink, fuzz].filter(Boolean).length > 1) return refuse(['--small, --shrink and --fuzz are three ways to play: give one.']);
  if (small && writes) return refuse(['--small plays what is small already: it has nothing to --write.']);
  const mutants = choose(positionals, values.all);
  if (mutants === null) return refuse([]);
  if (fuzz) {
    const bounds = { seed: seedOf(values.seed), runsMax: count(RUNS_MAX)(values.runs), guide: values.guide };
    if (writes && !values.guide) return refuse(['The page says what guided fuzzing finds: --write does not go with --no-guide.']);
    const exitCode = await fuzzMutants(mutants, bounds, { jobs: count(64)(jobs ?? '1'), json: values.json, writes });
    if (writes) writePage();
    return exitCode;
  }
  const cases = small ? readSmall() : null;
  const playable = mutants.filter(({ name }) => cases?.some(({ mutant }) => mutant === name) ?? true);
  return playCatalogue(playable, { small: cases, shrinks: shrink, minutes: values.minutes, jobs, writes });
}

/** What `parseArgs` and the checks of numbers refuse. */
function isWrongArgument(error: unknown): error is Error {
  return error instanceof Error && 'code' in error && /^ERR_PARSE_ARGS_|^commander\.invalidArgument$/.test(String(error.code));
}

try {
  process.exitCode = await main();
} catch (error) {
  if (!isWrongArgument(error)) throw error;
  process.exitCode = refuse([error.message, 'See --help.']);
}
