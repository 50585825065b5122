// `node hardware/qemu/bundle.main.ts <folder> [program]`: joins the command line and everything that it may load into a few JavaScript
// files; or another program of this repository, which starts no threads.
// Commands that read files of this repository (scenarios, protocols, sources of the engine) find none there: what is packed is for
// nodes, whose verbs are `agent` and `doctor`.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';
import manifest from '../../package.json' with { type: 'json' };

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
/** Programs of threads: whoever starts one names it by a path beside itself. */
const WORKERS = { 'storage-worker': 'hardware/storage/worker.ts' };
/** Programs that somebody else starts. */
const PROGRAMS = { 'device-host': 'hardware/devices/host.main.ts' };
const WORKER_ADDRESS = "new URL('./worker.ts', import.meta.url)";

const [folder, program] = process.argv.slice(2);
if (folder === undefined) throw new Error('Say where the bundle is to be written.');
let addresses = 0;
const bundle = await rolldown({
  cwd: ROOT,
  input: program === undefined ? { cli: 'cli.ts', ...WORKERS, ...PROGRAMS } : { program },
  platform: 'node',
  plugins: [
    {
      name: 'threads',
      transform(code, id) {
        if (!id.endsWith('/hardware/storage/thread.ts') || !code.includes(WORKER_ADDRESS)) return null;
        addresses += 1;
        return { code: code.replace(WORKER_ADDRESS, "new URL('./storage-worker.js', import.meta.url)"), moduleType: 'ts' };
      },
    },
  ],
});
const { output } = await bundle.write({ dir: folder, format: 'esm', entryFileNames: '[name].js', chunkFileNames: '[name]-[hash].js' });
await bundle.close();
if (program === undefined && addresses !== 1)
  throw new Error(`hardware/storage/thread.ts does not say ${WORKER_ADDRESS} once: the bundle would not find its thread.`);
// The command line reads its version there.
const { name, version, type } = manifest;
writeFileSync(join(folder, 'package.json'), `${JSON.stringify({ name, version, type }, null, 2)}\n`);
const modules = output.flatMap((file) => (file.type === 'chunk' ? file.moduleIds : []));
writeFileSync(join(folder, 'LICENSES.txt'), licensesOf(modules));

/** Of every package that a module is from, by name: what its authors want to be copied with it. */
function licensesOf(paths: readonly string[]): string {
  const packages = new Set(paths.flatMap((path) => /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+(?=\/)/.exec(path)?.[0] ?? []));
  const texts = [...packages].map((path) => {
    const {
      name: its,
      version: of,
      license,
    } = JSON.parse(readFileSync(join(path, 'package.json'), 'utf8')) as Readonly<Record<string, unknown>>;
    const files = readdirSync(path).filter((file) => /^(?:licen[cs]e|notice|copying)/i.test(basename(file)));
    const words = files.sort().map((file) => readFileSync(join(path, file), 'utf8').trim());
    return `${String(its)} ${String(of)} (${String(license)})\n\n${words.join('\n\n')}\n`;
  });
  return texts.sort().join('\n----\n\n');
}
