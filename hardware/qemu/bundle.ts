// The product in a few files for a Node.js elsewhere: modules of this repository and of its packages joined, types stripped. Loading
// some files instead of a thousand is what makes an agent start within seconds on an emulated or small machine.
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { cancelling } from '../debian/debian.ts';

const WRITER = fileURLToPath(new URL('bundle.main.ts', import.meta.url));

/**
 * `cli.js` and what it loads, into an empty folder, or `program.js` of a file of this repository that is named from its root; the same
 * sources give the same bytes. Rejects with execa's error.
 */
export async function writeBundle(folder: string, signal: AbortSignal | undefined, program?: string): Promise<void> {
  const args = ['--disable-warning=ExperimentalWarning', WRITER, folder, ...(program === undefined ? [] : [program])];
  await execa(process.execPath, args, { ...cancelling(signal), stdin: 'ignore' });
}
