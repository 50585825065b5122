import { existsSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { drawPlan, freshPlan } from '../../sim/campaign/draw/draw.ts';
import { SIM_FAULT_KINDS } from '../../sim/faults/faults.ts';
import { ROOT, shell, start, temporaryFolder, wasmmatrix } from '../support/e2e/command.ts';
import { documentedOptions, helpedOptions } from '../support/e2e/reference.ts';
import { writeScenario } from '../support/e2e/scenarios.ts';

const folder = temporaryFolder();
afterAll(() => folder.remove());

type Plan = {
  readonly seed: string;
  readonly near: string | null;
  readonly verdict: string;
  readonly digest: string;
  readonly faults: Readonly<Record<string, number>>;
  readonly met: number;
};
type Reached = { readonly reached: number; readonly firstSeed: string | null };
type Summary = {
  readonly runs: number;
  readonly held: number;
  readonly interrupted: boolean;
  readonly ended: string;
  readonly coverage: { readonly met: number; readonly of: number; readonly quietRuns: number };
  readonly states: readonly (Reached & { readonly state: string })[];
  readonly sometimes: readonly (Reached & { readonly scenario: string; readonly claim: string })[];
  readonly failures: readonly { readonly goal: string; readonly scenario: string; readonly reproduce: string; readonly because: string }[];
};

function plansIn(out: string): readonly Plan[] {
  const lines = readFileSync(join(out, 'plans.jsonl'), 'utf8').split('\n');
  return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as Plan);
}

/** What `wasmmatrix run` makes of one file, from where nothing else is. */
async function playedAlone(file: string, seed: string): Promise<{ readonly code: number | null; readonly runs: readonly object[] }> {
  const { code, stdout, stderr } = await wasmmatrix(['run', basename(file), '--seed', seed, '--json', '--out', 'out'], {
    cwd: dirname(file),
  });
  expect(stdout, stderr).not.toBe('');
  const { runs } = JSON.parse(stdout) as { readonly runs: readonly Pick<Plan, 'verdict' | 'seed' | 'digest'>[] };
  return { code, runs: runs.map(({ verdict, seed: its, digest }) => ({ verdict, seed: its, digest })) };
}

