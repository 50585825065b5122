// `npm test`: makes what the tests need (engine addon, example guests; both cached outside the clone), then runs every kind of
// test. Arguments go on to vitest: `npm test -- --project unit`. `--prepare-only` stops after the preparation.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const NODE_MAJOR_LEAST = 24;

/** In this order; each prints what it does and is quick when its result is in the cache. */
const PREPARATIONS = ['hardware/wasm/build/build.main.ts', 'scenarios/examples/build.main.ts', 'test/support/nats/build.main.ts'];

/** Kinds of test that touch neither engine nor guests: nobody waits for a build to check an import. */
const KINDS_WITHOUT_PREPARATION = ['tidy'];

function run(script: string, args: readonly string[]): number {
  const { status, error } = spawnSync(process.execPath, [script, ...args], { cwd: ROOT, stdio: ['ignore', 'inherit', 'inherit'] });
  if (error !== undefined) throw error;
  return status ?? 1;
}

function prepare(): number {
  for (const script of PREPARATIONS) {
    const status = run(script, []);
    if (status === 0) continue;
    process.stderr.write(`The tests were not started: ${script} ended with ${status}.\n`);
    return status;
  }
  return 0;
}

function main(args: readonly string[]): number {
  if (Number(process.versions.node.split('.')[0]) < NODE_MAJOR_LEAST) {
    process.stderr.write(
      `The tests need Node.js ${NODE_MAJOR_LEAST}, which \`npm ci\` brings; \`npm test\` finds it, node by itself does not.\n`,
    );
    return 2;
  }
  const kinds = args.flatMap((word, i) =>
    args[i - 1] === '--project' ? [word] : word.startsWith('--project=') ? [word.slice('--project='.length)] : [],
  );
  const prepared = kinds.length > 0 && kinds.every((kind) => KINDS_WITHOUT_PREPARATION.includes(kind)) ? 0 : prepare();
  if (prepared !== 0 || args.includes('--prepare-only')) return prepared;
  return run(join('node_modules', 'vitest', 'vitest.mjs'), ['run', ...args]);
}

process.exitCode = main(process.argv.slice(2));
