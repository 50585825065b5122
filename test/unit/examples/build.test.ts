import { cp, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildExamples, compileExample } from '../../../scenarios/examples/build.ts';
import { MemoryHost, runGuest } from './guest-runner.ts';
import { webAssembly } from './webassembly.ts';

const SOURCES = join(import.meta.dirname, '../../../scenarios/examples');
const COMPILE_TIMEOUT_MS = 60_000;
const STREAMS = ['fd_read', 'fd_write', 'proc_exit'];
const ENVIRONMENT = ['environ_get', 'environ_sizes_get'];

/** What each module imports, without the name of the module for WASI. Whoever adds to this adds to what a host must grant. */
const IMPORTS: Record<string, string[]> = {
  'brake-alert': [...ENVIRONMENT, ...STREAMS, 'wasmmatrix.publish'],
  burn: STREAMS,
  counter: [...ENVIRONMENT, 'fd_write', 'proc_exit', 'wasmmatrix.state_get', 'wasmmatrix.state_set', 'wasmmatrix.take'],
  echo: STREAMS,
  forbidden: [
    'clock_time_get',
    ...ENVIRONMENT,
    'fd_read',
    'fd_write',
    'path_open',
    'poll_oneoff',
    'proc_exit',
    'random_get',
    'wasmmatrix.publish',
    'wasmmatrix.state_get',
    'wasmmatrix.take',
  ],
  trap: STREAMS,
};
/** Those that are components; what they import is written in scenarios/examples/component.ts. */
const COMPONENTS = ['worst-speed'];
const NAMES = [...Object.keys(IMPORTS), ...COMPONENTS];
/** How a component's binary begins, and a module's does not. */
const COMPONENT = Buffer.from([0x00, 0x61, 0x73, 0x6d, 0x0d, 0x00, 0x01, 0x00]);

