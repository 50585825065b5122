// What the files of hardware/deploy set is what the product takes, and they agree with one another about ports and times.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readGatewayFile } from '../../../hardware/mqtt/mqtt.ts';
import { variableOf } from '../../../hardware/process/process.ts';
import { Source } from '../../../scenarios/mistakes.ts';
import { describeError } from '../../../system/domain/outcome.ts';
import { at, DEPLOY, deployFiles, documentsOf, list, PORTS, settingsOf, tableOf, textOf } from '../../support/deploy/files.ts';

type Role = 'controller' | 'agent';
/** What a process does before and after draining; the product's own bound. */
const STOP_SLACK_MS = 5_000;

/** Each file of settings, wherever it stands. */
const SETTINGS: readonly { readonly name: string; readonly role: Role; readonly text: string }[] = [
  ...deployFiles()
    .filter((name) => /^(?:profiles|container)\/(?:controller|agent).*\.yaml$/.test(name))
    .map((name) => ({ name, role: name.includes('controller') ? ('controller' as const) : ('agent' as const), text: textOf(name) })),
  ...(['controller', 'agent'] as const).map((role) => ({
    name: `kubernetes/${role}.yaml`,
    role,
    text: String(
      at(
        documentsOf(`kubernetes/${role}.yaml`).find(({ kind }) => kind === 'ConfigMap'),
        'data',
        `${role}.yaml`,
      ),
    ),
  })),
];

const portOf = (address: unknown): number => Number(String(address).split(':').at(-1));

describe('settings in deploy files', () => {
  it('are there for edge, vehicle and cloud', () => {
    const profiles = SETTINGS.map(({ name }) => name).filter((name) => name.startsWith('profiles/'));
    expect(profiles).toEqual(
      ['agent-cloud', 'agent-edge', 'agent-vehicle', 'controller-cloud', 'controller-edge', 'controller-vehicle'].map(
        (name) => `profiles/${name}.yaml`,
      ),
    );
  });

  it.each(SETTINGS)('$name is what a $role takes, on the ports that all files mean', ({ name, role, text }) => {
    const resolved = settingsOf(role, name, text);
    expect(resolved.ok ? '' : describeError(resolved.error)).toBe('');
    if (!resolved.ok) return;
    const { values } = resolved.value;
    expect(portOf(values['listen'])).toBe(PORTS[role]);
    expect(portOf(values['admin'])).toBe(role === 'controller' ? PORTS.controllerAdmin : PORTS.agentAdmin);
    expect(values['log.format']).toBe('json');
  });

  it.each(SETTINGS.filter(({ role }) => role === 'controller'))('$name has times that follow each other', ({ name, role, text }) => {
    const resolved = settingsOf(role, name, text);
    const ms = (setting: string): number => Number(resolved.ok && resolved.value.values[setting]);
    expect(ms('heartbeat')).toBeLessThan(ms('suspect'));
    expect(ms('suspect')).toBeLessThan(ms('unavailable'));
    expect(ms('heartbeat')).toBeLessThan(ms('lease'));
    expect(ms('lease')).toBeLessThan(ms('unavailable'));
  });

  it('mean the default ports of the controller and of the gateway', () => {
    const { listen, admin } = tableOf('controller');
    expect([portOf(listen?.fallback), portOf(admin?.fallback)]).toEqual([PORTS.controller, PORTS.controllerAdmin]);
    expect(readFileSync(join(DEPLOY, '..', 'gateway.main.ts'), 'utf8')).toContain(`'127.0.0.1:${PORTS.gatewayAdmin}'`);
  });

  it('name no port of ours that nobody has', () => {
    const known: readonly number[] = Object.values(PORTS);
    const odd = deployFiles().flatMap((name) =>
      [...textOf(name).matchAll(/(?<![\d.])74\d\d(?!\d)/g)]
        .filter(([port]) => !known.includes(Number(port)))
        .map(([port]) => `${name}: ${port}`),
    );
    expect(odd).toEqual([]);
  });

  it('leave a process more time to stop than it takes to drain', () => {
    const drainMsMax = (role: Role): number =>
      Math.max(
        ...SETTINGS.filter((file) => file.role === role).map(({ name, text }) => {
          const resolved = settingsOf(role, name, text);
          return Number(resolved.ok && resolved.value.values['drain']);
        }),
      );
    for (const role of ['controller', 'agent'] as const) {
      const needed = drainMsMax(role) + STOP_SLACK_MS;
      expect(Number(/^TimeoutStopSec=(\d+)s$/m.exec(textOf(`systemd/wasmmatrix-${role}.service`))?.[1]) * 1_000).toBeGreaterThanOrEqual(
        needed,
      );
      const workload = documentsOf(`kubernetes/${role}.yaml`).find(({ kind }) => kind === 'StatefulSet' || kind === 'DaemonSet');
      expect(Number(at(workload, 'spec', 'template', 'spec', 'terminationGracePeriodSeconds')) * 1_000).toBeGreaterThan(
        20_000 + STOP_SLACK_MS,
      );
    }
    expect(at(documentsOf('compose/compose.yaml')[0], 'services', 'controller', 'stop_grace_period')).toBe('20s');
  });

  it('name only variables that the product reads', () => {
    const known = [
      ...Object.keys(tableOf('controller')).map(variableOf),
      ...Object.keys(tableOf('agent')).map(variableOf),
      'WASMMATRIX_ENGINE',
      'WASMMATRIX_CONTEXT',
      'WASMMATRIX_MQTT_PASSWORD',
    ];
    const odd = deployFiles().flatMap((name) =>
      [...textOf(name).matchAll(/WASMMATRIX_\w+/g)]
        .filter(([variable]) => !known.includes(variable))
        .map(([variable]) => `${name}: ${variable}`),
    );
    expect(odd).toEqual([]);
  });

  it('of a gateway are what it takes', () => {
    const read = readGatewayFile(new Source('gateway.yaml', textOf('profiles/gateway.yaml')), { folder: DEPLOY, password: 'p' });
    expect(read.ok ? '' : describeError(read.error)).toBe('');
  });

  it('never let the join token that a process prints into a log', () => {
    for (const unit of deployFiles().filter((name) => name.endsWith('.service'))) expect(textOf(unit)).toMatch(/^StandardOutput=null$/m);
    const starts = [...textOf('container/Containerfile').matchAll(/^ENTRYPOINT (.*)$/gm)].map(([, start = '']) => start);
    expect(starts).toHaveLength(3);
    for (const start of starts) expect(list(JSON.parse(start)).at(-1)).toMatch(/^exec node cli\.ts (?:up|agent|gateway) .*>\/dev\/null$/);
  });
});
