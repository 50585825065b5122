// `wasmmatrix run` as a user has it. Tests that only start commands, each with a folder of its own, go side by side.
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import type { RunHeader, RunRecord, SuiteSummary } from '../../scenarios/record.ts';
import { halfWritten, ROOT, shell, start, temporaryFolder, wasmmatrix, type Ended } from '../support/e2e/command.ts';
import { documentedOptions, documentedVerbs, helpedOptions, helpedVerbs } from '../support/e2e/reference.ts';
import { writeScenario } from '../support/e2e/scenarios.ts';

const folder = temporaryFolder();
afterAll(() => folder.remove());

const REPORTS = ['junit.xml', 'report.html', 'run.jsonl', 'summary.json'];

function summaryIn(out: string): SuiteSummary {
  return JSON.parse(readFileSync(join(out, 'summary.json'), 'utf8')) as SuiteSummary;
}

/** What a refused command line says: a sentence with a code, without a stack, nothing on stdout, exit 2. */
function refusalOf({ code, stdout, stderr }: Ended): string {
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  expect(stderr).toMatch(/^WM_[A-Z_]+ \((rejected|failed)\): \S/);
  expect(stderr).not.toMatch(/^ {4}at /m);
  return stderr;
}

const digestsOf = (stdout: string): readonly string[] => [...stdout.matchAll(/^ {2}([0-9a-f]{16}) {2}/gm)].map((match) => match[1] ?? '');

describe('help', () => {
  test('lists the verbs, on stdout, with and without asking', async () => {
    const [asked, bare] = await Promise.all([wasmmatrix(['--help']), wasmmatrix([])]);
    expect(asked).toEqual(bare);
    expect(asked).toMatchObject({ code: 0, stderr: '' });
    expect(helpedVerbs(asked.stdout)).toEqual(documentedVerbs());
    expect(asked.stdout).toContain('Exit codes: 0 held');
  });

  test('of a verb is the same from both sides, fits 80 columns, and is what the reference lists', async () => {
    const [after, before] = await Promise.all([wasmmatrix(['run', '--help']), wasmmatrix(['help', 'run'])]);
    expect(after).toEqual(before);
    expect(after.code).toBe(0);
    expect(Math.max(...after.stdout.split('\n').map((line) => line.length))).toBeLessThanOrEqual(80);
    expect(after.stdout).not.toMatch(/default: (false|\[\])/);
    expect(documentedOptions('run')).toEqual(helpedOptions(after.stdout));
  });

  test('is what the reference would be refused for', () => {
    const page =
      '## `wasmmatrix run`\n| `--seed <seed>` | see `--seeds` |\n| `-q`, `--quiet` | no progress |\n\n## Other\n| `--else` | |\n';
    expect(documentedOptions('run', page)).toEqual(['--quiet', '--seed']);
    expect(helpedOptions('  --seed <seed>  not --seeds\n  -q, --quiet  no\n')).toEqual(['--quiet', '--seed']);
  });
});

describe.concurrent('list', () => {
  test('names every scenario of the catalogue with its question, and then those that are too large for it', async () => {
    const { code, stdout } = await wasmmatrix(['run', '--list']);
    const files = ['catalogue', 'large'].flatMap((folder) => readdirSync(join(ROOT, 'scenarios', folder)).sort());
    const names = [...stdout.matchAll(/^([a-z-]+) {2,}\S.*\?$/gm)].map((match) => `${match[1]}.scenario.yaml`);
    expect(names).toEqual(files);
    expect(code).toBe(0);
  });

  test('is JSON when asked, and takes a filter', async () => {
    const { code, stdout } = await wasmmatrix(['run', '--list', '--json', '--filter', 'security']);
    const listed = JSON.parse(stdout) as readonly { readonly name: string; readonly tags: readonly string[]; readonly file: string }[];
    expect(listed.length).toBeGreaterThan(0);
    for (const { tags, file } of listed) {
      expect(tags).toContain('security');
      expect(existsSync(join(ROOT, file))).toBe(true);
    }
    expect(code).toBe(0);
  });

  test('into a reader that stops reading ends without a word', async () => {
    const { stdout, stderr } = await shell('$WASMMATRIX run --list | head -1');
    expect(stdout.split('\n')).toHaveLength(2);
    expect(stderr).toBe('');
    // Gone before the first line, which is sure to be too late for it.
    expect(await shell('$WASMMATRIX run --list | true')).toEqual({ code: 130, stdout: '', stderr: '' });
  });
});

