// `node hardware/qemu/tree.main.ts <folder>`: writes this repository's programs as JavaScript, file by file, for a Node.js that
// does not strip types (Debian's). Nothing is bundled: the same modules under the same names, `.js` instead of `.ts`.
import { cpSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const FOLDERS = ['system', 'agents', 'sim', 'scenarios', 'hardware', 'reports'];
/** Programs and what they import; not the sources of guests, which are another language. */
const KEPT = /\.(ts|js|json|yaml|proto)$/;
const LEFT_OUT = /(^|\/)(node_modules|assembly|native\/target|out)(\/|$)|\.d\.ts$/;
/** Paths of modules of ours, as imports and addresses name them. */
const MODULE = /(['"])(\.{1,2}\/[^'"\n]*)\.ts\1/g;

const [folder] = process.argv.slice(2);
if (folder === undefined) throw new Error('Say where the tree is to be written.');
const write = (path: string): void => {
  const to = join(folder, path.replace(/\.ts$/, '.js'));
  mkdirSync(dirname(to), { recursive: true });
  if (!path.endsWith('.ts')) cpSync(join(ROOT, path), to);
  else writeFileSync(to, stripTypeScriptTypes(readFileSync(join(ROOT, path), 'utf8')).replaceAll(MODULE, '$1$2.js$1'));
};
write('cli.ts');
write('package.json');
for (const top of FOLDERS) {
  for (const entry of readdirSync(join(ROOT, top), { recursive: true, encoding: 'utf8' })) {
    const path = join(top, entry);
    if (KEPT.test(path) && !LEFT_OUT.test(path)) write(path);
  }
}
symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
