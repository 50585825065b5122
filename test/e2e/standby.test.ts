// Two controllers as their operator has them: the same command on two machines with the same NATS and the same keys. One leads,
// the other says who does; when the first is killed the second goes on with what was acknowledged, and the agents come to it.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buildExamples } from '../../scenarios/examples/build.ts';
import { temporaryFolder } from '../support/e2e/command.ts';
import { eventually, Platform } from '../support/e2e/platform.ts';
import { reserveAddress } from '../support/network/reserve.ts';
import { NATS, startNats } from '../support/nats/nats.ts';
import type { NatsServer } from '../support/nats/nats.ts';

const WALL_MS = 240_000;

type NodeRow = { readonly facts: { readonly node: string }; readonly status: string };
type InstanceRow = { readonly state: string; readonly node: string | null };

// Left out where there is neither a nats-server nor Go to build one.
describe.skipIf('missing' in NATS).each(['embedded', 'nats'])(
  `two controllers over NATS, bus %s (${'missing' in NATS ? NATS.missing : NATS.title})`,
  (bus) => {
    const folder = temporaryFolder();
    const [first, second] = [new Platform(folder.make('first')), new Platform(folder.make('second'))];
    let nats: NatsServer;
    let addresses: readonly [string, string];
    let admins: readonly [string, string];
    beforeAll(async () => {
      nats = await startNats({ config: 'max_payload: 2MB' });
      addresses = [await reserveAddress(), await reserveAddress()];
      admins = [await reserveAddress(), await reserveAddress()];
    });
    afterAll(async () => {
      await first.close();
      await second.close();
      await nats.stop();
      folder.remove();
    });

    const flagsOf = (which: 0 | 1): readonly string[] => [
      ...[
        '--listen',
        addresses[which],
        '--admin',
        admins[which],
        '--advertise',
        addresses.join(','),
        '--name',
        which === 0 ? 'first' : 'second',
      ],
      ...['--store', 'nats', '--bus', bus, '--nats-servers', nats.url, '--nats-monitors', nats.monitorUrl],
      ...['--keys', join(folder.path, 'keys'), '--leader-lease', '3s'],
    ];

    async function publishAndSee(platform: Platform, id: number): Promise<void> {
      const listening = platform.follow('subscribe', 'alerts.>', '--count', '1');
      await listening.said('Listening on alerts.>');
      await platform.ok('publish', 'sensors.brake', `{"v": 9, "a": -9, "id": ${id}}`);
      const ended = await listening.ended;
      expect(`${ended.code} ${ended.stderr}`).toMatch(/^0 /);
    }

    /** Of a controller at its fixed address of administration. */
    async function readinessOf(which: 0 | 1): Promise<{ alive: number; ready: number; why: string }> {
      const [alive, ready] = await Promise.all(['healthz', 'readyz'].map((page) => fetch(`http://${admins[which]}/${page}`)));
      const { parts } = (await ready!.json()) as { readonly parts: readonly { readonly why: string }[] };
      return { alive: alive!.status, ready: ready!.status, why: parts[0]?.why ?? '' };
    }

    const healthy = (platform: Platform): Promise<unknown> =>
      eventually(
        () => platform.json<readonly NodeRow[]>('get', 'nodes'),
        (rows) => rows.length === 1 && rows[0]?.status === 'healthy',
        'the node is healthy',
      );

    test('the second says who leads, and takes over with all that was acknowledged', { timeout: WALL_MS }, async () => {
      await first.up(flagsOf(0));
      const isUp = second.up(flagsOf(1));
      await second.controllerProcess().said(`standby: first leads at ${addresses[0]}`);
      expect(await readinessOf(1)).toEqual({
        alive: 200,
        ready: 503,
        why: `standby: first leads at ${addresses[0]}; this controller waits.`,
      });
      await first.agent('one', ['--memory', '512MiB', '--cores', '1']);
      await healthy(first);
      const example = (await buildExamples()).get('brake-alert');
      await first.ok('keys', 'create', 'ops');
      await first.ok('trust', 'add', 'ops', '--grant', 'publish:alerts.>');
      await first.ok('push', example!.wasmPath, '--name', 'brake', '--sign', 'ops', '--capability', 'publish:alerts.brake');
      const manifest = join(folder.path, 'app.yaml');
      writeFileSync(
        manifest,
        '- { deploy: brake, origin: local, replicas: 1 }\n- { trigger: brake, on: sensors.brake, result: alerts.results }\n',
      );
      await first.ok('apply', manifest, '--running', '60');
      await publishAndSee(first, 1);

      await first.kill(first.controllerProcess(), 'SIGKILL');
      await isUp;
      expect(await readinessOf(1)).toEqual({ alive: 200, ready: 200, why: '' });
      await healthy(second);
      const instances = await eventually(
        () => second.json<readonly InstanceRow[]>('get', 'instances'),
        (rows) => rows.length === 1 && rows[0]?.state === 'running',
        'the instance runs',
      );
      expect(instances[0]?.node).toBe('one');
      await publishAndSee(second, 2);
    });

    test(
      'the first is the standby when it is started again, and leads at once when the second stops in order',
      { timeout: WALL_MS },
      async () => {
        const isUp = first.up(flagsOf(0));
        await first.controllerProcess().said(`standby: second leads at ${addresses[1]}`);
        const third = new Platform(folder.make('third'));
        const neverUp = third.up([...flagsOf(1), '--admin', '127.0.0.1:0']).then(
          () => 'it is up',
          (error: Error) => error.message,
        );
        await third.controllerProcess().said('standby: second leads');
        expect((await third.kill(third.controllerProcess(), 'SIGTERM')).code).toBe(0);
        expect(await neverUp).toContain('The command ended without saying');
        const ended = await second.kill(second.controllerProcess(), 'SIGTERM');
        expect(ended.code).toBe(0);
        await isUp;
        await healthy(first);
        await publishAndSee(first, 3);
      },
    );
  },
);
