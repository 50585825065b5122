// The profiles of hardware/deploy start the product: only where things are (folder, ports) is of this machine.
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { temporaryFolder } from '../support/e2e/command.ts';
import { eventually, Platform } from '../support/e2e/platform.ts';
import { DEPLOY } from '../support/deploy/files.ts';
import { reservePort } from '../support/network/reserve.ts';

const WALL_MS = 180_000;
type NodeRow = { readonly facts: { readonly node: string; readonly zone: string }; readonly status: string };

const folder = temporaryFolder();
/** What is advertised must be what is listened on, so the port cannot be 0. */
const here = async (name: string): Promise<readonly string[]> => {
  const address = `127.0.0.1:${await reservePort()}`;
  return ['--data', join(folder.path, name), '--listen', address, '--advertise', address, '--admin', '127.0.0.1:0'];
};
let platform: Platform | null = null;
afterEach(async () => {
  await platform?.close();
  folder.remove();
});

describe('the profiles', () => {
  test('edge controller, edge node and vehicle node make a platform, and end in order', { timeout: WALL_MS }, async () => {
    const started = new Platform(folder.make('home'));
    platform = started;
    const profile = (name: string): readonly string[] => ['--config', join(DEPLOY, 'profiles', `${name}.yaml`)];
    await started.up([...profile('controller-edge'), ...(await here('controller'))]);
    await started.agent('edge-1', [...profile('agent-edge'), ...(await here('edge-1'))]);
    await started.agent('truck-7', [...profile('agent-vehicle'), ...(await here('truck-7'))]);
    const nodes = await eventually(
      () => started.json<readonly NodeRow[]>('get', 'nodes', '--context', join(folder.path, 'controller', 'operator.json')),
      (rows) => rows.length === 2 && rows.every(({ status }) => status === 'healthy'),
      'both nodes are healthy',
    );
    expect(nodes.map(({ facts }) => `${facts.node} ${facts.zone}`).sort()).toEqual(['edge-1 edge/site-1', 'truck-7 fleet/truck-7']);
    for (const running of [started.agentProcess('truck-7'), started.agentProcess('edge-1'), started.controllerProcess()])
      expect((await started.kill(running, 'SIGTERM')).code).toBe(0);
  });
});
