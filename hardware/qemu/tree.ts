// The programs of this repository for a Node.js that does not strip types, which is Debian's.
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { cancelling } from '../debian/debian.ts';

const WRITER = fileURLToPath(new URL('tree.main.ts', import.meta.url));

/** Into an empty folder, with a link to the packages of this clone. Rejects with execa's error. */
export async function writeTree(folder: string, signal: AbortSignal | undefined): Promise<void> {
  await execa(process.execPath, ['--disable-warning=ExperimentalWarning', WRITER, folder], { ...cancelling(signal), stdin: 'ignore' });
}
