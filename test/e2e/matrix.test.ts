// Machines that are not alike, as their operator meets them: one agent is held to the baseline beside one that uses what the machine
// has; each gets code of its own, the second only once it is there, and both answer alike (R11.3, R11.5, P14).
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { arch } from 'node:process';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readCpuFeatures } from '../../hardware/wasm/cpu-features.ts';
import { buildExamples } from '../../scenarios/examples/build.ts';
import { ISA_LEVELS, levelOf } from '../../system/domain/isa.ts';
import type { MatrixCell } from '../../system/domain/matrix.ts';
import type { Architecture } from '../../system/domain/node.ts';
import { temporaryFolder } from '../support/e2e/command.ts';
import { eventually, Platform } from '../support/e2e/platform.ts';

const WALL_MS = 300_000;
const EVENTS = 6;
const ARCHITECTURE: Architecture = arch === 'arm64' ? 'aarch64' : arch === 'riscv64' ? 'riscv64' : 'x86_64';
const BASELINE = ISA_LEVELS[ARCHITECTURE][0]!.name;
const BEST = levelOf(ARCHITECTURE, readCpuFeatures(ARCHITECTURE)).name;
const LEFT_OUT = 'left out: this machine has the baseline only, so both agents are alike';

const folder = temporaryFolder();
const platform = new Platform(folder.make('home'));
const MANIFEST = join(folder.path, 'app.yaml');

const cells = (): Promise<readonly MatrixCell[]> => platform.json('get', 'matrix');
const stateOf = (all: readonly MatrixCell[], level: string): string | undefined => all.find((cell) => cell.level === level)?.state;

beforeAll(async () => {
  writeFileSync(MANIFEST, '- { deploy: echo, origin: local, replicas: 2, spread: node }\n- { trigger: echo, on: ask, result: answer }\n');
  await platform.up();
}, WALL_MS);

afterAll(async () => {
  await platform.close();
  folder.remove();
});

describe('a fleet whose machines have different features', () => {
  test('has in the matrix what there is code for, and why not', { timeout: WALL_MS }, async () => {
    await platform.agent('plain', ['--isa', BASELINE]);
    await platform.ok('keys', 'create', 'ops');
    await platform.ok('trust', 'add', 'ops');
    const echo = (await buildExamples()).get('echo')!;
    await platform.ok('push', echo.wasmPath, '--name', 'echo', '--sign', 'ops');
    const all = await cells();
    expect(all.map(({ level }) => level)).toEqual(Object.values(ISA_LEVELS).flatMap((levels) => levels.map(({ name }) => name)));
    const ready = all.filter(({ level }) => level === BASELINE);
    expect(ready).toMatchObject([{ module: 'echo', version: 1, architecture: ARCHITECTURE, state: 'ready', code: null, why: '' }]);
    expect(ready[0]?.sizeBytes).toBeGreaterThan(readFileSync(echo.wasmPath).length);
    expect(ready[0]?.compileMicros).toBeGreaterThan(0);
    for (const cell of all.filter(({ level }) => level !== BASELINE))
      expect(cell).toMatchObject({ state: 'unused', artefact: null, sizeBytes: null, compileMicros: null });
    const table = await platform.ok('get', 'matrix', 'echo');
    expect(table).toMatch(/^CELL +STATE +SIZE +COMPILED IN +ARTEFACT +WHY NOT\n/);
    expect(table).toMatch(new RegExp(`\\necho@1/${ARCHITECTURE}/${BASELINE} +ready +\\d+ KiB +[0-9.]+ ms +[0-9a-f]{12} +-\\n`));
    expect(await platform.ok('get', 'matrix', '-o', 'wide')).toMatch(/echo@1\/riscv64\/rv64gcb .*riscv64gc-unknown-linux-gnu +zba,zbb,zbs/);
    expect(await platform.ok('get', 'matrix', 'echo@1/riscv64', '-o', 'yaml')).toMatch(/level: rv64gcbv\n/);
    expect((await platform.run('get', 'matrix', 'unheard-of')).code).toBe(1);
  });

  test('gets code for a machine of another level when that comes, and tells who watches', { timeout: WALL_MS }, async ({ skip }) => {
    skip(BEST === BASELINE, LEFT_OUT);
    const watching = platform.follow('get', 'matrix', '-w');
    await watching.said(`echo@1/${ARCHITECTURE}/${BEST} `);
    await platform.agent('best');
    await eventually(cells, (all) => stateOf(all, BEST) === 'ready', 'there is code for the better machine');
    await eventually(
      () => Promise.resolve(watching.stdout()),
      (said) => new RegExp(`echo@1/${ARCHITECTURE}/${BEST} +ready`).test(said),
      'the watcher is told',
    );
    watching.child.kill('SIGINT');
    expect((await watching.ended).code).toBe(0);
    const all = await cells();
    const [plain, best] = [BASELINE, BEST].map((level) => all.find((cell) => cell.level === level));
    expect(best?.profile).not.toBe(plain?.profile);
    expect(best?.artefact).not.toBe(plain?.artefact);
    const nodes = await platform.ok('get', 'nodes', '-o', 'wide');
    expect(nodes).toMatch(/NODE .* LEVEL +ISA FEATURES/);
    expect(nodes).toMatch(new RegExp(`\\nplain .* ${BASELINE} +- `));
    expect(nodes).toMatch(new RegExp(`best .* ${BEST} +[a-z0-9.]+,?`));
  });

  test('answers alike from both, and after a restart the matrix is the same', { timeout: WALL_MS }, async ({ skip }) => {
    skip(BEST === BASELINE, LEFT_OUT);
    await platform.ok('apply', MANIFEST, '--running', '60');
    const instances = await platform.json<readonly { readonly node: string }[]>('get', 'instances');
    expect(instances.map(({ node }) => node).sort()).toEqual(['best', 'plain']);
    const listening = platform.follow('subscribe', 'answer', '--count', String(EVENTS));
    await listening.said('Listening on answer');
    for (let i = 0; i < EVENTS; i++) await platform.ok('publish', 'ask', `question ${i}`);
    const heard = await listening.ended;
    expect(heard.code).toBe(0);
    for (let i = 0; i < EVENTS; i++) expect(heard.stdout).toContain(`question ${i}`);
    const before = await cells();
    await platform.kill(platform.controllerProcess(), 'SIGKILL');
    await platform.up();
    expect(await cells()).toEqual(before);
  });

  test('refuses an agent that is to use what its machine has not', { timeout: WALL_MS }, async () => {
    const foreign = ARCHITECTURE === 'aarch64' ? 'x86-64-v3' : 'armv8.1-a';
    const refused = await platform.run('agent', '--name', 'foreign', '--isa', foreign);
    expect(refused.code).toBe(2);
    expect(refused.stderr).toMatch(
      new RegExp(`WM_ARGUMENT \\(rejected\\): This machine is ${ARCHITECTURE}, and ${foreign} is no ISA feature level of it`),
    );
    const unknown = await platform.run('agent', '--name', 'unknown', '--isa', 'pentium');
    expect(unknown.code).toBe(2);
    expect(unknown.stderr).toContain("--isa has 'pentium'; expected one of auto, x86-64,");
  });
});
