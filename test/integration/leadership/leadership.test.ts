// Two controllers over one nats-server (R13.2): one leads, the other takes over, and what was acknowledged is there.
import { generateKeyPairSync } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { NATS } from '../../support/nats/nats.ts';
import type { OperatorCommand } from '../../../system/domain/operator.ts';
import { Site, until } from './site.ts';
import type { Operator } from './site.ts';

const ENOUGH_COMMANDS = 150;

function trustAdd(): OperatorCommand & { readonly kind: 'trust-add' } {
  const publicKey = generateKeyPairSync('ed25519').publicKey.export({ format: 'jwk' }).x ?? '';
  return { kind: 'trust-add', publicKey: new Uint8Array(Buffer.from(publicKey, 'base64url')), mayGrant: [] };
}

const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

async function trusted(operator: Operator): Promise<ReadonlySet<string>> {
  return new Set((await operator.query('trust')).keys.map(({ publicKey }) => hexOf(publicKey)));
}

// Left out where there is neither a nats-server nor Go to build one.
describe.skipIf('missing' in NATS)(`two controllers on NATS (${'missing' in NATS ? NATS.missing : NATS.title})`, () => {
  let site: Site;
  beforeEach(async () => {
    site = await Site.open();
  });
  afterEach(() => site.close());

  it('one leads and the other waits; when the leader is killed under load, the other has all that was acknowledged', async () => {
    const first = await site.startController('a');
    await first.talker.said(/^serves /);
    const second = await site.startController('b');
    await second.talker.said(/^waits a$/);
    const agent = await site.startAgent('truck-1');
    const sessions = (): number => agent.of('agent.session').filter(({ state }) => state === 'connected').length;
    await until('the agent has a session', () => sessions() > 0);
    const operator = await site.operator(first);

    const acknowledged: string[] = [];
    let isLoading = true;
    const load = async (name: string): Promise<void> => {
      for (let i = 0; isLoading; i++) {
        const command = trustAdd();
        const reply = await operator.execute(`${name}-${i}`, command);
        if (!reply.ok) return;
        acknowledged.push(hexOf(command.publicKey));
      }
    };
    const loads = Promise.all(['x', 'y', 'z'].map(load));
    await until('commands were acknowledged', () => acknowledged.length >= ENOUGH_COMMANDS);
    await first.talker.destroy();
    isLoading = false;
    await loads;

    await second.talker.said(/^serves /);
    const successor = await site.operator(second);
    const found = await trusted(successor);
    expect(acknowledged.filter((key) => !found.has(key))).toEqual([]);
    expect((await successor.query('nodes')).term).toBe(2);
    const before = sessions();
    await until('the agent has a session with the successor', async () => {
      const { nodes } = await successor.query('nodes');
      return sessions() >= Math.max(2, before) && nodes.some(({ facts, status }) => facts.node === 'truck-1' && status === 'healthy');
    });
    expect((await successor.execute('after', trustAdd())).ok).toBe(true);
  });

  it('a leader that was stopped says, when it goes on, that it does not lead any more', async () => {
    const first = await site.startController('a');
    await first.talker.said(/^serves /);
    const second = await site.startController('b');
    await second.talker.said(/^waits a$/);
    first.talker.child.kill('SIGSTOP');
    await second.talker.said(/^serves /);
    first.talker.child.kill('SIGCONT');
    expect(await first.talker.said(/^ended /)).toMatch(/^ended it does not lead any more: (the lease could not be renewed|b leads now)/);
    expect(await first.talker.ended).toBe(1);
  });

  it('a leader that was stopped and does not heed its lease is fenced by the journal: nothing of it is accepted', async () => {
    const first = await site.startController('a', { heedless: true });
    await first.talker.said(/^serves /);
    const before = trustAdd();
    const stale = await site.operator(first);
    expect((await stale.execute('before', before)).ok).toBe(true);
    const second = await site.startController('b');
    await second.talker.said(/^waits a$/);
    first.talker.child.kill('SIGSTOP');
    await second.talker.said(/^serves /);
    first.talker.child.kill('SIGCONT');

    const late = trustAdd();
    const refused = await stale.execute('late', late);
    expect(refused.ok).toBe(false);
    expect(await first.talker.said(/^ended /)).toMatch(
      /^ended journal: WM_JOURNAL_CONFLICT \(rejected\): Journal controller is beyond sequence \d+: another process wrote to stream/,
    );
    const found = await trusted(await site.operator(second));
    expect([before, late].map(({ publicKey }) => found.has(hexOf(publicKey)))).toEqual([true, false]);
  });

  it('a server that goes away ends the leader with its cause, and whoever comes first leads when it is back', async () => {
    const first = await site.startController('a');
    await first.talker.said(/^serves /);
    const command = trustAdd();
    expect((await (await site.operator(first)).execute('one', command)).ok).toBe(true);
    const second = await site.startController('b');
    await second.talker.said(/^waits a$/);
    await site.nats.kill();
    expect(await first.talker.said(/^ended /)).toMatch(/^ended (it does not lead any more|journal|broker|state store)/);
    await site.nats.restart();
    await second.talker.said(/^serves /);
    expect((await trusted(await site.operator(second))).has(hexOf(command.publicKey))).toBe(true);
  });
});
