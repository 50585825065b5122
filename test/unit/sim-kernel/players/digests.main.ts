// A process of its own that plays the toy world on the seeds it is given and prints each digest: `node digests.main.ts 0x1 0x2`.
import { runCampaign } from '../../../../sim/campaign/campaign.ts';
import { jobOf } from '../jobs.ts';

const jobs = process.argv.slice(2).map((seed) => jobOf('gossip', seed, { verify: true }));
const runs = await runCampaign({ jobs, player: new URL('./toy.ts', import.meta.url) });
process.stdout.write(`${JSON.stringify(runs.map(({ seed, verdict, digest, steps }) => ({ seed, verdict, digest, steps })))}\n`);
