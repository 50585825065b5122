// What is particular to keys in files.
import { chmod, mkdtemp, readdir, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FileKeys } from '../../../hardware/keys/keys.ts';

let directory = '';
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'wasmmatrix-keys-'));
});
afterEach(() => rm(directory, { recursive: true }));

async function codeOfOpening(name: string): Promise<string> {
  const opened = await new FileKeys(directory).open(name);
  return opened.ok ? 'ok' : opened.error.code;
}

describe('keys in files', () => {
  it('are readable by their owner alone, and nothing else is left in the directory', async () => {
    await Promise.all([codeOfOpening('ops'), codeOfOpening('ops'), codeOfOpening('ops')]);
    expect(await readdir(directory)).toEqual(['ops.key']);
    expect((await stat(join(directory, 'ops.key'))).mode & 0o777).toBe(0o600);
  });

  it('survive the process', async () => {
    const first = await new FileKeys(directory).open('ops');
    expect(await new FileKeys(directory).open('ops')).toEqual(first);
  });

  it('are refused when others may read them', async () => {
    await codeOfOpening('ops');
    await chmod(join(directory, 'ops.key'), 0o640);
    expect(await codeOfOpening('ops')).toBe('WM_KEY_UNUSABLE');
  });

  it('are refused when they are damaged, links, or no keys of ours', async () => {
    await writeFile(join(directory, 'torn.key'), '-----BEGIN PRIVATE KEY-----\nMC4C', { mode: 0o600 });
    await codeOfOpening('ops');
    await symlink('ops.key', join(directory, 'link.key'));
    expect(await codeOfOpening('torn')).toBe('WM_KEY_UNUSABLE');
    expect(await codeOfOpening('link')).toBe('WM_KEY_UNUSABLE');
    expect(await codeOfOpening('../ops')).toBe('WM_ARGUMENT');
  });
});
