// A process that wants to lead. Lines: `waits LEADER`, `leads`, `held MICROS` again and again while it may lead (the clock is the
// machine's, so that those of two processes compare), `lost CAUSE`.
import { writeSync } from 'node:fs';
import { connect } from '@nats-io/transport-node';
import { SystemClock } from '../../../hardware/clock/clock.ts';
import { createLease, openNatsLeaseStore } from '../../../hardware/lease/lease.ts';
import { SystemRandom } from '../../../hardware/random/random.ts';
import { get } from '../storage/contents.ts';

const HELD_EVERY_MS = 20;
const say = (line: string): void => void writeSync(1, `${line}\n`);

const [url = '', holder = '', leaseMs = ''] = process.argv.slice(2);
const connection = await connect({ servers: url, maxReconnectAttempts: -1 });
const lease = get(
  createLease({
    clock: new SystemClock(),
    random: new SystemRandom(),
    store: get(await openNatsLeaseStore({ connection, answerMs: Number(leaseMs) / 5 })),
    holder,
    address: `${holder}:7070`,
    leaseMs: Number(leaseMs),
    onStandby: (leader) => say(`waits ${leader.holder}`),
  }),
);
const tenure = get(await lease.acquire());
say('leads');
const telling = setInterval(() => {
  const micros = process.hrtime.bigint() / 1_000n;
  if (tenure.isHeld()) say(`held ${micros}`);
}, HELD_EVERY_MS);
say(`lost ${await tenure.lost}`);
clearInterval(telling);
await connection.close();
