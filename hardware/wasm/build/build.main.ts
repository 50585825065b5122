// `node hardware/wasm/build/build.main.ts`: builds the engine addon and prints the path of its library on stdout.
import { EngineBuildError, ensureEngine } from './build.ts';
import { createProgressPrinter } from './progress.ts';

const EXIT_REJECTED = 2;

try {
  const compiler = !process.argv.includes('--runtime-only');
  const path = await ensureEngine({ compiler, onProgress: createProgressPrinter(process.stderr) });
  process.stdout.write(`${path}\n`);
} catch (error) {
  if (!(error instanceof EngineBuildError)) throw error;
  process.stderr.write(`${error.code}: ${error.message}\n`);
  process.exitCode = EXIT_REJECTED;
}