describe.concurrent('refuses, with a sentence', () => {
  test('a verb that it does not know', async () => {
    expect(refusalOf(await wasmmatrix(['runn']))).toMatch(/Unknown command 'runn'\n\(Did you mean run\?\)/);
  });

  test('a scenario that it does not know, and names the nearest', async () => {
    expect(refusalOf(await wasmmatrix(['run', 'deploy-and-answr']))).toMatch(
      /no scenario 'deploy-and-answr': did you mean 'deploy-and-answer'\? /,
    );
    expect(refusalOf(await wasmmatrix(['run', 'gone.scenario.yaml']))).toMatch(/no scenario 'gone.scenario.yaml': no such file\./);
    expect(refusalOf(await wasmmatrix(['run', '--filter', 'nonesuch']))).toMatch(/No scenario has 'nonesuch'/);
  });

  test.each([
    [['--seed', 'zz'], /'zz' is invalid. Give 0x and up to 16 hexadecimal digits/],
    [['--seed', '0x10000000000000000'], /is invalid. Give 0x/],
    [['--seeds', '0'], /'0' is invalid. Give a whole number from 1 to 100000/],
    [['--seeds', '1.5'], /'1.5' is invalid. Give a whole number/],
    [['--jobs', 'many'], /'many' is invalid. Give a whole number from 1 to 256/],
    [['--seed', '1', '--seeds', '2'], /'--seed <seed>' cannot be used with option '--seeds <n>'/],
    [['--sead', '1'], /Unknown option '--sead'\n\(Did you mean --seed\?\)/],
  ])('%j', async (args, sentence) => {
    expect(refusalOf(await wasmmatrix(['run', ...args]))).toMatch(sentence);
  });

  test('several wrong files at once, each mistake with its place', async () => {
    const place = folder.make('wrong');
    writeFileSync(
      join(place, 'a.scenario.yaml'),
      'question: Why?\nrequirements: [P1]\nduration: 10 parsecs\nfleet: three-zones\nstepps: []\ngoals: []\n',
    );
    writeFileSync(join(place, 'b.scenario.yaml'), 'question: [\n');
    writeScenario(place, 'right', 'holds');
    const ended = await wasmmatrix(['run', 'a.scenario.yaml', 'right.scenario.yaml', 'b.scenario.yaml', 'nowhere'], { cwd: place });
    expect(refusalOf(ended)).toMatch(/^ {2}a\.scenario\.yaml:3:\d+ {2}.*duration/m);
    expect(ended.stderr).toMatch(/^ {2}a\.scenario\.yaml:5:1 {2}.*stepps/m);
    expect(ended.stderr).toMatch(/^ {2}b\.scenario\.yaml:\d+:\d+ {2}/m);
    expect(ended.stderr).toContain("no scenario 'nowhere'");
    expect(readdirSync(place)).toHaveLength(3);
  });

  test('two scenarios of one name, and a folder that is called a scenario', async () => {
    const place = folder.make('twins');
    const first = writeScenario(folder.make('twins/a'), 'same', 'holds');
    const second = writeScenario(folder.make('twins/b'), 'same', 'holds');
    expect(refusalOf(await wasmmatrix(['run', first, second]))).toMatch(/are both the scenario 'same'/);
    mkdirSync(join(place, 'c.scenario.yaml'));
    expect(refusalOf(await wasmmatrix(['run', 'c.scenario.yaml'], { cwd: place }))).toMatch(/c\.scenario\.yaml cannot be read \(EISDIR\)/);
  });

  test('a folder for reports that cannot be written', async () => {
    const scenario = writeScenario(folder.make('unwritable'), 'small', 'holds');
    expect(refusalOf(await wasmmatrix(['run', scenario, '--out', scenario]))).toMatch(/Reports cannot be written to .*: it is a file\./);
    expect(refusalOf(await wasmmatrix(['run', scenario, '--out', join(scenario, 'x')]))).toMatch(/a part of that path is a file/);
    if (process.getuid?.() === 0) return;
    const locked = folder.make('unwritable/locked');
    chmodSync(locked, 0o500);
    expect(refusalOf(await wasmmatrix(['run', scenario, '--out', join(locked, 'x')]))).toMatch(/permission denied/);
  });

  test('to replace a folder that holds anything but reports', async () => {
    const place = folder.make('precious');
    const scenario = writeScenario(place, 'small', 'holds');
    expect(refusalOf(await wasmmatrix(['run', scenario, '--out', place]))).toMatch(/it holds small\.scenario\.yaml, which is no report/);
    expect(readdirSync(place)).toEqual(['small.scenario.yaml']);
  });

  test('to go on when the disk is full', async ({ skip }) => {
    const place = folder.make('full');
    const scenario = writeScenario(folder.make('full-scenario'), 'long', 'holds', '120s');
    // A disk of its own needs a mount, and that a user of its own; not every machine lets one have that.
    const line = `unshare --map-root-user --mount bash -c 'mount -t tmpfs -o size=64k tmpfs "$PLACE" && $WASMMATRIX run "$SCENARIO" --seeds 1 --out "$PLACE/out"; code=$?; ls -A "$PLACE"; exit $code'`;
    const allowed = await shell('unshare --map-root-user --mount true');
    if (allowed.code !== 0) skip('this machine lets nobody mount a disk of their own');
    const ended = await shell(line, { env: { PLACE: place, SCENARIO: scenario } });
    expect(ended.stderr).toMatch(/WM_STORAGE_FULL \(failed\): The disk of .* is full.* Free space there/);
    expect(ended.code).toBe(2);
    expect(ended.stdout).not.toContain('.part');
  });

  test('an engine that is none', async () => {
    const scenario = writeScenario(folder.make('engine'), 'small', 'holds');
    const out = join(folder.path, 'engine', 'out');
    expect(refusalOf(await wasmmatrix(['run', scenario, '--out', out], { env: { WASMMATRIX_ENGINE: scenario } }))).toMatch(
      /WM_ENGINE_BUILD .* cannot be loaded/,
    );
    expect(readdirSync(dirname(out))).toEqual(['small.scenario.yaml']);
  });
});

