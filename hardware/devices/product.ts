// What of the clone a node needs: the product as a few JavaScript files, because Debian's Node.js does not strip types, and because a slow
// device takes a minute to load a thousand.
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writeBundle } from '../qemu/qemu.ts';

export type Product = {
  /** Arguments of tar that name everything of it. */
  readonly files: readonly string[];
  /** Of all its bytes: the same sources give the same. */
  readonly digest: string;
};

export const NO_PRODUCT: Product = { files: [], digest: '' };

/** The product as it is now, while `act` is at it. Rejects with execa's error. */
export async function withProduct<T>(root: string, act: (product: Product) => Promise<T>, stop?: AbortSignal): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'wasmmatrix-product-'));
  try {
    await writeBundle(folder, stop);
    const hash = createHash('sha256');
    for (const file of readdirSync(folder).sort()) hash.update(`${file}\0`).update(readFileSync(join(folder, file)));
    return await act({ files: ['-C', folder, '.', '-C', root, 'LICENSE'], digest: hash.digest('hex') });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
