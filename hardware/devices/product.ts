// What of the clone a node needs: the sources of the product, and the packages that its agent loads. Pure but for reading the lock.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const FOLDERS: readonly string[] = ['agents', 'hardware', 'scenarios', 'sim', 'system'];
const FILES: readonly string[] = ['cli.ts', 'package.json', 'LICENSE'];
/** Packages that build examples, or are Node.js itself: large, and nothing of them runs on a node. */
const LEFT_AT_HOME = /^node_modules\/(?:assemblyscript|binaryen|node|node-[a-z0-9-]+)(?:\/|$)/;

type Locked = { readonly dev?: true; readonly devOptional?: true; readonly optional?: true };

/** Relative to the clone's root, folders and files. */
export function productFiles(root: string): readonly string[] {
  const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as { readonly packages: Readonly<Record<string, Locked>> };
  const packages = Object.entries(lock.packages)
    .filter(([path, { dev, devOptional }]) => path.startsWith('node_modules/') && dev !== true && devOptional !== true)
    .map(([path]) => path)
    .filter((path) => !LEFT_AT_HOME.test(path) && existsSync(join(root, path)));
  // A package inside another comes with that.
  const tops = packages.filter((path) => !packages.some((other) => path.startsWith(`${other}/`)));
  return [...FILES, ...FOLDERS, ...tops];
}