describe.concurrent('a scenario of the catalogue', () => {
  test('holds, and leaves reports that can be read', async () => {
    const out = join(folder.make('held'), 'out');
    const { code, stdout, stderr } = await wasmmatrix(['run', 'deploy-and-answer', '--seeds', '2', '--out', out]);
    expect(stderr).toBe('');
    expect(stdout).toMatch(/^✔ deploy-and-answer {2}held {2,}2 seeds {2,}\S+ s simulated in \S+ s ×\d/);
    expect(stdout).toContain('✔ 2 of 2 runs held');
    expect(stdout).toContain(`report: ${out}/report.html`);
    expect(code).toBe(0);
    expect(readdirSync(out).sort()).toEqual(REPORTS);

    const { runs } = summaryIn(out);
    expect(runs.map((run) => [run.scenario, run.seed, run.verdict])).toEqual([
      ['deploy-and-answer', '0x1', 'held'],
      ['deploy-and-answer', '0x2', 'held'],
    ]);
    expect(new Set(runs.map((run) => run.digest)).size).toBe(2);

    const lines = readFileSync(join(out, 'run.jsonl'), 'utf8').trimEnd().split('\n');
    const parsed = lines.map((line) => JSON.parse(line) as RunHeader | RunRecord);
    const headers = parsed.flatMap((line, i) => ('run' in line ? [{ seed: line.run.seed, i }] : []));
    expect(headers.map(({ seed }) => seed)).toEqual(['0x1', '0x2']);
    expect(headers.map(({ i }) => i)).toEqual([0, (runs[0]?.records ?? 0) + 1]);
    expect(parsed).toHaveLength(runs.reduce((records, run) => records + run.records, runs.length));

    expect(readFileSync(join(out, 'junit.xml'), 'utf8')).toMatch(/^<\?xml [^>]*>\s*<testsuites [^>]*tests="2"[\s\S]*<\/testsuites>\s*$/);
    expect(readFileSync(join(out, 'report.html'), 'utf8')).toMatch(/^<!doctype html>[\s\S]*deploy-and-answer[\s\S]*<\/html>\s*$/i);
  });

  test('plays the same from another directory, and puts its reports there', async () => {
    const place = folder.make('elsewhere');
    const [here, there] = await Promise.all([
      wasmmatrix(['run', 'deploy-and-answer', '--seed', '0x1', '--digests', '--out', join(folder.make('here'), 'out')]),
      wasmmatrix(['run', 'deploy-and-answer', '--seed', '0x1', '--digests'], { cwd: place }),
    ]);
    expect(there.code).toBe(0);
    expect(digestsOf(there.stdout)).toHaveLength(1);
    expect(digestsOf(there.stdout)).toEqual(digestsOf(here.stdout));
    const [run] = readdirSync(join(place, 'reports', 'out'));
    const { runs, commit } = summaryIn(join(place, 'reports', 'out', run ?? ''));
    expect(runs[0]?.reproduce).toBe('npx wasmmatrix run deploy-and-answer --seed 0x1');
    expect(commit === null).toBe(summaryIn(join(folder.path, 'here', 'out')).commit === null);
    expect(there.stdout).toContain(`report: reports/out/${run}/report.html`);
  });
});

