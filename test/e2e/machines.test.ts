// Emulated machines as nodes: booted, joined, let into by SSH, with a guest on each, then paused, cut off and reset as a controller sees it (H5.1, H5.4).
// Left out unless WASMMATRIX_TEST_MACHINES is set: images take minutes to make, so the gate makes them first (`.ci/run`, phase machines).
import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Conformance } from '../../hardware/conformance/conformance.ts';
import { prepareImage } from '../../hardware/qemu/images.ts';
import { buildExamples } from '../../scenarios/examples/build.ts';
import { temporaryFolder, wasmmatrix } from '../support/e2e/command.ts';
import { eventually, Platform } from '../support/e2e/platform.ts';

const WALL_MS = 900_000;
/** What an emulated machine needs. */
const PATIENCE = { wallMsMax: WALL_MS / 2 };
const NAMES = ['arm64-1', 'riscv64-1'] as const;

type NodeRow = {
  readonly facts: { readonly node: string; readonly architecture: string; readonly isaFeatures: readonly string[] };
  readonly status: string;
  readonly incarnation: number;
};
type InstanceRow = { readonly node: string; readonly state: string };
type Cell = { readonly level: string; readonly state: string; readonly code: string | null };
type MachineRow = { readonly name: string; readonly state: string; readonly pid: number | null };

/** `(memory (export "memory") 1) (func (export "_start") (memory.copy (i32.const 0) (i32.const 64) (i32.const 32)))`. */
const COPIES = Buffer.from(
  '0061736d01000000010401600000030201000503010001071302066d656d6f72790200065f737461727400000a0f010d00410041c0004120fc0a00000b',
  'hex',
);

const folder = temporaryFolder();
const platform = new Platform(folder.make('home'), { wallMsMax: WALL_MS });

const nodes = (): Promise<readonly NodeRow[]> => platform.json('get', 'nodes');
const machines = async (): Promise<readonly MachineRow[]> =>
  JSON.parse(await platform.ok('machines', 'list', '--json')) as readonly MachineRow[];

const fileOf = (machine: string, file: string): string =>
  join(platform.env['XDG_DATA_HOME'] ?? '', 'wasmmatrix', 'machines', machine, file);

/** Empty: there is no such process, or nothing but its exit code. */
function commandLineOf(pid: number): string {
  const file = `/proc/${pid}/cmdline`;
  return existsSync(file) ? readFileSync(file, 'utf8') : '';
}

const nodeIs = (name: string, status: string): Promise<readonly NodeRow[]> =>
  eventually(
    nodes,
    (rows) => rows.some(({ facts, status: now }) => facts.node === name && now === status),
    `${name} is ${status}`,
    PATIENCE,
  );

