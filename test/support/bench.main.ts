// `npm run bench`: runs every program of test/bench, one after the other; arguments go on to each (`--json`).
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const FOLDER = join(ROOT, 'test', 'bench');

const programs = readdirSync(FOLDER)
  .filter((file) => file.endsWith('.bench.ts'))
  .sort();
for (const program of programs) {
  process.stderr.write(`\n${program}\n`);
  const { status } = spawnSync(process.execPath, [join(FOLDER, program), ...process.argv.slice(2)], {
    cwd: ROOT,
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  if (status !== 0) process.exitCode = 1;
}