describe.concurrent('what is printed', () => {
  test('with --json is JSON and nothing else', async () => {
    const scenario = writeScenario(folder.make('json'), 'broken', 'broken');
    const ended = await wasmmatrix(['run', scenario, '--seeds', '2', '--json', '--digests', '--out', join(folder.path, 'json', 'out')]);
    const suite = JSON.parse(ended.stdout) as SuiteSummary;
    expect(suite.runs.map((run) => run.verdict)).toEqual(['violated', 'violated']);
    expect(suite).toEqual(summaryIn(join(folder.path, 'json', 'out')));
    expect(ended).toMatchObject({ code: 1, stderr: '' });
  });

  test('has no colours and no live line where nobody looks, or where they are not wanted', async () => {
    const scenario = writeScenario(folder.make('colours'), 'small', 'holds');
    const onTerminal = (command: string): Promise<Ended> =>
      shell(`script -qec "${command}" /dev/null`, { env: { SCENARIO: scenario, TERM: 'xterm', OUT: join(folder.path, 'colours', 'out') } });
    const run = '$WASMMATRIX run \\"$SCENARIO\\" --seeds 1 --out \\"$OUT\\"';
    const piped = await wasmmatrix(['run', scenario, '--seeds', '1', '--out', join(folder.path, 'colours', 'out')]);
    const coloured = await onTerminal(run);
    const plain = await onTerminal(`NO_COLOR=1 ${run} --quiet`);
    expect([piped.code, coloured.code, plain.code]).toEqual([0, 0, 0]);
    expect(coloured.stdout).toContain('\u001B[32m✔');
    expect(coloured.stdout).toContain('0 of 1 runs, starting');
    expect(plain.stdout).toContain('✔ small');
    expect(piped.stdout + piped.stderr + plain.stdout).not.toContain('\u001B');
  });

  test('fits a terminal of 80 columns', async () => {
    const { stdout } = await shell('script -qec "stty cols 80; NO_COLOR=1 $WASMMATRIX run --list" /dev/null');
    expect(stdout).toContain('security');
    expect(Math.max(...stdout.split(/\r?\n/).map((line) => line.length))).toBeLessThanOrEqual(80);
  });
});

