// `wasmmatrix scenario` as a user has it: mistakes with their places, a scenario in full, the list, a new file.
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { ROOT, temporaryFolder, wasmmatrix, type Ended } from '../support/e2e/command.ts';
import { documentedOptions, helpedOptions } from '../support/e2e/reference.ts';
import { expectRefusal } from '../support/e2e/refusal.ts';
import { writeScenario } from '../support/e2e/scenarios.ts';

const folder = temporaryFolder();
afterAll(() => folder.remove());

const IMPORTS = ['latency', 'sites', 'trace'] as const;
const VERBS = ['validate', 'explain', 'list', 'new'] as const;
const TEMPLATES = readdirSync(join(ROOT, 'scenarios', 'templates')).map((file) => file.replace('.scenario.yaml', ''));
const scenario = (cwd: string, ...args: readonly string[]): Promise<Ended> => wasmmatrix(['scenario', ...args], { cwd });

test('has the options that its reference lists', async () => {
  const helps = await Promise.all([
    ...[[], ['import'], ...IMPORTS.map((what) => ['import', what])].map((verb) => wasmmatrix(['scenario', ...verb, '--help'])),
    ...VERBS.map((verb) => wasmmatrix(['scenario', verb, '--help'])),
  ]);
  for (const { code, stderr } of helps) expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(helps.flatMap(({ stdout }) => helpedOptions(stdout)).toSorted()).toEqual(documentedOptions('scenario'));
  expect(TEMPLATES.length).toBeGreaterThanOrEqual(5);
  for (const name of TEMPLATES) expect(helps.at(-1)?.stdout).toContain(name);
});

describe('validate', () => {
  test('says that files are right, by name and by path', async () => {
    const place = folder.make('right');
    writeScenario(place, 'mine', 'holds');
    const ended = await scenario(place, 'validate', 'mine.scenario.yaml', 'node-failure');
    expect(ended).toMatchObject({ code: 0, stderr: '' });
    expect(ended.stdout).toMatch(/^✔ mine\.scenario\.yaml\n✔ .*node-failure\.scenario\.yaml\n$/);
  });

  test('tells all mistakes of all files, each with its place, and which are right', async () => {
    const place = folder.make('wrong');
    writeScenario(place, 'right', 'holds');
    const file = writeScenario(place, 'wrong', 'holds');
    const lines = readFileSync(file, 'utf8').split('\n');
    writeFileSync(
      file,
      lines.map((line) => line.replace('push: echo', 'push: ekko').replace('origin: cloud/eu-west', 'origin: cloud/eu-wst')).join('\n'),
    );
    writeFileSync(
      join(place, 'worse.scenario.yaml'),
      `question: Why?\n${Array.from({ length: 30 }, (_, i) => `odd-${i}: 1`).join('\n')}\n`,
    );
    const { code, stdout, stderr } = await scenario(
      place,
      'validate',
      'right.scenario.yaml',
      'wrong.scenario.yaml',
      'worse.scenario.yaml',
      'gone.scenario.yaml',
    );
    expect(code).toBe(2);
    expect(stdout).toBe('✔ right.scenario.yaml\n');
    expect(stderr).toMatch(/^ {2}wrong\.scenario\.yaml:7:\d+ {2}steps\[0\]\.push: unknown example 'ekko'; did you mean 'echo'\?$/m);
    expect(stderr).toMatch(/^ {2}wrong\.scenario\.yaml:8:\d+ {2}.*unknown zone 'cloud\/eu-wst'; did you mean 'cloud\/eu-west'\?$/m);
    // No more than `run` tells of one file would hide the last ones.
    expect(stderr).toMatch(/^ {2}worse\.scenario\.yaml:31:1 {2}odd-29: unknown field/m);
    expect(stderr).toContain("no scenario 'gone.scenario.yaml': no such file.");
  });

  test('is JSON when asked', async () => {
    const place = folder.make('json');
    const file = writeScenario(place, 'wrong', 'holds');
    writeFileSync(file, readFileSync(file, 'utf8').replace('duration: 10s', 'duration: 10'));
    const { code, stdout, stderr } = await scenario(place, 'validate', 'wrong.scenario.yaml', '--json');
    expect({ code, stderr }).toEqual({ code: 2, stderr: '' });
    expect(JSON.parse(stdout)).toMatchObject({
      valid: false,
      files: [
        {
          file: 'wrong.scenario.yaml',
          valid: false,
          mistakes: [{ file: 'wrong.scenario.yaml', line: 3, column: 11, text: expect.stringContaining('found 10') }],
        },
      ],
    });
  });

  test('refuses what is no scenario file: a folder, something far too large', async () => {
    const place = folder.make('odd');
    mkdirSync(join(place, 'folder.yaml'));
    writeFileSync(join(place, 'huge.scenario.yaml'), '');
    truncateSync(join(place, 'huge.scenario.yaml'), 5_000_000_000);
    expectRefusal(await scenario(place, 'validate', 'folder.yaml'), 'WM_SCENARIO_NOT_FOUND', /folder\.yaml cannot be read \(EISDIR\)/);
    expectRefusal(
      await scenario(place, 'validate', 'huge.scenario.yaml'),
      'WM_SCENARIO_INVALID',
      /huge\.scenario\.yaml is larger than 4 MiB/,
    );
    writeFileSync(join(place, 'latin.scenario.yaml'), Buffer.from('question: Hält es?\n', 'latin1'));
    writeFileSync(join(place, 'binary.scenario.yaml'), Buffer.from([0x00, 0x61, 0x73, 0x6d]));
    writeFileSync(join(place, 'mark.scenario.yaml'), '\uFEFF');
    for (const name of ['latin', 'binary'])
      expectRefusal(
        await scenario(place, 'validate', `${name}.scenario.yaml`),
        'WM_SCENARIO_INVALID',
        new RegExp(`${name}\\.scenario\\.yaml is not a text file \\(UTF-8\\)`),
      );
    expectRefusal(await scenario(place, 'validate', 'mark.scenario.yaml'), 'WM_SCENARIO_INVALID', /:1:1 {2}the file is empty/);
    expectRefusal(await scenario(place, 'validate'), 'WM_ARGUMENT', /Missing required argument 'file'/);
  });
});

