// The verb `scenario`: checks scenario files, explains one in full, lists the catalogue, begins a new file. Plays nothing.
// A composition root: it reads and writes files, and what they mean is decided in this folder's pure files.
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import { parse } from 'yaml';
import { allNames, catalogueFiles, describePath, findScenario, quotePath, readScenario } from '../sim/campaign/library.main.ts';
import { codeOf, wordsOf } from '../sim/campaign/output.main.ts';
import { EXIT_REJECTED, paint, print, refuse, say } from '../sim/campaign/teller.main.ts';
import { describeError, ok, rejected, type Outcome, type WmError } from '../system/domain/outcome.ts';
import { readManifests } from './examples/build.ts';
import { explainClaims, explainScenario, timetableOf, type Section } from './explain.ts';
import { addImport } from './import.main.ts';
import { listScenarios, selectScenarios } from './listing.main.ts';
import { nameOf, SCENARIO_SUFFIX } from './load.ts';
import { nearest, type Mistake } from './mistakes.ts';
import type { Scenario } from './scenario.ts';

const TEMPLATES = fileURLToPath(new URL('./templates/', import.meta.url));
const TEMPLATE_FIRST = 'failure';
/** Bound: mistakes told of one file; a file with more is another kind of file. */
const MISTAKES_MAX = 1_000;
const NAME = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;

export function addScenario(program: Command): void {
  const scenario = program
    .command('scenario')
    .summary('check, explain, list and begin scenarios')
    .description(
      'Checks scenario files, explains what one comes to, lists the catalogue, begins a new file. Plays nothing: that is `run`.',
    );
  scenario
    .command('validate')
    .summary('say every mistake of scenario files')
    .description(
      'Says the mistakes of scenario files with line and column, what was expected, and what was probably meant: first those of shape, and when there are none those of what it refers to. Ends with 0 when all are right, with 2 otherwise.',
    )
    .argument('<file...>', 'paths of .scenario.yaml files, or names in the catalogue')
    .option('--json', 'print the findings, and nothing else, as JSON on stdout')
    .action((files: readonly string[], options: { readonly json?: true }) => {
      process.exitCode = validate(files, options.json === true);
    });
  scenario
    .command('explain')
    .summary('show what a scenario comes to')
    .description(
      'Shows a scenario with every default filled in and every unit resolved: times, platform, fleet, links, the timetable of steps and faults, the workload, and what the run is held to. What the file does not say stands in parentheses.',
    )
    .argument('<scenario>', 'a name in the catalogue, or the path of a .scenario.yaml file')
    .option('--json', 'print it as JSON on stdout: times in microseconds, sizes in bytes')
    .action(async (wanted: string, options: { readonly json?: true }) => {
      process.exitCode = await explain(wanted, options.json === true);
    });
  scenario
    .command('list')
    .summary('list the scenarios of the catalogue')
    .description(
      'Lists the scenarios of the catalogue, and those that are played when they are named only, one question each, with tags and requirements.',
    )
    .option('--filter <text>', 'only scenarios whose name, tag or requirement contains this')
    .option('--json', 'as JSON')
    .action((options: { readonly filter?: string; readonly json?: true }) => {
      const selected = selectScenarios(allNames(), options.filter);
      process.exitCode =
        'errors' in selected ? refuse(selected.errors.map(describeError)) : listScenarios(selected.scenarios, options.json === true);
    });
  scenario
    .command('new')
    .summary('begin a scenario of your own')
    .description(
      `Writes a scenario that is right and holds, with a comment for each part, to be changed: <name>${SCENARIO_SUFFIX} in this folder. Never writes over a file.`,
    )
    .argument('<name>', 'what it is called: lower-case letters, digits and inner hyphens; a folder may stand before it')
    .option('--from <template>', `${templateNames().join(', ')}, or a name in the catalogue (default: ${TEMPLATE_FIRST})`)
    .action((name: string, options: { readonly from?: string }) => {
      process.exitCode = begin(name, options.from ?? TEMPLATE_FIRST);
    });
  addImport(scenario);
}

type Finding = { readonly file: string; readonly valid: boolean; readonly mistakes: readonly Mistake[]; readonly error: WmError | null };

function validate(wanted: readonly string[], json: boolean): number {
  const findings = [...new Set(wanted)].map((name): Finding => {
    let mistakes: readonly Mistake[] = [];
    const found = findScenario(name);
    const read = found.ok
      ? readScenario(found.value, { toldMax: MISTAKES_MAX, onMistakes: (all) => (mistakes = all.slice(0, MISTAKES_MAX)) })
      : found;
    return read.ok
      ? { file: read.value.file, valid: true, mistakes, error: null }
      : { file: found.ok ? describePath(found.value) : name, valid: false, mistakes, error: read.error };
  });
  const wrong = findings.flatMap(({ error }) => (error === null ? [] : [error]));
  if (json) {
    const files = findings.map(({ file, valid, mistakes, error }) => ({
      file,
      valid,
      mistakes,
      error: error === null ? null : describeError(error),
    }));
    print(JSON.stringify({ valid: wrong.length === 0, files }, null, 2));
    return wrong.length === 0 ? 0 : EXIT_REJECTED;
  }
  for (const { file, valid } of findings) if (valid) say(`${paint()('green', '✔')} ${file}`);
  return wrong.length === 0 ? 0 : refuse(wrong.map(describeError));
}

