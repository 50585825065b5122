// Builds the example guests and prints where each one is: `node scenarios/examples/build.main.ts`.
import { buildExamples, ExampleBuildError } from './build.ts';

try {
  const built = await buildExamples({ onCompile: (name) => process.stderr.write(`compiling ${name}\n`) });
  for (const [name, { wasmPath }] of built) process.stdout.write(`${name}\t${wasmPath}\n`);
} catch (error) {
  if (!(error instanceof ExampleBuildError)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 2;
}