describe('explain', () => {
  test('fills in every default, says what happens when, and what it is held to', async () => {
    const { code, stdout, stderr } = await wasmmatrix(['scenario', 'explain', 'node-failure']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toContain('holds R1.2 R1.3 R5.5 R6.2');
    expect(stdout).toMatch(/^ {2}unavailable {2}\(3s\)/m);
    // A value of the file stands bare, and one that follows from the example guest does not.
    expect(stdout).toMatch(/^ {2}2\.5s +deploy brake-alert, origin cloud\/eu\/a, replicas 3, spread 3$/m);
    expect(stdout).toMatch(/^ +\(example brake-alert, capabilities publish:alerts\.brake, fuel 5000000/m);
    expect(stdout).toMatch(/^ {2}18s to 19s, drawn {2}fault crash b-1, for 7s: ends at 25s to 26s$/m);
    expect(stdout).toMatch(/^ {2}failover +What a node that dies was serving is served elsewhere within 4\.000 s\.$/m);
    expect(stdout).toMatch(/^ {2}P11 {3}Every accepted event is processed at least once/m);
  });

  test('as JSON has everything, in whole units', async () => {
    const { code, stdout } = await wasmmatrix(['scenario', 'explain', 'node-failure', '--json']);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      name: 'node-failure',
      durationMicros: 32_000_000,
      platform: { unavailableAfterMs: 3_000 },
      steps: [{ do: 'push', capabilities: ['publish:alerts.brake'], limits: { fuelMax: 5_000_000 } }, {}, {}, {}, {}],
      timetable: expect.arrayContaining([expect.objectContaining({ kind: 'crash', microsMin: 18_000_000, endMicrosMax: 26_000_000 })]),
      held: {
        goals: expect.arrayContaining([expect.objectContaining({ name: 'failover' })]),
        invariants: expect.arrayContaining([expect.objectContaining({ name: 'P3' })]),
      },
    });
  });

  test('of a name or a file that is wrong is refused', async () => {
    expectRefusal(await wasmmatrix(['scenario', 'explain', 'node-failur']), 'WM_SCENARIO_NOT_FOUND', /did you mean 'node-failure'\?/);
    const place = folder.make('unexplained');
    writeFileSync(join(place, 'empty.scenario.yaml'), '');
    expectRefusal(
      await scenario(place, 'explain', 'empty.scenario.yaml'),
      'WM_SCENARIO_INVALID',
      /empty\.scenario\.yaml:1:1 {2}the file is empty/,
    );
  });
});

test('list is what `run --list` says, filter and JSON too', async () => {
  for (const args of [[], ['--filter', 'security'], ['--json', '--filter', 'P3']]) {
    const [mine, theirs] = await Promise.all([wasmmatrix(['scenario', 'list', ...args]), wasmmatrix(['run', '--list', ...args])]);
    expect(mine).toEqual(theirs);
    expect(mine).toMatchObject({ code: 0, stderr: '' });
  }
  expectRefusal(await wasmmatrix(['scenario', 'list', '--filter', 'nonesuch']), 'WM_SCENARIO_NOT_FOUND', /'nonesuch'/);
});