// Left out elsewhere: where nobody made images before, this would take a quarter of an hour.
describe.skipIf(process.env['WASMMATRIX_TEST_MACHINES'] === undefined)(
  'emulated machines (left out unless WASMMATRIX_TEST_MACHINES is set)',
  () => {
    // An emulated core on a busy host may not come to a heartbeat in time for a second or two.
    beforeAll(() => platform.up(['--heartbeat', '2s', '--suspect', '6s', '--lease', '8s', '--unavailable', '10s']), WALL_MS);

    afterAll(async () => {
      await platform.run('machines', 'stop', '--remove');
      await platform.close();
      folder.remove();
    }, WALL_MS);

    it('boot side by side, join, and say what they are', { timeout: WALL_MS }, async () => {
      await platform.ok('machines', 'start', '--ssh', '--join', platform.told.joinToken, '--quiet');
      const rows = await eventually(
        nodes,
        (seen) => seen.filter(({ status }) => status === 'healthy').length === 2,
        'both nodes are healthy',
        PATIENCE,
      );
      const facts = rows.map(({ facts: { node, architecture, isaFeatures }, status }) => ({ node, architecture, isaFeatures, status }));
      expect(facts.toSorted((a, b) => (a.node < b.node ? -1 : 1))).toEqual([
        { node: 'arm64-1', architecture: 'aarch64', isaFeatures: ['lse'], status: 'healthy' },
        { node: 'riscv64-1', architecture: 'riscv64', isaFeatures: ['v', 'zba', 'zbb', 'zbs'], status: 'healthy' },
      ]);
      expect((await machines()).map(({ name, state }) => [name, state])).toEqual(NAMES.map((name) => [name, 'running']));
      const again = await platform.run('machines', 'start', 'arm64', '--join', platform.told.joinToken, '--quiet');
      expect([again.code, again.stderr]).toEqual([2, expect.stringContaining('The machine arm64-1 is running.')]);
    });

    it('let in who has the key of the machine, and nobody else', { timeout: WALL_MS }, async () => {
      // A process may end while it is looked at: its first program waits for orders by naps of a second.
      for (const name of NAMES) {
        const inside = await platform.run(
          'machines',
          'ssh',
          name,
          '--',
          'id -u; uname -m; cat /proc/*/cmdline 2>/dev/null | tr "\\0" " "; exit 7',
        );
        expect([inside.code, inside.stderr]).toEqual([7, '']);
        expect(inside.stdout).toMatch(new RegExp(`^0\n${name === 'arm64-1' ? 'aarch64' : 'riscv64'}\n.*/product/cli.js agent`));
        expect(inside.stdout).not.toContain(platform.told.joinToken);
        expect(statSync(fileOf(name, '.')).mode & 0o777).toBe(0o700);
        expect(statSync(fileOf(name, 'ssh-key')).mode & 0o777).toBe(0o600);
      }
      const right = readFileSync(fileOf('arm64-1', 'ssh-key'), 'utf8');
      writeFileSync(fileOf('arm64-1', 'ssh-key'), readFileSync(fileOf('riscv64-1', 'ssh-key')));
      const stranger = await platform.run('machines', 'ssh', 'arm64-1', '--', 'true');
      writeFileSync(fileOf('arm64-1', 'ssh-key'), right);
      expect([stranger.code, stranger.stderr]).toEqual([1, expect.stringContaining('Permission denied')]);
      const inventory = await platform.run('machines', 'inventory');
      expect([inventory.code, inventory.stderr]).toEqual([2, expect.stringContaining('No machine that a device could be is running.')]);
    });

    it('run guests that were compiled for each of them', { timeout: WALL_MS }, async () => {
      const example = (await buildExamples()).get('echo');
      const module = join(folder.path, 'echo.wasm');
      copyFileSync(example?.wasmPath ?? '', module);
      await platform.ok('keys', 'create', 'ops');
      await platform.ok('trust', 'add', 'ops');
      await platform.ok('push', module, '--sign', 'ops');
      const manifest = join(folder.path, 'app.yaml');
      writeFileSync(
        manifest,
        '- { deploy: echo, origin: qemu, replicas: 2, spread: node }\n- { trigger: echo, on: questions.plain, result: answers.echo }\n',
      );
      await platform.ok('apply', manifest, '--running', '120');
      const instances = await platform.json<readonly InstanceRow[]>('get', 'instances');
      expect(instances.map(({ node }) => node).toSorted()).toEqual([...NAMES]);
      const answers = platform.follow('subscribe', 'answers.>');
      await answers.said('Listening');
      for (let i = 1; i <= 8; i++) await platform.ok('publish', 'questions.plain', `question ${i}.`);
      await eventually(
        () => Promise.resolve(answers.stdout()),
        (text) => Array.from({ length: 8 }, (_, i) => `question ${i + 1}.`).every((question) => text.includes(question)),
        'every question is answered',
        PATIENCE,
      );
      answers.child.kill('SIGINT');
      await answers.ended;
      const ready = await platform.json<readonly { readonly target: string; readonly state: string }[]>('get', 'matrix');
      expect(ready.filter(({ state }) => state === 'ready')).toHaveLength(2);
    });

    it('pause and go on, lose their network and have it back, and are seen to', { timeout: WALL_MS }, async () => {
      await platform.ok('machines', 'fault', 'arm64-1', 'pause');
      expect((await machines()).find(({ name }) => name === 'arm64-1')?.state).toBe('paused');
      await nodeIs('arm64-1', 'unavailable');
      await platform.ok('machines', 'fault', 'arm64-1', 'resume');
      await platform.ok('machines', 'fault', 'riscv64-1', 'cut');
      await nodeIs('riscv64-1', 'unavailable');
      await nodeIs('arm64-1', 'healthy');
      await platform.ok('machines', 'fault', 'riscv64-1', 'mend');
      await nodeIs('riscv64-1', 'healthy');
    });

    it('come back from a reset as who they were, with what was on their disk', { timeout: WALL_MS }, async () => {
      const before = (await nodes()).find(({ facts }) => facts.node === 'arm64-1')?.incarnation ?? 0;
      await platform.ok('machines', 'fault', 'arm64-1', 'reset');
      await nodeIs('arm64-1', 'unavailable');
      const rows = await nodeIs('arm64-1', 'healthy');
      expect(rows.find(({ facts }) => facts.node === 'arm64-1')?.incarnation).toBeGreaterThan(before);
      expect(await platform.ok('machines', 'console', 'arm64-1')).toContain('"controllers"');
    });

    it('have a disk that is full, and room on it again', { timeout: WALL_MS }, async () => {
      const write = [
        'machines',
        'ssh',
        'arm64-1',
        '--',
        'dd if=/dev/zero of=/data/more bs=4096 count=1 2>&1; rm -f /data/more; ls -A /data',
      ] as const;
      await platform.ok('machines', 'fault', 'arm64-1', 'fill-disk');
      expect(await platform.ok(...write)).toMatch(/No space left on device[^]*\.filler/);
      await platform.ok('machines', 'fault', 'arm64-1', 'free-disk');
      expect(await platform.ok(...write)).not.toMatch(/No space left|\.filler/);
      await nodeIs('arm64-1', 'healthy');
    });

    it('have clocks that are wrong, too fast or too slow, and right again', { timeout: WALL_MS }, async () => {
      // Seconds of the machine's civil time, and of the time since it booted, with ours before and after.
      const look = async (name: string): Promise<{ readonly aheadS: number; readonly upS: number; readonly hereS: number }> => {
        const before = Date.now();
        const [civil = 0, up = 0] = (await platform.ok('machines', 'ssh', name, '--', 'date +%s; cut -d" " -f1 /proc/uptime'))
          .split('\n')
          .map(Number);
        return { aheadS: civil - before / 1_000, upS: up, hereS: (before + Date.now()) / 2_000 };
      };
      const runs = async (name: string): Promise<void> => {
        expect(Math.abs((await look(name)).aheadS)).toBeLessThan(30);
        await platform.ok('machines', 'fault', name, 'clock', '--by', '60m', '--ppm=-100000');
        const first = await look(name);
        expect(first.aheadS).toBeGreaterThan(3_570);
        expect(first.aheadS).toBeLessThan(3_640);
        // It runs a tenth too slow: of a minute of ours it counts 54 seconds. How long each look takes is noise.
        await new Promise((resolve) => setTimeout(resolve, 60_000));
        const second = await look(name);
        const ratio = (second.upS - first.upS) / (second.hereS - first.hereS);
        expect(ratio).toBeGreaterThan(0.8);
        expect(ratio).toBeLessThan(0.96);
        await platform.ok('machines', 'fault', name, 'clock');
        expect(Math.abs((await look(name)).aheadS)).toBeLessThan(30);
      };
      await Promise.all(NAMES.map(runs));
      for (const name of NAMES) await nodeIs(name, 'healthy');
    });

    it('leave a module to the others that has no code for one of them', { timeout: WALL_MS }, async () => {
      await platform.ok('machines', 'stop', 'riscv64-1');
      await platform.ok('machines', 'start', 'riscv64', '--isa', 'rv64gc', '--join', platform.told.joinToken, '--quiet');
      await nodeIs('riscv64-1', 'healthy');
      // A copy of a fixed 32 bytes, on which the compiler gives up without vectors.
      const module = join(folder.path, 'copies.wasm');
      writeFileSync(module, COPIES);
      await platform.ok('push', module, '--sign', 'ops');
      const cells = await platform.json<readonly Cell[]>('get', 'matrix', 'copies');
      const told = cells.filter(({ state }) => state !== 'unused').map(({ level, state, code }) => [level, state, code]);
      expect(told.toSorted(([a], [b]) => ((a ?? '') < (b ?? '') ? -1 : 1))).toEqual([
        ['armv8.1-a', 'ready', null],
        ['rv64gc', 'refused', 'WM_MODULE_FEATURE'],
      ]);
    });

    it('are off when they are stopped, and nothing of them runs', { timeout: WALL_MS }, async () => {
      const pids = (await machines()).map(({ pid }) => pid);
      expect(await platform.ok('machines', 'stop')).toBe('arm64-1: off\nriscv64-1: off\n');
      expect((await machines()).map(({ state }) => state)).toEqual(['off', 'off']);
      for (const pid of pids) expect(commandLineOf(pid ?? 0)).toBe('');
      const fault = await platform.run('machines', 'fault', 'arm64-1', 'pause');
      expect([fault.code, fault.stderr]).toEqual([2, expect.stringContaining('The machine arm64-1 is off.')]);
    });
  },
);

