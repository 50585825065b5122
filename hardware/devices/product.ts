// What of the clone a node needs: the product as a few JavaScript files, because Debian's Node.js does not strip types, and because a slow
// device takes a minute to load a thousand.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writeBundle } from '../qemu/qemu.ts';

/** Arguments of tar that name everything of a product. */
export type Product = readonly string[];

/** The product as it is now, while `act` is at it. Rejects with execa's error. */
export async function withProduct<T>(root: string, act: (product: Product) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'wasmmatrix-product-'));
  try {
    await writeBundle(folder, undefined);
    return await act(['-C', folder, '.', '-C', root, 'LICENSE']);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