describe('new', () => {
  test('writes a file that is right and speaks of itself, from each template', async () => {
    const place = folder.make('new');
    await Promise.all(
      TEMPLATES.map(async (template) => {
        const ended = await scenario(place, 'new', `my-${template}`, '--from', template);
        expect(ended).toMatchObject({ code: 0, stderr: '' });
        expect(ended.stdout).toContain(`my-${template}.scenario.yaml is written, from ${template}.`);
        const text = readFileSync(join(place, `my-${template}.scenario.yaml`), 'utf8');
        expect(text).toContain(`npx wasmmatrix run my-${template}.scenario.yaml`);
        expect(text).not.toMatch(new RegExp(`(?<!my-)${template}\\.scenario`));
        expect(text).toMatch(/^# /);
      }),
    );
    expect(await scenario(place, 'validate', ...TEMPLATES.map((name) => `my-${name}.scenario.yaml`))).toMatchObject({
      code: 0,
      stderr: '',
    });
  });

  test('takes a path, an ending, and a scenario of the catalogue', async () => {
    const place = folder.make('new paths');
    mkdirSync(join(place, 'sub folder'));
    const ended = await scenario(place, 'new', 'sub folder/mine.scenario.yaml', '--from', 'event-storm');
    expect(ended).toMatchObject({ code: 0, stderr: '' });
    expect(ended.stdout).toContain("npx wasmmatrix run 'sub folder/mine.scenario.yaml'");
    expect(readFileSync(join(place, 'sub folder', 'mine.scenario.yaml'), 'utf8')).toBe(
      readFileSync(join(ROOT, 'scenarios', 'catalogue', 'event-storm.scenario.yaml'), 'utf8'),
    );
  });

  test('never writes over what is there, a link that leads nowhere included', async () => {
    const place = folder.make('taken');
    writeFileSync(join(place, 'mine.scenario.yaml'), 'precious');
    symlinkSync('elsewhere', join(place, 'link.scenario.yaml'));
    expectRefusal(await scenario(place, 'new', 'mine'), 'WM_ARGUMENT', /mine\.scenario\.yaml exists, and is not written over/);
    expectRefusal(await scenario(place, 'new', 'link'), 'WM_ARGUMENT', /link\.scenario\.yaml exists/);
    expect(readFileSync(join(place, 'mine.scenario.yaml'), 'utf8')).toBe('precious');
    expect(existsSync(join(place, 'elsewhere'))).toBe(false);
  });

  test('refuses names and templates that are none, and folders that are not there', async () => {
    const place = folder.make('refused');
    expectRefusal(await scenario(place, 'new', 'My Scenario'), 'WM_ARGUMENT', /'My Scenario' is no name of a scenario/);
    expectRefusal(
      await scenario(place, 'new', 'mine', '--from', 'failur'),
      'WM_ARGUMENT',
      /no template 'failur'; did you mean 'failure'\?/,
    );
    expectRefusal(await scenario(place, 'new', 'mine', '--from', '../catalogue/x'), 'WM_ARGUMENT', /no template '\.\.\/catalogue\/x'\./);
    expectRefusal(
      await scenario(place, 'new', 'nowhere/mine'),
      'WM_ARGUMENT',
      /mine\.scenario\.yaml cannot be written: there is no folder nowhere/,
    );
    expect(readdirSync(place)).toEqual([]);
  });
});

describe('import', () => {
  const calls = ['--name', 'calls', '--subject', 'questions.plain', '--from', 'cloud/eu/a', '--time', 'at'];

  test('makes a workload of a recording, which a scenario can have', async () => {
    const place = folder.make('recorded');
    writeFileSync(join(place, 'calls.csv'), 'at,load\n2026-05-01T10:00:00Z,5\n2026-05-01T10:01:00Z,7\n');
    const made = await scenario(place, 'import', 'trace', ...calls, '--unit', 'iso', '--speed', '60', '--data', 'load', 'calls.csv');
    expect(made).toMatchObject({ code: 0, stderr: '' });
    const begun = await scenario(place, 'new', 'mine', '--from', 'storm');
    expect(begun.code).toBe(0);
    const file = join(place, 'mine.scenario.yaml');
    const workload = made.stdout
      .replace(/^#.*\n/, '')
      .replaceAll(/^/gm, '  ')
      .trimEnd();
    const subject = /subject: ([\w.]+)/.exec(readFileSync(file, 'utf8'))?.[1] ?? '';
    writeFileSync(
      file,
      readFileSync(file, 'utf8').replace(/^workload:\n/m, `workload:\n${workload.replace('questions.plain', subject)}\n`),
    );
    const explained = await scenario(place, 'explain', 'mine.scenario.yaml');
    expect(explained.stdout).toMatch(/calls +2 events on/);
  });

  test('refuses what it cannot read', async () => {
    const place = folder.make('unread');
    expectRefusal(
      await scenario(place, 'import', 'trace', ...calls, 'nothing.csv'),
      'WM_ARGUMENT',
      'The file nothing.csv cannot be read (ENOENT)',
    );
    expectRefusal(
      await scenario(place, 'import', 'sites', '--reach', 'far', 'nothing.csv'),
      'WM_ARGUMENT',
      'Expected a distance, such as 400m or 1.5km',
    );
  });
});