describe('the build of the examples', () => {
  let root: string;
  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), 'examples-'));
  });
  afterAll(async () => {
    await rm(root, { recursive: true });
  });

  it('gives the same bytes twice, and compiles nothing when the cache has it', { timeout: COMPILE_TIMEOUT_MS }, async () => {
    const compiled: string[] = [];
    const options = { cacheDirectory: join(root, 'cache'), onCompile: (name: string) => compiled.push(name) };
    const first = await buildExamples(options);
    expect([...first.keys()]).toEqual(NAMES);
    expect(compiled).toEqual(NAMES);
    for (const [name, { wasmPath }] of first) {
      const bytes = await readFile(wasmPath);
      expect(bytes.equals(await compileExample(name)), name).toBe(true);
    }
    expect(await buildExamples(options)).toEqual(first);
    expect(compiled).toHaveLength(first.size);
    const [hash] = await readdir(join(root, 'cache', 'examples'));
    expect(await readdir(join(root, 'cache', 'examples', hash ?? ''))).toEqual(NAMES.map((name) => `${name}.wasm`));
  });

  it('gives small commands that import what they use and start nothing else', { timeout: COMPILE_TIMEOUT_MS }, async () => {
    for (const [name, { wasmPath, manifest }] of await buildExamples()) {
      expect(manifest.limits.memoryBytesMax, name).toBeGreaterThanOrEqual(2 * 65_536);
      expect((await stat(wasmPath)).size, name).toBeLessThan(8192);
      expect((await readFile(wasmPath)).subarray(0, 8).equals(COMPONENT), name).toBe(manifest.component);
      expect(manifest.component, name).toBe(COMPONENTS.includes(name));
      if (manifest.component) continue;
      const module = await webAssembly.compile(await readFile(wasmPath));
      const imports = webAssembly.Module.imports(module).map((entry) =>
        entry.module === 'wasi_snapshot_preview1' ? entry.name : `${entry.module}.${entry.name}`,
      );
      expect(imports.toSorted(), name).toEqual(IMPORTS[name]);
      expect(
        webAssembly.Module.exports(module)
          .map((entry) => entry.name)
          .toSorted(),
        name,
      ).toEqual(['_start', 'memory']);
    }
  });

  it('reads what each example asks for', { timeout: COMPILE_TIMEOUT_MS }, async () => {
    const asked = [...(await buildExamples())].map(([name, { manifest }]) => [name, manifest.capabilities]);
    expect(Object.fromEntries(asked)).toEqual({
      'brake-alert': ['publish:alerts.brake'],
      burn: [],
      counter: ['state-read:counter/', 'state-write:counter/'],
      echo: [],
      forbidden: [],
      trap: [],
      'worst-speed': ['log', 'publish:records.speed', 'state-read:worst/', 'state-write:worst/'],
    });
  });

  it('compiles and runs the guest of the reference page', { timeout: COMPILE_TIMEOUT_MS }, async () => {
    const page = await readFile(join(SOURCES, '../../docs/reference/guest-abi.md'), 'utf8');
    const sourceDirectory = join(root, 'page');
    const assembly = join(sourceDirectory, 'latest', 'assembly');
    await cp(join(SOURCES, 'sdk'), join(sourceDirectory, 'sdk'), { recursive: true });
    await mkdir(assembly, { recursive: true });
    await writeFile(join(assembly, 'latest.ts'), /```ts\n([^]*?)```/.exec(page)?.[1] ?? '');
    const manifest = /```yaml\n([^]*?) *```/.exec(page)?.[1] ?? '';
    await writeFile(join(sourceDirectory, 'latest', 'module.yaml'), manifest.replaceAll(/^ {3}/gm, ''));
    const built = await buildExamples({ sourceDirectory, cacheDirectory: join(root, 'page-cache') });
    const latest = await webAssembly.compile(await readFile(built.get('latest')?.wasmPath ?? ''));
    const host = new MemoryHost();
    expect(runGuest(latest, { data: 'one' }, host).stdout).toBe('{"replacedVersion":0}');
    expect(runGuest(latest, { id: 'second', data: 'two\n2' }, host).stdout).toBe('{"replacedVersion":1}');
    expect(host.state.get('latest/data')).toEqual({ version: 2, value: 'two\n2' });
    expect(host.published.at(-1)).toEqual({ subject: 'latest.changed', payload: 'second' });
  });

  describe('with a mistake', () => {
    async function withExample(name: string, manifest: string, source: string): Promise<unknown> {
      const sourceDirectory = join(root, name);
      await cp(join(SOURCES, 'sdk'), join(sourceDirectory, 'sdk'), { recursive: true });
      await mkdir(join(sourceDirectory, name, 'assembly'), { recursive: true });
      await writeFile(join(sourceDirectory, name, 'module.yaml'), manifest);
      await writeFile(join(sourceDirectory, name, 'assembly', `${name}.ts`), source);
      return buildExamples({ sourceDirectory, cacheDirectory: join(root, 'mistakes') });
    }

    function manifestOf(name: string, change: (text: string) => string = (text) => text): string {
      const limits = 'limits:\n  fuelMax: 1\n  memoryBytesMax: 131072\n  outputBytesMax: 1\n';
      return change(`name: ${name}\ndescription: One.\ncapabilities: []\n${limits}`);
    }

    it('in a source, names the file and the line', { timeout: COMPILE_TIMEOUT_MS }, async () => {
      const building = withExample('wrong', manifestOf('wrong'), '\nlet x: i32 = missing();\n');
      await expect(building).rejects.toThrow(/wrong\/assembly\/wrong\.ts: does not compile[^]*wrong\.ts\(2,14\)/);
    });

    it.each([
      ['name', (text: string) => text.replace('name: name', 'name: other'), /name\/module\.yaml: name is "other"/],
      ['yaml', (text: string) => `${text}\n- x`, /yaml\/module\.yaml: .*line/],
      ['field', (text: string) => `${text}fuel: 1\n`, /field\/module\.yaml: unknown field fuel/],
      ['limit', (text: string) => text.replace('fuelMax: 1', 'fuelMax: 1.5'), /limit\/module\.yaml: limits\.fuelMax is 1\.5/],
      ['unit', (text: string) => text.replace('fuelMax', 'fuel'), /unit\/module\.yaml: unknown limit fuel/],
      ['kind', (text: string) => `${text}component: 1\n`, /kind\/module\.yaml: component is 1, expected true or false/],
      ['grant', (text: string) => text.replace('[]', '[files]'), /grant\/module\.yaml: "files" is not a capability/],
    ])('in a manifest (%s), names the file and the field', async (name, change, message) => {
      await expect(withExample(name, manifestOf(name, change), '')).rejects.toThrow(message);
    });

    it('of a missing manifest, names the file', async () => {
      const sourceDirectory = join(root, 'none');
      await mkdir(join(sourceDirectory, 'alone'), { recursive: true });
      await expect(buildExamples({ sourceDirectory, cacheDirectory: join(root, 'mistakes') })).rejects.toThrow(/alone\/module\.yaml/);
    });
  });
});