// Side by side: commands that start or play with one thread leave a core to others.
describe.concurrent('fuzz', () => {
  test('lists the options that the reference lists', async () => {
    const { code, stdout } = await wasmmatrix(['fuzz', '--help']);
    expect(code).toBe(0);
    expect(documentedOptions('fuzz')).toEqual(helpedOptions(stdout));
  });

  test('plays the run of a seed alike in every campaign, and holds what it draws', async () => {
    const [first, second] = [join(folder.path, 'first'), join(folder.path, 'second')];
    const three = await wasmmatrix(['fuzz', '--seed', '0x11', '--runs', '3', '--jobs', '1', '--out', first]);
    const one = await wasmmatrix(['fuzz', '--seed', '18', '--runs', '1', '--json', '--out', second]);
    expect(three, three.stdout + three.stderr).toMatchObject({ code: 0 });
    expect(three.stdout).toMatch(/^3 runs, 3 held, 0 failed; .* runs per core-hour\.$/m);
    expect(JSON.parse(one.stdout)).toMatchObject({ runs: 1, held: 1, failures: [], interrupted: false });
    const plans = plansIn(first);
    expect(plans.map(({ seed }) => seed)).toEqual(['0x11', '0x12', '0x13']);
    // What a run is the first to meet depends on those before it; what it is does not.
    const itself = ({ met: _, ...plan }: Plan) => plan;
    expect(plansIn(second).map(itself)).toEqual(plans.slice(1, 2).map(itself));
    expect(readdirSync(first).sort()).toEqual(['coverage.json', 'plans.jsonl', 'summary.json']);
    const both = await wasmmatrix(['coverage', first, second, '--json']);
    const { runs, invariants } = JSON.parse(both.stdout) as { runs: number; invariants: { name: string; runs: number }[] };
    expect({ runs, checked: invariants.find(({ name }) => name === 'P1')?.runs }).toEqual({ runs: 4, checked: 4 });
    const table = await wasmmatrix(['coverage', first]);
    expect(table.stdout).toMatch(/^instance pending to assigned +3 /m);
  });

  test('draws the same runs whatever the threads, some of them near earlier ones that met something new', async () => {
    const holding = writeScenario(folder.path, 'guided', 'somewhere');
    const args = ['fuzz', holding, '--seed', '0x11', '--runs', '16', '--json'];
    const [one, two, blind] = ['one', 'two', 'blind'].map((name) => join(folder.path, `guided-${name}`)) as [string, string, string];
    const first = await wasmmatrix([...args, '--jobs', '1', '--out', one]);
    await wasmmatrix([...args, '--jobs', '2', '--out', two]);
    await wasmmatrix([...args, '--no-guide', '--jobs', '2', '--out', blind]);
    const plans = plansIn(one);
    expect(plansIn(two)).toEqual(plans);
    const near = plans.flatMap((plan, i) => (plan.near === null ? [] : [[i, plans.findIndex(({ seed }) => seed === plan.near)] as const]));
    expect(near.length).toBeGreaterThan(0);
    for (const [run, parent] of near) expect(parent >= 0 && parent < run && (plans[parent]?.met ?? 0) > 0).toBe(true);
    expect(plansIn(blind).every((plan) => plan.near === null)).toBe(true);
    expect(plansIn(blind).slice(0, 8)).toEqual(plans.slice(0, 8));
    const { coverage, sometimes, states, ended } = JSON.parse(first.stdout) as Summary;
    expect(ended).toBe('runs');
    expect(coverage.met).toBe(plans.reduce((total, { met }) => total + met, 0));
    expect(coverage.of).toBeGreaterThan(coverage.met);
    expect(sometimes.map(({ scenario, reached, firstSeed }) => [scenario, reached, firstSeed])[0]).toEqual(['guided', 16, '0x11']);
    expect(states.find(({ state }) => state === 'two-nodes-down')?.reached).toBeGreaterThan(0);
  });

  test('ends when so many runs met nothing new, after the same run whatever the threads', async () => {
    const args = ['fuzz', writeScenario(folder.path, 'quiet', 'holds'), '--seed', '0x11', '--until-quiet', '1', '--json'];
    const ended = [];
    for (const jobs of ['1', '2']) {
      const out = join(folder.path, `quiet-${jobs}`);
      const { code, stdout, stderr } = await wasmmatrix([...args, '--jobs', jobs, '--out', out]);
      expect(code, stderr).toBe(0);
      expect(JSON.parse(stdout)).toMatchObject({ ended: 'quiet', interrupted: false, coverage: { quietRuns: 1 } });
      const met = plansIn(out).map((plan) => plan.met);
      expect(met.map((n) => n === 0)).toEqual(met.map((_, i) => i === met.length - 1));
      ended.push(plansIn(out));
    }
    expect(ended[1]).toEqual(ended[0]);
  });

  test('says what a permuted failure needs to fail again', async () => {
    const out = join(folder.path, 'permuted');
    const late = writeScenario(folder.path, 'permutes', 'late');
    const { stdout } = await wasmmatrix(['fuzz', late, '--seed', '0x5', '--runs', '1', '--permute', '--json', '--out', out]);
    const { failures } = JSON.parse(stdout) as Summary;
    const { reproduce = '' } = failures[0] ?? {};
    expect(reproduce).toMatch(/ --seed 0x5 --permute$/);
    expect(readFileSync(join(out, readdirSync(out).find((file) => file.endsWith('.scenario.yaml')) ?? ''), 'utf8')).toMatch(
      /^# Drawn by `wasmmatrix fuzz permutes --seed 0x5 --runs 1 --permute`\. Seed 0x5 --permute\.\n/,
    );
    const told = await wasmmatrix([
      'fuzz',
      'node-failure',
      '--seed',
      '0x5',
      '--runs',
      '1',
      '--permute',
      '--out',
      join(folder.path, 'told'),
    ]);
    expect(told.stdout).toContain('`wasmmatrix fuzz node-failure --seed <its seed> --runs 1 --permute`');
    const again = await shell(
      `${reproduce.replace('npx wasmmatrix', '$WASMMATRIX')} --json --out '${join(folder.path, 'permuted again')}'`,
    );
    const [run] = (JSON.parse(again.stdout) as { runs: { digest: string; reproduce: string }[] }).runs;
    expect(run?.digest).toBe(plansIn(out)[0]?.digest);
    expect(run?.reproduce).toMatch(/ --seed 0x5 --permute$/);
  });

  test('leaves a failure as a scenario whose command fails alike', async () => {
    const out = join(folder.path, 'failing');
    const late = writeScenario(folder.path, 'late', 'late');
    const { code, stdout } = await wasmmatrix(['fuzz', late, '--seed', '0x5', '--runs', '1', '--json', '--out', out]);
    const { failures } = JSON.parse(stdout) as Summary;
    expect(code).toBe(3);
    expect(failures).toHaveLength(1);
    expect(failures[0]).toMatchObject({ goal: 'running', because: expect.stringContaining('50 were due') as string });
    const { reproduce = '' } = failures[0] ?? {};
    const again = await shell(`${reproduce.replace('npx wasmmatrix', '$WASMMATRIX')} --json --out '${join(folder.path, 'again')}'`);
    expect(again.code).toBe(3);
    const [run] = (JSON.parse(again.stdout) as { runs: { seed: string; digest: string }[] }).runs;
    expect(run).toMatchObject({ seed: '0x5', digest: plansIn(out)[0]?.digest });
  });

  test('ends at as many failures as were asked for, and takes nothing that a failed run met for known', async () => {
    const out = join(folder.path, 'failing-twice');
    const late = writeScenario(folder.path, 'twice', 'late');
    const { code, stdout } = await wasmmatrix(['fuzz', late, '--seed', '0x5', '--runs', '9', '--failures', '2', '--json', '--out', out]);
    expect(code).toBe(3);
    expect(JSON.parse(stdout)).toMatchObject({ runs: 2, ended: 'failures', coverage: { quietRuns: 2 } });
    expect(plansIn(out).map(({ met }) => met)).toEqual([0, 0]);
  });

  test('has a failure made small, which still fails alike', async () => {
    const [out, small] = [join(folder.path, 'large'), join(folder.path, 'small.scenario.yaml')];
    const late = writeScenario(folder.path, 'later', 'late');
    await wasmmatrix(['fuzz', late, '--seed', '0x5', '--runs', '1', '--quiet', '--out', out]);
    const { code, stdout, stderr } = await wasmmatrix(['shrink', out, '--runs', '60', '--json', '--out', small]);
    expect(code, stderr).toBe(0);
    const found = JSON.parse(stdout) as {
      readonly seed: string;
      readonly goal: string;
      readonly proved: boolean;
      readonly reproduce: string;
    };
    expect(found).toMatchObject({ seed: '0x5', goal: 'running', proved: true });
    expect(readFileSync(small, 'utf8')).not.toMatch(/^(workload| +(- )?(crash|pause|partition)):/m);
    const again = await shell(`${found.reproduce.replace('npx wasmmatrix', '$WASMMATRIX')} --out '${join(folder.path, 'small again')}'`);
    expect(again.code).toBe(3);
    expect(again.stdout).toContain('50 were due');
  });

  test('has the first failure of a campaign made small beside its report, where that is asked for', async () => {
    const failing = writeScenario(folder.path, 'fails', 'late');
    const holding = writeScenario(folder.path, 'holds', 'holds');
    const out = join(folder.path, 'made small');
    const ended = await wasmmatrix(['run', holding, failing, '--seed', '0x5', '--shrink', '--json', '--out', out]);
    const { runs } = JSON.parse(ended.stdout) as { readonly runs: readonly { readonly verdict: string }[] };
    expect(ended.code, ended.stderr).toBe(3);
    expect(runs.map(({ verdict }) => verdict)).toEqual(['held', 'unconverged']);
    const small = join(out, 'smallest.scenario.yaml');
    expect(readFileSync(small, 'utf8')).toMatch(/^# What is left of a run that failed .* Seed 0x5\.\n/);
    expect(readFileSync(small, 'utf8').length).toBeLessThan(readFileSync(failing, 'utf8').length);
    const told = await wasmmatrix(['fuzz', holding, '--seed', '0x5', '--runs', '1', '--shrink', '--out', join(folder.path, 'all held')]);
    expect(told).toMatchObject({ code: 0 });
    expect(existsSync(join(folder.path, 'all held', 'smallest.scenario.yaml'))).toBe(false);
  });

  test('says of a failure that needs no fault that nothing shows whether what is left can hold', async () => {
    const calm = writeScenario(folder.path, 'calm', 'late');
    const told = await wasmmatrix(['shrink', calm, '--seed', '5', '--runs', '1', '--out', join(folder.path, 'calm.small.scenario.yaml')]);
    expect(told.stdout, told.stderr).toContain('It fails without its faults as well.');
    expect(told.stdout).toContain('--against');
  });

  test('says so where a recorded failure is another one by now, or none', async () => {
    const failing = writeScenario(folder.path, 'otherwise', 'late');
    const out = join(folder.path, 'recorded');
    await wasmmatrix(['run', failing, '--seed', '0x5', '--quiet', '--out', out]);
    const file = join(out, 'summary.json');
    const summary = readFileSync(file, 'utf8');
    const small = ['--runs', '1', '--out', join(folder.path, 'otherwise.small.scenario.yaml')];
    const alike = await wasmmatrix(['shrink', out, ...small]);
    expect(alike.stdout).not.toContain('It was recorded as');
    expect(alike.stdout).toContain('stopped by --runs 1: what is left may not be the least there is.');
    writeFileSync(file, summary.replaceAll('"name": "running"', '"name": "P2"'));
    const otherwise = await wasmmatrix(['shrink', out, ...small]);
    expect(otherwise.stdout, otherwise.stderr).toContain('It was recorded as unconverged: P2, and fails otherwise with this code');
    writeFileSync(file, summary.replaceAll('"unconverged"', '"nondeterministic"'));
    const parted = await wasmmatrix(['shrink', out, ...small]);
    expect(parted).toMatchObject({ code: 2, stdout: '' });
    expect(parted.stderr).toMatch(/^WM_ARGUMENT \(rejected\): The run of .* with seed 0x5 is nondeterministic/);
    writeFileSync(file, summary);
    writeFileSync(failing, readFileSync(writeScenario(folder.path, 'holds by now', 'holds'), 'utf8'));
    const held = await wasmmatrix(['shrink', out, ...small]);
    expect(held).toMatchObject({ code: 2, stdout: '' });
    expect(held.stderr).toMatch(/was recorded as unconverged: running, and with this code it is not: held\./);
  });

  test('refuses to make small what does not fail', async () => {
    const holding = writeScenario(folder.path, 'holding', 'holds');
    const held = await wasmmatrix(['shrink', holding, '--seed', '1', '--out', join(folder.path, 'none.scenario.yaml')]);
    expect(held).toMatchObject({ code: 2, stdout: '' });
    expect(held.stderr).toMatch(/^WM_ARGUMENT \(rejected\): .*does not fail with seed 0x1: held/);
    const seedless = await wasmmatrix(['shrink', holding]);
    expect(seedless.stderr).toMatch(/names no seed that fails/);
    const failing = writeScenario(folder.path, 'failing there too', 'late');
    const there = await wasmmatrix(['shrink', failing, '--seed', '1', '--against', ROOT, '--out', join(folder.path, 'none.scenario.yaml')]);
    expect(there).toMatchObject({ code: 2, stdout: '' });
    expect(there.stderr).toMatch(/^WM_ARGUMENT \(rejected\): .*does not hold with seed 0x1 in .*: unconverged/);
    const none = await wasmmatrix(['shrink', failing, '--seed', '1', '--against', folder.path]);
    expect(none.stderr).toMatch(/is no checkout of WasmMatrix/);
    const help = await wasmmatrix(['shrink', '--help']);
    expect(documentedOptions('shrink')).toEqual(helpedOptions(help.stdout));
  });

  test('stops at an interrupt and says what it came to', async () => {
    const out = join(folder.path, 'interrupted');
    const fuzzing = start(['fuzz', '--seed', '0x11', '--out', out]);
    await fuzzing.said('0x11  held');
    fuzzing.child.kill('SIGINT');
    const { code, stdout, stderr } = await fuzzing.ended;
    expect(code).toBe(130);
    expect(stderr).toContain('Stopping');
    expect(stdout).toMatch(/^\d+ runs, \d+ held, 0 failed/m);
    const summary = JSON.parse(readFileSync(join(out, 'summary.json'), 'utf8')) as Summary;
    expect(summary).toMatchObject({ interrupted: true, failures: [], runs: plansIn(out).length });
  });

  test('tells what the runs of a report exercised', async () => {
    const out = join(folder.path, 'reported');
    await wasmmatrix(['run', writeScenario(folder.path, 'plain', 'holds'), '--seed', '1', '--quiet', '--out', out]);
    const { code, stdout } = await wasmmatrix(['coverage', out]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^1 runs$[^]*^instance assigned to running +1$[^]*^answered +1$[^]*^Never: fault crash, .*event dead-lettered/m);
    const none = await wasmmatrix(['coverage', folder.path]);
    expect(none).toMatchObject({ code: 2, stdout: '' });
    const help = await wasmmatrix(['coverage', '--help']);
    expect(documentedOptions('coverage')).toEqual(helpedOptions(help.stdout));
  });

  test('loses last copies where it is asked to, in a file that plays alone', async () => {
    const [out, seed] = [join(folder.path, 'unrepairable'), '0xe00005'];
    const { code, stdout } = await wasmmatrix(['fuzz', '--unrepairable', '--seed', seed, '--runs', '1', '--json', '--out', out]);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ unrepairable: true, runs: 1, held: 1 });
    const [plan] = plansIn(out);
    expect(Object.keys(plan?.faults ?? {}).some((kind) => kind === 'wipe' || kind === 'restore')).toBe(true);
    // The file of a run that held is not kept: it is drawn here as it was there.
    const drawn = drawPlan(freshPlan(seed, SIM_FAULT_KINDS), null, true);
    const alone = join(folder.make('drawn alone'), drawn.file);
    writeFileSync(alone, drawn.text);
    expect(await playedAlone(alone, seed)).toEqual({ code: 0, runs: [{ verdict: plan?.verdict, seed, digest: plan?.digest }] });
  });

  test('keeps a failure in a file that plays alone, without its campaign and what that drew for', async () => {
    const [out, seed] = [join(folder.path, 'kept'), '0x5'];
    const late = writeScenario(folder.make('drawn for'), 'late', 'late');
    const { stdout } = await wasmmatrix(['fuzz', late, '--seed', seed, '--runs', '1', '--json', '--out', out]);
    const [plan] = plansIn(out);
    const { scenario = '' } = (JSON.parse(stdout) as Summary).failures[0] ?? {};
    const alone = join(folder.make('kept alone'), basename(scenario));
    renameSync(join(out, basename(scenario)), alone);
    for (const gone of [out, late]) rmSync(gone, { recursive: true });
    expect(plan?.verdict).toBe('unconverged');
    expect(await playedAlone(alone, seed)).toEqual({ code: 3, runs: [{ verdict: plan?.verdict, seed, digest: plan?.digest }] });
  });

  test('refuses what it does not know, in words', async () => {
    const unknown = await wasmmatrix(['fuzz', 'node-failur', '--out', join(folder.path, 'unknown')]);
    expect(unknown).toMatchObject({ code: 2, stdout: '' });
    expect(unknown.stderr).toMatch(/^WM_SCENARIO_NOT_FOUND \(rejected\): .*did you mean 'node-failure'\?/);
    expect(existsSync(join(folder.path, 'unknown'))).toBe(false);
    const nothing = await wasmmatrix(['fuzz', '--require-sometimes']);
    expect(nothing).toMatchObject({ code: 2, stdout: '' });
    expect(nothing.stderr).toMatch(/^WM_ARGUMENT \(rejected\): --require-sometimes is about goals of scenarios, and none is named\./);
    const named = await wasmmatrix(['fuzz', 'node-failure', '--unrepairable']);
    expect(named).toMatchObject({ code: 2, stdout: '' });
    expect(named.stderr).toMatch(/^WM_ARGUMENT \(rejected\): --unrepairable loses what a scenario has set up/);
    const seed = await wasmmatrix(['fuzz', '--seed', 'six']);
    expect(seed).toMatchObject({ code: 2, stdout: '' });
  });
});