/** What of `summary.json` is looked at. */
type Suite = {
  readonly runs: readonly {
    readonly scenario: string;
    readonly world: string;
    readonly verdict: string;
    readonly trouble: string | null;
    readonly notes: readonly string[];
    readonly goals: readonly { readonly claim: string; readonly held: boolean; readonly because: string }[];
  }[];
};

// Left out elsewhere, as above.
describe.skipIf(process.env['WASMMATRIX_TEST_MACHINES'] === undefined)(
  'scenarios on emulated machines (left out unless WASMMATRIX_TEST_MACHINES is set)',
  () => {
    const own = temporaryFolder();
    afterAll(() => own.remove());

    // A power cut and a boot, which processes cannot show as a machine does. One is enough for every day: it takes two minutes.
    it.each(['node-failure'])(
      '%s holds with one node of each architecture, whose records have their places in time',
      { timeout: WALL_MS },
      async (scenario) => {
        const out = join(own.path, scenario);
        const ran = await wasmmatrix(['run', scenario, '--target', 'qemu', '--json', '--quiet', '--out', out], { wallMsMax: WALL_MS });
        const { runs } = JSON.parse(ran.stdout) as Suite;
        expect(
          runs.map(({ world, verdict, trouble, goals }) => ({
            world,
            verdict,
            trouble,
            broken: goals.filter((goal) => !goal.held),
          })),
        ).toEqual([{ world: 'qemu', verdict: 'held', trouble: null, broken: [] }]);
        const [note = ''] = runs[0]?.notes ?? [];
        const emulated = [...note.matchAll(/(\S+) \((aarch64|riscv64)\)/g)].map(([, node = '', architecture = '']) => ({
          node,
          architecture,
        }));
        expect(emulated.map(({ architecture }) => architecture).sort()).toEqual(['aarch64', 'riscv64']);
        const records = readFileSync(join(out, 'run.jsonl'), 'utf8')
          .trim()
          .split('\n')
          .slice(1)
          .map((line) => JSON.parse(line) as { readonly source: string; readonly micros: number });
        for (const { node } of emulated) expect(records.filter(({ source }) => source === node).length).toBeGreaterThan(3);
        expect(records.every(({ micros }, i) => micros >= (records[i - 1]?.micros ?? 0))).toBe(true);
      },
    );
  },
);

