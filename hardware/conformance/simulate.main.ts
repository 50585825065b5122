// Plays runs of the simulator on the machine it runs on, which may be an emulated one: `node simulate.main.ts <job.json>`. Prints the
// digest of each as JSON lines, as they end.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { runCampaign } from '../../sim/campaign/campaign.ts';
import type { ScenarioSettings } from '../../sim/campaign/scenario.main.ts';
import type { Scenario } from '../../scenarios/scenario.ts';
import type { PlayedLine } from './case.ts';

export type SimulateJob = {
  readonly settings: ScenarioSettings;
  readonly runs: readonly { readonly scenario: Scenario; readonly seed: string }[];
};

/** Bound: wall time without a sign of life, under emulation. */
const SILENT_WALL_MS_MAX = 600_000;

const { settings, runs } = JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8')) as SimulateJob;
const folder = mkdtempSync(join(tmpdir(), 'wasmmatrix-simulate-'));
const print = (line: PlayedLine): void => void process.stdout.write(`${JSON.stringify(line)}\n`);
// `.ts` in a checkout, `.js` in a tree without types.
const ending = import.meta.url.slice(import.meta.url.lastIndexOf('.'));
try {
  await runCampaign({
    jobs: runs.map(({ scenario, seed }, i) => ({ scenario, seed, verify: false, recordFile: join(folder, `${i}.jsonl`), reproduce: '' })),
    player: new URL(`../../sim/campaign/scenario.main${ending}`, import.meta.url),
    settings,
    workersMax: 1,
    silentWallMsMax: SILENT_WALL_MS_MAX,
    onResult: ({ scenario, seed, verdict, digest }) => print({ kind: 'run', scenario, seed, verdict, digest }),
  });
  print({ kind: 'end' });
} finally {
  rmSync(folder, { recursive: true, force: true });
}
