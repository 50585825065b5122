// The platform as its user meets it on one machine: start it, add nodes, sign and push a module, deploy, publish, see the result;
// then the worst days: an agent is killed, the controller is killed, an upgrade is taken back.
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buildExamples } from '../../scenarios/examples/build.ts';
import { temporaryFolder } from '../support/e2e/command.ts';
import { eventually, Platform } from '../support/e2e/platform.ts';

const WALL_MS = 180_000;

type InstanceRow = { readonly id: string; readonly state: string; readonly node: string | null; readonly version: number };
type NodeRow = { readonly facts: { readonly node: string }; readonly status: string };
type DeploymentRow = { readonly spec: { readonly name: string; readonly replicas: number }; readonly version: number };

const folder = temporaryFolder();
const platform = new Platform(folder.make('home'));
const MODULE = join(folder.path, 'brake.wasm');
const MANIFEST = join(folder.path, 'app.yaml');

const instances = (): Promise<readonly InstanceRow[]> => platform.json('get', 'instances');
const running = (rows: readonly InstanceRow[]): readonly InstanceRow[] => rows.filter(({ state }) => state === 'running');

/** The same module, with other bytes: a custom section at the end. */
function variantOf(bytes: Uint8Array, text: string): Uint8Array {
  const name = new TextEncoder().encode(text);
  return new Uint8Array([...bytes, 0, name.length + 1, name.length, ...name]);
}

async function publishAndSee(v: number): Promise<string> {
  const listening = platform.follow('subscribe', 'alerts.>', '--count', '1');
  await listening.said('Listening on alerts.>');
  await platform.ok('publish', 'sensors.brake', `{"v": ${v}, "a": -9, "id": ${v}}`);
  const ended = await listening.ended;
  expect(ended.code).toBe(0);
  return ended.stdout;
}

beforeAll(async () => {
  const example = (await buildExamples()).get('brake-alert');
  copyFileSync(example!.wasmPath, MODULE);
  writeFileSync(
    MANIFEST,
    '- { deploy: brake, origin: local, replicas: 2, spread: node }\n- { trigger: brake, on: sensors.brake, result: alerts.results }\n',
  );
  await platform.up(['--heartbeat', '200ms', '--suspect', '1s', '--lease', '1500ms', '--unavailable', '2s']);
}, WALL_MS);

afterAll(async () => {
  await platform.close();
  folder.remove();
});

