// A fleet of agents in containers (testcontainers) under a real controller: containers are killed and frozen by the engine, and their
// work moves (issue 5, item 7). Left out where no engine answers; `.ci/run` starts one of its own.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildExamples } from '../../../scenarios/examples/build.ts';
import { findEngine } from '../../support/containers/engine.ts';
import { ContainerFleet } from '../../support/containers/fleet.ts';
import { temporaryFolder } from '../../support/e2e/command.ts';
import { eventually, Platform } from '../../support/e2e/platform.ts';

const WALL_MS = 600_000;
const NAMES = ['box-1', 'box-2', 'box-3'] as const;
const ENGINE = await findEngine();

type NodeRow = { readonly facts: { readonly node: string }; readonly status: string; readonly incarnation: number };
type InstanceRow = { readonly node: string; readonly state: string };

const folder = temporaryFolder();
const platform = new Platform(folder.make('home'));
let fleet: ContainerFleet | null = null;

const nodes = (): Promise<readonly NodeRow[]> => platform.json('get', 'nodes');
const nodeIs = (name: string, status: string): Promise<readonly NodeRow[]> =>
  eventually(nodes, (rows) => rows.some(({ facts, status: now }) => facts.node === name && now === status), `${name} is ${status}`);
const incarnationOf = (rows: readonly NodeRow[], name: string): number => rows.find(({ facts }) => facts.node === name)?.incarnation ?? 0;
const places = async (): Promise<readonly string[]> =>
  (await platform.json<readonly InstanceRow[]>('get', 'instances'))
    .filter(({ state }) => state === 'running')
    .map(({ node }) => node)
    .toSorted();
const runsOn = (where: readonly string[]): Promise<readonly string[]> =>
  eventually(places, (seen) => seen.join() === where.toSorted().join(), `the work is on ${where.join(' and ')}`);

async function ask(question: string): Promise<void> {
  const answers = platform.follow('subscribe', 'answer');
  await answers.said('Listening');
  await platform.ok('publish', 'ask', question);
  await answers.said(question);
  answers.child.kill('SIGINT');
  await answers.ended;
}

// Left out where no engine answers: there is nothing to run containers.
describe.skipIf(ENGINE === null)('agents in containers (left out where no container engine answers: start dockerd)', () => {
  beforeAll(async () => {
    await platform.up(['--heartbeat', '200ms', '--suspect', '1s', '--lease', '1500ms', '--unavailable', '2s']);
    fleet = await ContainerFleet.create();
  }, WALL_MS);

  afterAll(async () => {
    await fleet?.close();
    await platform.close();
    folder.remove();
  }, WALL_MS);

  it('join, and run what is deployed', { timeout: WALL_MS }, async () => {
    for (const name of NAMES) await fleet!.start(name, platform.told.joinToken);
    const rows = await eventually(nodes, (seen) => seen.filter(({ status }) => status === 'healthy').length === 3, 'all are nodes');
    expect(rows.map(({ facts }) => facts.node).toSorted()).toEqual([...NAMES]);
    await platform.ok('keys', 'create', 'ops');
    await platform.ok('trust', 'add', 'ops');
    await platform.ok('push', (await buildExamples()).get('echo')!.wasmPath, '--name', 'echo', '--sign', 'ops');
    const manifest = join(folder.path, 'app.yaml');
    writeFileSync(
      manifest,
      '- { deploy: echo, origin: containers, replicas: 2, spread: node }\n- { trigger: echo, on: ask, result: answer }\n',
    );
    await platform.ok('apply', manifest, '--running', '60');
    await eventually(places, (seen) => seen.length === 2, 'two instances run');
    await ask('before anything broke.');
  });

  it('lose their work when they are killed, and come back as who they were', { timeout: WALL_MS }, async () => {
    const [victim = '', other = ''] = await places();
    const free = NAMES.find((name) => name !== victim && name !== other)!;
    const before = incarnationOf(await nodes(), victim);
    await fleet!.act(victim, 'kill');
    expect(await fleet!.stateOf(victim)).toBe('exited');
    await runsOn([other, free]);
    await nodeIs(victim, 'unavailable');
    await ask('after a crash.');
    await fleet!.act(victim, 'start');
    expect(incarnationOf(await nodeIs(victim, 'healthy'), victim)).toBeGreaterThan(before);
  });

  it('lose their work when they are frozen, and do not go on with it afterwards', { timeout: WALL_MS }, async () => {
    const [victim = '', other = ''] = await places();
    const free = NAMES.find((name) => name !== victim && name !== other)!;
    await fleet!.act(victim, 'pause');
    expect(await fleet!.stateOf(victim)).toBe('paused');
    await runsOn([other, free]);
    await nodeIs(victim, 'unavailable');
    await ask('while one is frozen.');
    await fleet!.act(victim, 'unpause');
    await nodeIs(victim, 'healthy');
    await runsOn([other, free]);
    await ask('when it is back.');
  });
});