// Left out elsewhere, as above.
describe.skipIf(process.env['WASMMATRIX_TEST_MACHINES'] === undefined)(
  'images of machines (left out unless WASMMATRIX_TEST_MACHINES is set)',
  () => {
    const own = temporaryFolder();
    afterAll(() => own.remove());

    // One architecture: what depends on it are the packages, which are held to their digests.
    it('are the same bytes when they are made again, elsewhere and at another time', { timeout: WALL_MS }, async () => {
      const [kept, again] = await Promise.all(
        [undefined, own.make('images')].map((folder) =>
          prepareImage('riscv64', { say: () => {}, ...(folder === undefined ? {} : { folder }) }),
        ),
      );
      const digestsOf = (made: typeof kept): Readonly<Record<string, string>> => {
        if (made?.ok !== true) throw new Error(JSON.stringify(made));
        const { kernel, initrd, root, product } = made.value;
        return Object.fromEntries(
          Object.entries({ kernel, initrd, root, product }).map(([name, file]) => [
            `${name} ${basename(file)}`,
            createHash('sha256').update(readFileSync(file)).digest('hex'),
          ]),
        );
      };
      expect(digestsOf(again)).toEqual(digestsOf(kept));
    });
  },
);

// Left out elsewhere, as above.
describe.skipIf(process.env['WASMMATRIX_TEST_MACHINES'] === undefined)(
  'the conformance set on emulated machines (left out unless WASMMATRIX_TEST_MACHINES is set)',
  () => {
    // Both take two minutes; the other architecture boots the same first program, and plays under qemu-user in the phase before.
    it('is the same as here, at every level of arm64, and the verdict says which tier gave it', { timeout: WALL_MS }, async () => {
      const args = ['arch', '--targets', 'arm64', '--tier', 'system', '--json', '--quiet'];
      const { code, stdout, stderr } = await wasmmatrix(args, { wallMsMax: WALL_MS });
      const { verdict, differences, machines: played, cells } = JSON.parse(stdout) as Conformance;
      expect({ verdict, differences, code }, stderr).toEqual({ verdict: 'held', differences: 0, code: 0 });
      expect(played.map(({ name, tier, notAsked }) => [name, tier, notAsked])).toEqual([
        ['x86_64', 'native', ['simulator']],
        ['aarch64-machine', 'qemu-system', ['artefacts', 'simulator']],
      ]);
      const mine = cells.filter(({ machine }) => machine === 'aarch64-machine');
      for (const level of ['armv8-a', 'armv8.1-a'])
        expect(mine.filter((cell) => cell.level === level).reduce((total, { compared }) => total + compared, 0)).toBeGreaterThan(1_900);
    });
  },
);