describe.concurrent('a failure', () => {
  test('is told by its goal, the last events and a command that repeats it', async () => {
    const place = folder.make('a failure');
    writeScenario(place, 'broken', 'broken');
    const args = ['--digests', '--out'];
    const first = await wasmmatrix(['run', 'broken.scenario.yaml', '--seed', '0xbeef', ...args, 'out'], { cwd: place });
    expect(first.code).toBe(1);
    expect(first.stdout).toMatch(/^✖ broken {2}violated/m);
    expect(first.stdout).toContain('broken with seed 0xbeef: violated');
    expect(first.stdout).toContain('event.accepted happens at most 0 times.');
    expect(first.stdout).toMatch(/last events of controller:\n( +\d+\.\d{6} s {2}controller {2}\S.*\n){1,12}/);
    const command = /reproduce: npx wasmmatrix (.*)/.exec(first.stdout)?.[1] ?? '';
    expect(command).toBe('run broken.scenario.yaml --seed 0xbeef');
    const again = await shell(`$WASMMATRIX ${command} ${args.join(' ')} again`, { cwd: place });
    expect(again.code).toBe(1);
    expect(digestsOf(again.stdout)).toHaveLength(1);
    expect(digestsOf(again.stdout)).toEqual(digestsOf(first.stdout));
    expect(summaryIn(join(place, 'again')).runs[0]?.goals).toEqual(summaryIn(join(place, 'out')).runs[0]?.goals);
  });

  test('is repeated by a command that a shell understands, whatever the file is called', async () => {
    const place = folder.make('quotes');
    const scenario = writeScenario(place, "it's late", 'late');
    const { stdout } = await wasmmatrix(['run', scenario, '--seed', '5', '--out', join(place, 'out')]);
    const command = /reproduce: npx wasmmatrix (.*)/.exec(stdout)?.[1] ?? '';
    const again = await shell(`$WASMMATRIX ${command} --out again`, { cwd: place });
    expect(again.stderr).toBe('');
    expect(summaryIn(join(place, 'again')).runs[0]?.digest).toBe(summaryIn(join(place, 'out')).runs[0]?.digest);
  });

  test('is another one when a goal was only not reached by the end', async () => {
    const place = folder.make('late');
    const { code, stdout } = await wasmmatrix(['run', writeScenario(place, 'late', 'late'), '--seeds', '1', '--out', join(place, 'out')]);
    expect(stdout).toContain('late with seed 0x1: unconverged');
    expect(stdout).toContain('At the end at least 50 instances of echo run.');
    expect(code).toBe(3);
    expect(summaryIn(join(place, 'out')).runs[0]?.verdict).toBe('unconverged');
  });

  test('beside what held makes the worst of both, and an older report gives way', async () => {
    const place = folder.make('mixed');
    const files = [writeScenario(place, 'holds', 'holds'), writeScenario(place, 'late', 'late'), writeScenario(place, 'broken', 'broken')];
    const out = join(place, 'out');
    const before = await wasmmatrix(['run', files[0] ?? '', '--seeds', '1', '--out', out]);
    const after = await wasmmatrix(['run', ...files, '--seeds', '1', '--out', out]);
    expect([before.code, after.code]).toEqual([0, 1]);
    expect(summaryIn(out).runs.map((run) => run.verdict)).toEqual(['held', 'unconverged', 'violated']);
    expect(readdirSync(out).sort()).toEqual(REPORTS);
    expect(halfWritten(place)).toEqual([]);
  });
});

describe('what has to happen in some run', () => {
  test('is told where it never did, and fails only where it is required', async () => {
    const place = folder.make('somewhere');
    const args = ['run', writeScenario(place, 'somewhere', 'somewhere'), '--seeds', '2', '--quiet'];
    const told = await wasmmatrix([...args, '--out', join(place, 'told')]);
    expect(told, told.stderr).toMatchObject({ code: 0 });
    expect(told.stdout).toContain('1 of 2 things that have to happen in some run never did.');
    expect(told.stdout).toMatch(/^ {2}! somewhere {2}never, in 2 runs: In some run a controller starts from a snapshot/m);
    expect(told.stdout).toMatch(
      /^ {2}✔ somewhere {2}in 2 of 2 runs, \d+ times, first with seed 0x1: In some run workload\.result is written\.$/m,
    );
    expect(summaryIn(join(place, 'told')).sometimes.map(({ reached, firstSeed }) => [reached, firstSeed])).toEqual([
      [2, '0x1'],
      [0, null],
    ]);
    expect(readFileSync(join(place, 'told', 'junit.xml'), 'utf8')).toMatch(/tests="3" failures="0" errors="0" skipped="1"/);
    const required = await wasmmatrix([...args, '--require-sometimes', '--out', join(place, 'required')]);
    expect(required.code).toBe(1);
    expect(required.stdout).toContain('✔ 2 of 2 runs held');
    expect(readFileSync(join(place, 'required', 'junit.xml'), 'utf8')).toMatch(/tests="3" failures="1" errors="0" skipped="0"/);
  });
});

