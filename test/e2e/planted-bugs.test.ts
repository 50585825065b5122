// The command that plants bugs, as a contributor has it.
import { readdirSync } from 'node:fs';
import process from 'node:process';
import { afterAll, describe, expect, test } from 'vitest';
import { shell, temporaryFolder, type Ended } from '../support/e2e/command.ts';

const folder = temporaryFolder();
afterAll(() => folder.remove());

function plant(args: string): Promise<Ended> {
  return shell(`'${process.execPath}' test/mutants/run.main.ts ${args}`, { env: { TMPDIR: folder.path } });
}

describe('planted bugs', () => {
  test.each([
    ['nosuch', /^No planted bug is called nosuch\. There are ack-wait-endless, /],
    ['--fuzz --small', /^--small, --shrink and --fuzz are three ways to play: give one\.$/m],
    ['--fuzz --runs none', /^Give a whole number from 1 to \d+\.$/m],
    ['--nosuch', /^Unknown option '--nosuch'/],
  ])('refuse %s in words', async (args, words) => {
    const { code, stdout, stderr } = await plant(args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(words);
    expect(stderr).not.toContain('    at ');
  });

  test('are found by fuzzing, which leaves nothing behind', async () => {
    const { code, stdout, stderr } = await plant('--fuzz heartbeat-timeout-tenfold --runs 5 --json');
    expect(code, stderr).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      seed: '0x1',
      runsMax: 5,
      mutants: [{ mutant: 'heartbeat-timeout-tenfold', caught: { verdict: 'violated', goal: 'P2' }, findings: [] }],
    });
    expect(readdirSync(folder.path).filter((name) => name.includes('fuzzed'))).toEqual([]);
  });
});
