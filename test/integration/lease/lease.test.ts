// The lease on a real server, with processes that are killed and stopped.
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { NATS, startNats } from '../../support/nats/nats.ts';
import type { NatsServer } from '../../support/nats/nats.ts';
import { startTalker } from '../../support/process/talker.ts';
import type { Talker } from '../../support/process/talker.ts';

const CANDIDATE = fileURLToPath(new URL('./candidate.fixture.ts', import.meta.url));
/** A third of it may go by without a renewal, and two writes that a busy disk holds up take longer than one might think. */
const LEASE_MS = 4_000;

function heldMicros({ lines }: Talker): readonly number[] {
  return lines().flatMap((line) => (line.startsWith('held ') ? [Number(line.slice('held '.length))] : []));
}

// Left out where there is neither a nats-server nor Go to build one.
describe.skipIf('missing' in NATS)(`the lease on NATS (${'missing' in NATS ? NATS.missing : NATS.title})`, () => {
  let server: NatsServer;
  const talkers: Talker[] = [];
  beforeEach(async () => {
    server = await startNats();
  });
  afterEach(async () => {
    for (const talker of talkers.splice(0)) await talker.destroy();
    await server.stop();
  });

  function start(name: string): Talker {
    const talker = startTalker(CANDIDATE, [server.url, name, String(LEASE_MS)]);
    talkers.push(talker);
    return talker;
  }

  it('goes to the standby when the holder is killed', async () => {
    const first = start('a');
    await first.said(/^leads$/);
    const second = start('b');
    await second.said(/^waits a$/);
    await first.said(/^held /);
    await first.destroy();
    await second.said(/^held /);
    expect(Math.max(...heldMicros(first))).toBeLessThan(Math.min(...heldMicros(second)));
  });

  it('goes to the standby when the holder is stopped, which says so when it goes on', async () => {
    const first = start('a');
    await first.said(/^leads$/);
    const second = start('b');
    await second.said(/^waits a$/);
    first.child.kill('SIGSTOP');
    await second.said(/^held /);
    first.child.kill('SIGCONT');
    expect(await first.said(/^lost /)).toMatch(/^lost (the lease could not be renewed for \d+ ms|b leads now)$/);
    expect(await first.ended).toBe(0);
    expect(Math.max(...heldMicros(first))).toBeLessThan(Math.min(...heldMicros(second)));
  });

  it('is lost when the server is away for too long, and held again by one when it is back', async () => {
    const [first, second] = [start('a'), start('b')];
    const leader = await Promise.race([first.said(/^leads$/).then(() => first), second.said(/^leads$/).then(() => second)]);
    const standby = leader === first ? second : first;
    await standby.said(/^waits /);
    await server.kill();
    expect(await leader.said(/^lost /)).toMatch(/^lost the lease could not be renewed for \d+ ms$/);
    await server.restart();
    await standby.said(/^held /);
    expect(Math.max(...heldMicros(leader))).toBeLessThan(Math.min(...heldMicros(standby)));
  });
});