describe('digests', () => {
  const play = async (name: string, ...options: readonly string[]): Promise<readonly string[]> => {
    const place = folder.make(`digests-${name}`);
    const { code, stdout } = await wasmmatrix([
      'run',
      writeScenario(place, 'small', 'holds'),
      '--digests',
      '--out',
      join(place, 'out'),
      ...options,
    ]);
    expect(code).toBe(0);
    return digestsOf(stdout);
  };

  test('are the same in every process, with any number of threads, and when each seed is played twice', async () => {
    const one = await play('one', '--seeds', '4', '--jobs', '1');
    expect(new Set(one).size).toBe(4);
    expect(await play('two', '--seeds', '4', '--jobs', '2')).toEqual(one);
    expect(await play('verified', '--seeds', '4', '--verify')).toEqual(one);
  });

  test('of a run that was played twice come with the command that plays it twice: once shows no difference', async () => {
    await play('again', '--seed', '1', '--verify');
    expect(summaryIn(join(folder.path, 'digests-again', 'out')).runs[0]?.reproduce).toMatch(/small\.scenario\.yaml'? --seed 0x1 --verify$/);
  });

  test('follow the order of the seeds, however these are written, once each', async () => {
    const [first, second, third] = await play('named', '--seeds', '3');
    expect(await play('chosen', '--seed', '3', '--seed', '0x1', '--seed', '0x03')).toEqual([third, first]);
    expect(second).not.toBe(first);
  });
});

describe('an interrupt', () => {
  const LONG = '3000s';

  test('keeps what has ended, exits with 130 and leaves nothing half-written', async () => {
    const place = folder.make('interrupted');
    const files = [writeScenario(place, 'short', 'holds'), writeScenario(place, 'long', 'holds', LONG)];
    const out = join(place, 'out');
    const { child, ended, said } = start(['run', ...files, '--seeds', '1', '--jobs', '1', '--out', out]);
    await said('✔ short');
    child.kill('SIGINT');
    const { code, stdout, stderr } = await ended;
    expect(stderr).toMatch(/^Stopping; what has ended is written\./);
    expect(stdout).toContain('1 of 2 runs held');
    expect(stdout).toContain('interrupted: 1 of 2 runs did not end.');
    expect(code).toBe(130);
    expect(summaryIn(out).runs.map((run) => run.verdict)).toEqual(['held', 'cancelled']);
    expect(readdirSync(out).sort()).toEqual(REPORTS);
    expect(halfWritten(place)).toEqual([]);
  });

  test('of a reader that goes away stops the runs', async () => {
    const place = folder.make('reader');
    const env = {
      SHORT: writeScenario(place, 'short', 'holds'),
      LONG: writeScenario(place, 'long', 'holds', LONG),
      OUT: join(place, 'out'),
    };
    const { stdout, stderr, code } = await shell('$WASMMATRIX run "$SHORT" "$LONG" --seeds 1 --jobs 1 --digests --out "$OUT" | true', {
      env,
    });
    expect({ stdout, stderr, code }).toEqual({ stdout: '', stderr: '', code: 130 });
    expect(readdirSync(place).sort()).toEqual(['long.scenario.yaml', 'short.scenario.yaml']);
  });

  test.each(['SIGTERM', 'SIGHUP'] as const)('is what %s means too', async (signal) => {
    const place = folder.make(signal);
    const { child, ended, said } = start([
      'run',
      writeScenario(place, 'short', 'holds'),
      writeScenario(place, 'long', 'holds', LONG),
      '--seeds',
      '1',
      '--jobs',
      '1',
      '--out',
      join(place, 'out'),
    ]);
    await said('✔ short');
    child.kill(signal);
    expect((await ended).code).toBe(130);
    expect(halfWritten(place)).toEqual([]);
  });
});
