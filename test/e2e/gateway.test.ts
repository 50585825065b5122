// The gateway as its user meets it: a file, a command, a device on one side and the platform's own commands on the other.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { temporaryFolder, wasmmatrix } from '../support/e2e/command.ts';
import { Platform } from '../support/e2e/platform.ts';
import { HAS_MOSQUITTO, Mosquitto } from '../support/mqtt/mosquitto.ts';
import { device, listen, until } from '../support/mqtt/site.ts';

const WALL_MS = 180_000;

// Reason: a machine without Mosquitto cannot try it; CI installs one.
describe.skipIf(!HAS_MOSQUITTO)('wasmmatrix gateway', () => {
  const folder = temporaryFolder();
  const platform = new Platform(folder.make('home'));
  const mosquitto = new Mosquitto();
  const file = join(folder.path, 'gateway.yaml');

  beforeAll(async () => {
    await mosquitto.start();
    await platform.up([]);
    writeFileSync(
      file,
      `gateway: plant\nbroker: { url: "${mosquitto.url}" }\ndataFolder: data\ninbound:\n  - { topics: vehicles/+/brake, subject: "sensors.brake.{1}" }\noutbound:\n  - { name: alerts, subjects: alerts.> }\n`,
    );
  }, WALL_MS);
  afterAll(async () => {
    await platform.close();
    await mosquitto.close();
    folder.remove();
  });

  test('checks its file, and says what is wrong where', async () => {
    expect(await wasmmatrix(['gateway', '--config', file, '--check'])).toMatchObject({
      code: 0,
      stdout: `${file} is right: 1 inbound and 1 outbound routes.\n`,
    });
    const wrong = join(folder.path, 'wrong.yaml');
    writeFileSync(wrong, 'gateway: plant\nbrokers: {}\n');
    const refused = await wasmmatrix(['gateway', '--config', wrong, '--check']);
    expect(refused.code).toBe(2);
    expect(refused.stderr).toContain(`${wrong}:2:1  brokers: unknown field 'brokers'`);
    const missing = await wasmmatrix(['gateway', '--config', join(folder.path, 'none.yaml')]);
    expect([missing.code, missing.stderr.includes('cannot be read (there is none, ENOENT)')]).toEqual([2, true]);
  });

  test('carries messages of devices in and events out, says how it is, and stops in order', { timeout: WALL_MS }, async () => {
    const gateway = platform.follow('gateway', '--config', file, '--admin', '127.0.0.1:0');
    await gateway.said('The gateway plant is up');
    const address = /http:\/\/(\S+)\/metrics/.exec(gateway.stdout())?.[1] ?? '';
    const listening = platform.follow('subscribe', 'sensors.>', '--count', '1');
    await listening.said('Listening on sensors.>');
    const car = await device(mosquitto);
    const heard = await listen(car, 'alerts/#');
    await car.publishAsync('vehicles/truck-7/brake', '{"v": 7}', { qos: 1, properties: { userProperties: { id: '41' } } });
    const seen = await listening.ended;
    expect(seen.stdout).toContain('sensors.brake.truck-7');
    expect(seen.stdout).toContain('{"v": 7}');

    await platform.ok('publish', 'alerts.brake.truck-7', 'hot', '--id', 'e-1');
    await until(() => heard.length === 1);
    expect(heard[0]).toMatchObject({ topic: 'alerts/brake/truck-7', properties: { userProperties: { id: 'e-1' } } });
    await car.endAsync(true);

    const metrics = await (await fetch(`http://${address}/metrics`)).text();
    expect(metrics).toContain('wasmmatrix_gateway_events_published_total{gateway="plant"} 1');
    expect((await fetch(`http://${address}/readyz`)).status).toBe(200);
    gateway.child.kill('SIGTERM');
    const ended = await gateway.ended;
    expect(ended.code).toBe(0);
    expect(ended.stderr).toContain('Stopping in order');
  });
});
