// `node hardware/qemu/bundle.main.ts <folder>`: joins the command line and everything that it may load into a few JavaScript files.
// Commands that read files of this repository (scenarios, protocols, sources of the engine) find none there: what is packed is for
// nodes, whose verbs are `agent` and `doctor`.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';
import manifest from '../../package.json' with { type: 'json' };

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
/** Programs of threads: whoever starts one names it by a path beside itself. */
const WORKERS = { 'storage-worker': 'hardware/storage/worker.ts' };
const WORKER_ADDRESS = "new URL('./worker.ts', import.meta.url)";

const [folder] = process.argv.slice(2);
if (folder === undefined) throw new Error('Say where the bundle is to be written.');
let addresses = 0;
const bundle = await rolldown({
  cwd: ROOT,
  input: { cli: 'cli.ts', ...WORKERS },
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
await bundle.write({ dir: folder, format: 'esm', entryFileNames: '[name].js', chunkFileNames: '[name]-[hash].js' });
await bundle.close();
if (addresses !== 1)
  throw new Error(`hardware/storage/thread.ts does not say ${WORKER_ADDRESS} once: the bundle would not find its thread.`);
// The command line reads its version there.
const { name, version, type } = manifest;
writeFileSync(join(folder, 'package.json'), `${JSON.stringify({ name, version, type })}\n`);