describe('wasmmatrix machines', () => {
  it.each([
    [['build', 'mips'], "There are no machines of architecture 'mips'."],
    [['start', '--join', 'secret'], 'This is no join token'],
    [['start', 'arm64'], 'no join token was given'],
    [['start', '--memory', '64'], 'Give a number of MiB, at least 256.'],
    [['console', 'nobody'], 'There is no machine nobody.'],
    [['ssh', 'nobody', '--', 'true'], 'There is no machine nobody.'],
    [['inventory', 'nobody'], 'There is no machine nobody.'],
    [['inventory'], 'No machine that a device could be is running.'],
    [['stop', 'nobody'], 'There is no machine nobody.'],
    [['fault', 'nobody', 'explode'], 'Give one of pause, resume, reset, cut, mend, power-off, shut-down, fill-disk, free-disk, clock.'],
    [['fault', 'nobody', 'clock', '--ppm', '200000'], 'Give a number from -100000 to 100000.'],
    [['fault', 'nobody', 'pause', '--by', '1s'], '--by and --ppm are for `clock` alone.'],
  ])('refuses %s', async (args, words) => {
    const { code, stdout, stderr } = await wasmmatrix(['machines', ...args], {
      env: { XDG_DATA_HOME: folder.make('nothing'), WASMMATRIX_JOIN: '' },
    });
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toContain(words);
  });
});
