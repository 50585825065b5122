// Inventories as people write them, and what is said of the mistakes in them.
import { describe, expect, test } from 'vitest';
import { parseInventory } from '../../../hardware/devices/inventory.ts';
import { sshArguments } from '../../../hardware/devices/shell.ts';

const GOOD = `devices:
  - name: bench-1
    host: 192.168.7.20
    user: pi
    key: keys/bench
    architecture: aarch64
    zone: edge/bench
    settings: { memory: 256MiB, isa: armv8-a }
  - { name: bench-2, host: "fe80::2", port: 2222, user: pi, architecture: riscv64, zone: edge, folder: lab/w, node: /opt/node }
`;

function mistakesIn(text: string): readonly string[] {
  const parsed = parseInventory('lab/devices.yaml', text);
  if (parsed.ok) return [];
  expect(parsed.error.code).toBe('WM_INVENTORY_INVALID');
  return parsed.error.message
    .trim()
    .split('\n')
    .slice(1)
    .map((line) => line.trim().replace('lab/devices.yaml:', ''));
}

describe('an inventory', () => {
  test('says where devices are and what nodes they are to be', () => {
    const parsed = parseInventory('/lab/devices.yaml', GOOD);
    expect(parsed.ok ? parsed.value : parsed.error).toMatchObject([
      {
        name: 'bench-1',
        port: 22,
        key: '/lab/keys/bench',
        knownHosts: null,
        folder: 'wasmmatrix',
        node: null,
        flags: ['--memory=256MiB', '--isa=armv8-a'],
      },
      { name: 'bench-2', host: 'fe80::2', port: 2222, key: null, folder: 'lab/w', node: '/opt/node', flags: [] },
    ]);
  });

  test('has its mistakes told at once, each with its line', () => {
    expect(mistakesIn(GOOD.replace('pi\n', 'pi; rm\n').replace('aarch64', 'arm').replace('port: 2222', 'port: 0, ports: 1'))).toEqual([
      '4:5  user: found "pi; rm", expected the name of a user',
      '6:5  architecture: found "arm", expected one of x86_64, aarch64, riscv64',
      '9:48  ports: no such field; there are name, host, port, user, key, knownHosts, architecture, zone, folder, node, engine, settings',
      '9:39  port: found 0, expected a port',
    ]);
    expect(mistakesIn(GOOD.replace('bench-2', 'bench-1'))).toEqual(["9:5  name: a second device is called 'bench-1'"]);
    expect(mistakesIn(GOOD.replace('isa: armv8-a', 'isa: fast, name: x, data: /x'))).toEqual([
      '8:5  settings: isa has "fast", expected one of auto, x86-64, x86-64-v2, x86-64-v3, armv8-a, armv8.1-a, rv64gc, rv64gcb, rv64gcbv',
      '8:5  settings: name cannot be set here',
      '8:5  settings: data cannot be set here',
    ]);
    expect(mistakesIn('devices: [ x, { name: a } ]')[0]).toBe('1:12  expected a device with name, host, user, architecture and zone');
    for (const text of ['', 'devices: []', 'nodes: 1', '[]'])
      expect(mistakesIn(text)).toEqual(["1:1  expected 'devices', a list of 1 to 256"]);
    expect(mistakesIn('devices: [')[0]).toContain('not valid YAML');
  });

  test('has hosts, users and folders that no shell and no option could be made of', () => {
    for (const [from, to] of [
      ['192.168.7.20', '"-oProxyCommand=x"'],
      ['192.168.7.20', '"a b"'],
      ['user: pi\n    key', 'user: "-l"\n    key'],
      ['folder: lab/w', 'folder: "/"'],
      ['folder: lab/w', 'folder: ".."'],
      ['folder: lab/w', 'folder: "a\\nb"'],
    ] as const)
      expect(mistakesIn(GOOD.replace(from, to)), to).toHaveLength(1);
  });
});

test('what a device is told is quoted for its shell, and nothing of it is a command', () => {
  const parsed = parseInventory('/lab/devices.yaml', GOOD);
  const [device] = parsed.ok ? parsed.value : [];
  const args = sshArguments(device!, 'echo "$1"', ["it's; $(reboot)", '`x` "y"']);
  expect(args.at(-2)).toBe('192.168.7.20');
  expect(args.at(-1)).toBe(`sh -c 'echo "$1"' sh 'it'\\''s; $(reboot)' '\`x\` "y"'`);
  expect(args).toEqual(expect.arrayContaining(['BatchMode=yes', 'StrictHostKeyChecking=yes', 'IdentityFile="/lab/keys/bench"']));
});
