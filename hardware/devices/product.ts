// What of the clone a node needs: the sources of the product as JavaScript, because Debian's Node.js does not strip types, and the
// packages that its agent loads.
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writeTree } from '../qemu/qemu.ts';

/** Packages that build examples, or are Node.js itself: large, and nothing of them runs on a node. */
const LEFT_AT_HOME = /^node_modules\/(?:assemblyscript|binaryen|node|node-[a-z0-9-]+)(?:\/|$)/;

type Locked = { readonly dev?: true; readonly devOptional?: true; readonly optional?: true };

/** Half of the files of packages, which slow devices take minutes to write; nothing of them is loaded. */
const NEVER_LOADED = ['*.ts', '*.mts', '*.cts', '*.map', '*.md'].map((pattern) => `--exclude=${pattern}`);

/** Relative to the clone's root. */
function productPackages(root: string): readonly string[] {
  const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as { readonly packages: Readonly<Record<string, Locked>> };
  const packages = Object.entries(lock.packages)
    .filter(([path, { dev, devOptional }]) => path.startsWith('node_modules/') && dev !== true && devOptional !== true)
    .map(([path]) => path)
    .filter((path) => !LEFT_AT_HOME.test(path) && existsSync(join(root, path)));
  // A package inside another comes with that.
  return packages.filter((path) => !packages.some((other) => path.startsWith(`${other}/`)));
}

/** Arguments of tar that name everything of a product. */
export type Product = readonly string[];

/** The product as it is now, while `act` is at it. Rejects with execa's error. */
export async function withProduct<T>(root: string, act: (product: Product) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'wasmmatrix-product-'));
  try {
    await writeTree(folder, undefined);
    rmSync(join(folder, 'node_modules'));
    return await act([...NEVER_LOADED, '-C', folder, '.', '-C', root, 'LICENSE', ...productPackages(root)]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
