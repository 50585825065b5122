// The product in a few files for a Node.js elsewhere: modules of this repository and of its packages joined, types stripped. Loading
// some files instead of a thousand is what makes an agent start within seconds on an emulated or small machine.
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { cancelling } from '../debian/debian.ts';

const WRITER = fileURLToPath(new URL('bundle.main.ts', import.meta.url));

/** `cli.js` and what it loads, into an empty folder; the same sources give the same bytes. Rejects with execa's error. */
export async function writeBundle(folder: string, signal: AbortSignal | undefined): Promise<void> {
  await execa(process.execPath, ['--disable-warning=ExperimentalWarning', WRITER, folder], { ...cancelling(signal), stdin: 'ignore' });
}