async function explain(wanted: string, json: boolean): Promise<number> {
  const found = findScenario(wanted);
  if (!found.ok) return refuse([describeError(found.error)]);
  const read = readScenario(found.value);
  if (!read.ok) return refuse([describeError(read.error)]);
  const scenario = read.value;
  const examples = await readManifests();
  if (json) {
    const steps = scenario.steps.map((step) =>
      step.do === 'push'
        ? {
            ...step,
            capabilities: step.capabilities ?? examples.get(step.example)?.capabilities ?? null,
            limits: { ...examples.get(step.example)?.limits, ...step.limits },
          }
        : step,
    );
    print(JSON.stringify({ ...scenario, steps, timetable: timetableOf(scenario), held: explainClaims(scenario) }, null, 2));
    return 0;
  }
  tell(scenario, explainScenario(scenario, parse(readFileSync(found.value, 'utf8')), examples));
  return 0;
}

function tell(scenario: Scenario, sections: readonly Section[]): void {
  const draw = paint();
  say(`${draw('bold', scenario.name)}  ${draw('dim', scenario.file)}`);
  say(`  ${scenario.question}`);
  if (scenario.description !== '') say(draw('dim', `  ${scenario.description.replaceAll(/\s+/g, ' ')}`));
  say(`  holds ${scenario.requirements.join(' ')}${scenario.tags.length > 0 ? `; tagged ${scenario.tags.join(' ')}` : ''}`);
  say(draw('dim', '  In parentheses: what the file does not say, and its default.'));
  for (const { title, head, rows } of sections) {
    say('');
    say(draw('bold', title));
    const cells = [...(head.length > 0 ? [head] : []), ...rows.map((row) => row.cells)];
    const widths = (cells[0] ?? []).map((_, i) =>
      Math.max(0, ...cells.filter((row) => row.length > i + 1).map((row) => row[i]?.length ?? 0)),
    );
    const line = (row: readonly string[]): string =>
      `  ${row.map((cell, i) => (i === row.length - 1 ? cell : cell.padEnd(widths[i] ?? 0))).join('  ')}`.trimEnd();
    if (head.length > 0) say(draw('dim', line(head)));
    for (const row of rows) {
      say(row.isFault ? draw('yellow', line(row.cells)) : line(row.cells));
      if (row.filled.length > 0) say(draw('dim', line([...row.cells.slice(0, -1).map(() => ''), `(${row.filled.join(', ')})`])));
    }
  }
}

function begin(wanted: string, from: string): number {
  const name = nameOf(wanted);
  const file = join(dirname(wanted), `${name}${SCENARIO_SUFFIX}`);
  if (!NAME.test(name)) return refuse([describeError(noName(name))]);
  const template = findTemplate(from);
  if (!template.ok) return refuse([describeError(template.error)]);
  const text = readFileSync(template.value, 'utf8').replaceAll(`${nameOf(template.value)}${SCENARIO_SUFFIX}`, () => quotePath(file));
  try {
    // Safety: `wx` fails where anything is already, a link that leads nowhere too.
    writeFileSync(file, text, { flag: 'wx' });
  } catch (error) {
    if (codeOf(error) === null) throw error;
    return refuse([describeError(unwritable(file, error))]);
  }
  say(`${file} is written, from ${nameOf(template.value)}. Change it, then:`);
  say(`  npx wasmmatrix scenario validate ${quotePath(file)}`);
  say(`  npx wasmmatrix run ${quotePath(file)}`);
  return 0;
}

function templateNames(): readonly string[] {
  return readdirSync(TEMPLATES)
    .filter((file) => file.endsWith(SCENARIO_SUFFIX))
    .map(nameOf)
    .sort();
}

function findTemplate(from: string): Outcome<string> {
  const named = join(TEMPLATES, `${from}${SCENARIO_SUFFIX}`);
  if (templateNames().includes(from) && existsSync(named)) return ok(named);
  const inCatalogue = catalogueFiles().find((file) => nameOf(file) === from);
  if (inCatalogue !== undefined) return ok(inCatalogue);
  const close = nearest(from, [...templateNames(), ...catalogueFiles().map(nameOf)]);
  return rejected('WM_ARGUMENT', {
    message: `There is no template '${from}'${close === null ? '.' : `; did you mean '${close}'?`}`,
    next: `Give --from one of ${templateNames().join(', ')}, or a name of \`wasmmatrix scenario list\`.`,
  });
}

function noName(name: string): WmError {
  return rejected('WM_ARGUMENT', {
    message: `'${name}' is no name of a scenario.`,
    next: 'Use lower-case letters, digits and inner hyphens, at most 63.',
  }).error;
}

function unwritable(file: string, error: unknown): WmError {
  if (codeOf(error) === 'EEXIST')
    return rejected('WM_ARGUMENT', {
      message: `${file} exists, and is not written over.`,
      next: 'Choose another name, or remove the file first.',
    }).error;
  const why = codeOf(error) === 'ENOENT' ? `there is no folder ${dirname(file)}` : wordsOf(error);
  return rejected('WM_ARGUMENT', {
    message: `${basename(file)} cannot be written: ${why}.`,
    next: 'Name a folder that exists and that you may write to.',
  }).error;
}