describe('a platform on one machine', () => {
  test('takes nodes by join token, several on one machine', { timeout: WALL_MS }, async () => {
    await Promise.all(['one', 'two'].map((name) => platform.agent(name, ['--memory', '512MiB', '--cores', '1'])));
    const nodes = await eventually(
      () => platform.json<readonly NodeRow[]>('get', 'nodes'),
      (rows) => rows.length === 2 && rows.every(({ status }) => status === 'healthy'),
      'both nodes are healthy',
    );
    expect(nodes.map(({ facts }) => facts.node).sort()).toEqual(['one', 'two']);
    expect(await platform.ok('get', 'nodes')).toMatch(/NODE +STATUS +ARCH[^\n]*\none +healthy/);
  });

  test('runs a signed module where events come', { timeout: WALL_MS }, async () => {
    expect(await platform.ok('keys', 'create', 'ops')).toMatch(/key ops made: ed25519:/);
    await platform.ok('trust', 'add', 'ops', '--grant', 'publish:alerts.>');
    expect(await platform.ok('push', MODULE, '--name', 'brake', '--sign', 'ops', '--capability', 'publish:alerts.brake')).toMatch(
      /module brake is stored as version 1/,
    );
    const plan = await platform.run('plan', MANIFEST);
    expect(plan.code).toBe(1);
    expect(plan.stdout).toMatch(/\+ deployment brake: create, version 1/);
    expect(plan.stdout).toMatch(/brake\/0 {2}create\n +on (one|two), score/);
    expect(await platform.ok('apply', MANIFEST, '--running', '60')).toMatch(
      /deployment brake created\ntrigger brake created\nevery instance runs/,
    );
    expect((await platform.run('plan', MANIFEST)).code).toBe(0);
    expect(await platform.ok('apply', MANIFEST)).toMatch(/deployment brake unchanged\ntrigger brake unchanged/);
    expect(await publishAndSee(21)).toMatch(/alerts\./);
  });

  test('moves the work of an agent that is killed, and takes the node back', { timeout: WALL_MS }, async () => {
    await platform.ok('scale', 'brake', '1');
    const [left] = await eventually(instances, (rows) => running(rows).length === 1, 'one instance runs');
    const victim = left!.node!;
    const watching = platform.follow('get', 'instances', '-w');
    await watching.said(`${victim} `);
    await platform.kill(platform.agentProcess(victim), 'SIGKILL');
    await eventually(instances, (rows) => running(rows).some(({ node }) => node !== victim), 'the instance runs elsewhere');
    expect(await publishAndSee(22)).toMatch(/alerts\./);
    await watching.said(victim === 'one' ? 'two ' : 'one ');
    watching.child.kill('SIGINT');
    expect((await watching.ended).code).toBe(0);
    await platform.agent(victim, ['--memory', '512MiB', '--cores', '1']);
    await eventually(
      () => platform.json<readonly NodeRow[]>('get', 'nodes'),
      (rows) => rows.every(({ status }) => status === 'healthy'),
      'the node is back',
    );
  });

  test('loses nothing when the controller is killed', { timeout: WALL_MS }, async () => {
    const before = await platform.json<readonly DeploymentRow[]>('get', 'deployments');
    await platform.kill(platform.controllerProcess(), 'SIGKILL');
    await platform.up(['--heartbeat', '200ms', '--suspect', '1s', '--lease', '1500ms', '--unavailable', '2s']);
    expect((await platform.json<readonly DeploymentRow[]>('get', 'deployments')).map(({ spec, version }) => ({ spec, version }))).toEqual(
      before.map(({ spec, version }) => ({ spec, version })),
    );
    await eventually(instances, (rows) => running(rows).length === 1, 'the instance still runs');
    expect(await publishAndSee(23)).toMatch(/alerts\./);
  });

  test('upgrades a module and rolls it back', { timeout: WALL_MS }, async () => {
    writeFileSync(MODULE, variantOf(readFileSync(MODULE), 'second'));
    expect(await platform.ok('push', MODULE, '--name', 'brake', '--sign', 'ops', '--capability', 'publish:alerts.brake')).toMatch(
      /version 2/,
    );
    await platform.ok('apply', MANIFEST, '--running', '60');
    await eventually(
      instances,
      (rows) => running(rows).every(({ version }) => version === 2) && running(rows).length === 2,
      'version 2 runs',
    );
    expect(await platform.ok('rollback', 'brake', '1')).toMatch(/deployment brake rolled back to version 1/);
    await eventually(
      instances,
      (rows) => running(rows).every(({ version }) => version === 1) && running(rows).length === 2,
      'version 1 runs again',
    );
    expect(await publishAndSee(24)).toMatch(/alerts\./);
  });

  test('gives away the work of a node that drains, and may use it again', { timeout: WALL_MS }, async () => {
    await platform.ok('scale', 'brake', '1');
    const [left] = await eventually(instances, (rows) => running(rows).length === 1, 'one instance runs');
    expect(await platform.ok('drain', left!.node!)).toMatch(/drains/);
    await eventually(instances, (rows) => running(rows).some(({ node }) => node !== left!.node), 'it runs elsewhere');
    await platform.ok('undrain', left!.node!);
    await eventually(
      () => platform.json<readonly NodeRow[]>('get', 'nodes'),
      (rows) => rows.every(({ status }) => status === 'healthy'),
      'the node takes work again',
    );
  });

  test('tells what guests log and how they fail, wherever they run', { timeout: WALL_MS }, async () => {
    const example = (await buildExamples()).get('trap');
    const module = join(folder.path, 'trap.wasm');
    const manifest = join(folder.path, 'trap.yaml');
    copyFileSync(example!.wasmPath, module);
    writeFileSync(manifest, '- { deploy: trap, origin: local }\n- { trigger: trap, on: booms.>, deliveries: 1 }\n');
    await platform.ok('push', module, '--sign', 'ops');
    await platform.ok('apply', manifest, '--running', '60');
    const following = platform.follow('logs', 'trap', '-f');
    await platform.ok('publish', 'booms.one', 'trap', '--id', 'boom-1');
    await following.said('boom-1');
    following.child.kill('SIGINT');
    expect((await following.ended).stdout).toMatch(/trap\/0@1 (one|two) boom-1: .*WM_GUEST_/);
    expect((await platform.run('logs', 'nothing')).stderr).toMatch(/WM_DEPLOYMENT_UNKNOWN/);
    await platform.ok('delete', 'deployment', 'trap');
  });

  test('shows what happened, and what it measures', { timeout: WALL_MS }, async () => {
    expect(await platform.ok('get', 'events')).toMatch(/node\.status/);
    const metrics = await (await fetch(`http://${platform.told.admin}/metrics`)).text();
    expect(metrics).toMatch(/wasmmatrix_nodes\{status="healthy"\} 2/);
    expect((await fetch(`http://${platform.told.admin}/readyz`)).status).toBe(200);
  });

  test('stops in order when asked', { timeout: WALL_MS }, async () => {
    for (const name of ['one', 'two']) expect((await platform.kill(platform.agentProcess(name), 'SIGTERM')).code).toBe(0);
    const ended = await platform.kill(platform.controllerProcess(), 'SIGTERM');
    expect(ended.code).toBe(0);
    expect(ended.stderr).toMatch(/Stopping in order/);
  });
});
