// The file of a gateway: what it becomes, and every mistake with its line.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readGatewayFile } from '../../../hardware/mqtt/mqtt.ts';
import { Source } from '../../../scenarios/mistakes.ts';

describe('the file of a gateway', () => {
  let folder = '';
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'wasmmatrix-gateway-'));
    writeFileSync(join(folder, 'password'), 'secret\n');
    writeFileSync(join(folder, 'ca.pem'), 'PEM');
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  const read = (text: string, password: string | null = null) =>
    readGatewayFile(new Source('g.yaml', text, { code: 'WM_SETTINGS_INVALID', next: 'Correct it.' }), { folder, password });
  const mistakes = (text: string): readonly string[] => {
    const outcome = read(text);
    return outcome.ok
      ? []
      : outcome.error.message
          .split('\n')
          .slice(1, -1)
          .map((line) => line.trim());
  };
  const ROUTE = 'inbound:\n  - topics: a/#\n';
  const LOCAL = 'gateway: g\nbroker: { url: "mqtt://127.0.0.1:1883" }\n';

  it('becomes what a gateway is made of, with defaults, paths from its own folder, and the password from a file', () => {
    const outcome = read(`
gateway: plant-7
broker:
  url: mqtts://broker.example:8883
  username: gw
  passwordFile: password
  authorityFile: ca.pem
  sessionExpiry: 2d
dataFolder: data
inbound:
  - topics: vehicles/+/brake
    subject: sensors.brake.{1}
outbound:
  - name: alerts
    subjects: alerts.>
    topic: fleet/{1}
    retain: true
`);
    expect(outcome).toEqual({
      ok: true,
      value: {
        name: 'plant-7',
        broker: {
          url: 'mqtts://broker.example:8883',
          clientId: 'wasmmatrix-plant-7',
          username: 'gw',
          password: 'secret',
          authority: 'PEM',
          certificate: null,
          privateKey: null,
          keepAliveS: 30,
          sessionExpiryS: 172_800,
          receiveMaximum: 64,
        },
        inbound: [{ topics: 'vehicles/+/brake', subject: 'sensors.brake.{1}' }],
        outbound: [{ name: 'alerts', subjects: 'alerts.>', topic: 'fleet/{1}', retain: true }],
        receiptsFile: join(folder, 'data', 'receipts'),
      },
    });
  });

  it('tells all mistakes of form together, each with its place', () => {
    expect(
      mistakes(`gateway: Plant 7
broker:
  url: http://broker.example
  keepAlive: 30
  colour: red
inbound:
  - topic: a/#
outbound:
  - name: alerts
    subjects: alerts..x
`),
    ).toEqual([
      `g.yaml:1:10  gateway: found "Plant 7", expected a name of lower-case letters, digits and inner hyphens`,
      `g.yaml:3:8  broker.url: found "http://broker.example", expected mqtts://host:port, or mqtt://host:port for plain text, without user name and password in it`,
      `g.yaml:4:14  broker.keepAlive: found 30, expected a duration such as 30s, 5m, 12h or 7d`,
      `g.yaml:5:3  broker.colour: unknown field 'colour'; expected one of: url, clientId, username, passwordFile, authorityFile, certificateFile, keyFile, keepAlive, sessionExpiry, receiveMaximum, plainText`,
      `g.yaml:7:5  inbound[0].topic: unknown field 'topic'; expected one of: topics, subject`,
      `g.yaml:7:5  inbound[0]: 'topics' is missing`,
      `g.yaml:10:15  outbound[0].subjects: found "alerts..x", expected a filter of subjects such as alerts.> or alerts.*.high`,
    ]);
  });

  it.each([
    ['', 'expected the settings of a gateway: gateway, broker, inbound, outbound'],
    ['gateway: g\n', `'broker' is missing`],
    [LOCAL, 'the gateway has no route: give it at least one under inbound or outbound'],
    [`gateway: g\nbroker: { url: "mqtt://broker.example:1883" }\n${ROUTE}`, 'plain text to another machine'],
    [`gateway: g\nbroker: { url: "mqtts://u:p@broker.example" }\n${ROUTE}`, 'without user name and password in it'],
    [`gateway: g\nbroker: { url: "mqtts://b", passwordFile: nowhere, username: u }\n${ROUTE}`, 'nowhere cannot be read (ENOENT)'],
    [`gateway: g\nbroker: { url: "mqtts://b", passwordFile: password }\n${ROUTE}`, 'a password needs a username'],
    [`gateway: g\nbroker: { url: "mqtts://b", keyFile: ca.pem }\n${ROUTE}`, 'certificateFile and keyFile belong together'],
    [`gateway: g\nbroker: { url: "mqtt://localhost", authorityFile: ca.pem }\n${ROUTE}`, 'is plain text and needs no certificate'],
    [`gateway: g\nbroker: { url: "mqtts://b", keepAlive: 2d }\n${ROUTE}`, 'expected from 1s to 65535s'],
    [`${LOCAL}${ROUTE}  - topics: a/b\n`, `g.yaml:5:5  inbound[1]: The routes 'a/#' and 'a/b' may match the same topic.`],
    [`${LOCAL}outbound: { a: b }\n`, 'expected a list of routes, each after a hyphen'],
    [`${LOCAL}inbound: [a]\n`, 'expected a route with topics, subject'],
    [`${LOCAL}outbound: [{ name: x, subjects: a.b, topic: "x/{1}" }]\n`, `names {1}, but the filter has no wildcard`],
  ])('%j is told as such', (text, expected) => {
    const told = mistakes(text);
    expect(told).toHaveLength(1);
    expect(told[0]).toContain(expected);
  });

  it('may speak plain text to another machine when it says so, and take the password from the environment', () => {
    const outcome = read(`gateway: g\nbroker: { url: "mqtt://b", plainText: true, username: u }\n${ROUTE}`, 'from-environment');
    expect(outcome.ok && outcome.value.broker.password).toBe('from-environment');
  });
});
