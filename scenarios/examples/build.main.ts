// Builds the example guests and prints where each one is: `npx node scenarios/examples/build.main.ts`. With a name, where that one is.
import { buildExamples, ExampleBuildError } from './build.ts';

const [wanted] = process.argv.slice(2);
try {
  const built = await buildExamples({ onCompile: (name) => process.stderr.write(`compiling ${name}\n`) });
  const found = wanted === undefined ? undefined : built.get(wanted);
  if (wanted === undefined) for (const [name, { wasmPath }] of built) process.stdout.write(`${name}\t${wasmPath}\n`);
  else if (found !== undefined) process.stdout.write(`${found.wasmPath}\n`);
  else {
    process.stderr.write(`There is no example '${wanted}'. Name one of ${[...built.keys()].join(', ')}, or none for all.\n`);
    process.exitCode = 2;
  }
} catch (error) {
  if (!(error instanceof ExampleBuildError)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 2;
}
