// Kill -9 of the gateway and of the broker while messages are under way: nothing that was acknowledged to a device is lost, and
// nothing has its effect twice.
import { spawn, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { MqttClient } from 'mqtt';
import { describe, it, type TestContext } from 'vitest';
import type { GatewayConfig } from '../../../hardware/mqtt/mqtt.ts';
import type { SubjectFilter } from '../../../system/domain/identifiers.ts';
import { HAS_MOSQUITTO, Mosquitto } from '../../support/mqtt/mosquitto.ts';
import { connected, device, gatewayConfig, listen, Platform, startGateway, PATIENCE_MS, until } from '../../support/mqtt/site.ts';

const GATEWAY = fileURLToPath(new URL('./gateway.fixture.ts', import.meta.url));
const KILLS = 6;
const BATCH = 40;
/** Long enough to be in the middle of a batch, and short. */
const KILL_AFTER_MS_MAX = 60;

class GatewayProcess {
  readonly #child: ChildProcess;
  readonly connected: Promise<void>;
  readonly #ended: Promise<void>;

  constructor(platform: Platform, config: GatewayConfig) {
    this.#child = spawn(process.execPath, [GATEWAY, platform.address ?? '', JSON.stringify(config)], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, NODE_NO_WARNINGS: '1' },
    });
    this.connected = new Promise((resolve) => this.#child.stdout?.once('data', () => resolve()));
    this.#ended = new Promise((resolve) => this.#child.once('exit', () => resolve()));
  }

  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#ended;
  }
}

/** Reads until everything that was sent is there, and returns how often each came. */
async function countsOf(platform: Platform, sent: readonly string[]): Promise<Map<string, number>> {
  const counts = new Map<string, number>();
  const missing = new Set(sent);
  while (missing.size > 0) {
    for (const { event } of await platform.read(500)) {
      const text = Buffer.from(event.data).toString();
      counts.set(text, (counts.get(text) ?? 0) + 1);
      missing.delete(text);
    }
  }
  for (const { event } of await platform.read(500)) {
    const text = Buffer.from(event.data).toString();
    counts.set(text, (counts.get(text) ?? 0) + 1);
  }
  return counts;
}

const repeated = (counts: ReadonlyMap<string, number>): readonly string[] =>
  [...counts].filter(([, count]) => count > 1).map(([text]) => text);

// Reason: a machine without Mosquitto cannot try it; CI installs one.
describe.skipIf(!HAS_MOSQUITTO).concurrent('kill -9', () => {
  /** A broker and a platform of its own for each test, which all wait a while for what was lost to come again. */
  const open = async (
    onTestFinished: TestContext['onTestFinished'],
  ): Promise<{ readonly mosquitto: Mosquitto; readonly platform: Platform }> => {
    const mosquitto = new Mosquitto();
    onTestFinished(() => mosquitto.close());
    await mosquitto.start();
    const platform = await Platform.open();
    onTestFinished(() => platform.close());
    return { mosquitto, platform };
  };

  it('of the gateway loses no message and stores none twice, with identifiers of their own or without', async ({
    expect,
    onTestFinished,
  }) => {
    const { mosquitto, platform } = await open(onTestFinished);
    const config = gatewayConfig(mosquitto, { receiptsFile: `${platform.folder}/receipts` });
    const car = await device(mosquitto);
    onTestFinished(() => car.endAsync(true));
    const sent: string[] = [];
    const publish = async (text: string, id: string | null): Promise<void> => {
      const properties = id === null ? {} : { userProperties: { id } };
      await car.publishAsync('vehicles/a/brake', text, { qos: 1, properties });
      sent.push(text);
    };
    for (let round = 0; round < KILLS; round++) {
      const gateway = new GatewayProcess(platform, config);
      onTestFinished(() => gateway.kill());
      await gateway.connected;
      const publishing = Promise.all(
        Array.from({ length: BATCH }, (_, i) => publish(`${round}.${i}`, i % 2 === 0 ? `id-${round}.${i}` : null)),
      );
      await new Promise((resolve) => setTimeout(resolve, Math.random() * KILL_AFTER_MS_MAX));
      await gateway.kill();
      await publishing;
    }
    const last = new GatewayProcess(platform, config);
    onTestFinished(() => last.kill());
    const counts = await countsOf(platform, sent);
    expect(sent).toHaveLength(KILLS * BATCH);
    expect(repeated(counts)).toEqual([]);
  });

  it('of the broker, with its data on disk, loses no message that it had saved, and has none stored twice by identifier', async ({
    expect,
    onTestFinished,
  }) => {
    const { mosquitto, platform } = await open(onTestFinished);
    const { gateway } = await connected(startGateway(platform.bus, gatewayConfig(mosquitto)));
    onTestFinished(() => gateway.stop());
    const sent: string[] = [];
    const publish = async (car: MqttClient, text: string): Promise<void> => {
      await car.publishAsync('vehicles/a/brake', text, { qos: 1, properties: { userProperties: { id: text } } });
      sent.push(text);
    };
    for (let round = 0; round < KILLS; round++) {
      await until(() => gateway.status.state === 'connected');
      const car = await device(mosquitto);
      car.on('error', () => {});
      const names = Array.from({ length: BATCH }, (_, i) => `${round}.${i}`);
      await Promise.all(names.slice(0, BATCH / 2).map((name) => publish(car, name)));
      // What Mosquitto acknowledged is safe when it has written its data, which it does at once, but after the acknowledgement.
      const before = mosquitto.savedAtMs();
      mosquitto.signal('SIGUSR1');
      await until(() => mosquitto.savedAtMs() > before);
      const rest = names.slice(BATCH / 2);
      const unsure = rest.map((name) => publish(car, name).catch(() => {}));
      await mosquitto.kill();
      car.end(true);
      await mosquitto.start();
      // A device that was not answered sends again.
      const again = await device(mosquitto);
      await Promise.all(rest.map((name) => publish(again, name)));
      await again.endAsync();
      void unsure;
    }
    const counts = await countsOf(platform, sent);
    expect(repeated(counts)).toEqual([]);
    expect(counts.size).toBe(KILLS * BATCH);
    expect(gateway.counters.connections).toBeGreaterThan(KILLS);
  });

  it('of the gateway loses no event on its way out, and what comes again has the same identifier', async ({ expect, onTestFinished }) => {
    const { mosquitto, platform } = await open(onTestFinished);
    const config = gatewayConfig(mosquitto, {
      inbound: [],
      outbound: [{ name: 'alerts', subjects: 'alerts.>' as SubjectFilter, topic: null, retain: false }],
    });
    const car = await device(mosquitto);
    onTestFinished(() => car.endAsync(true));
    const heard = await listen(car, 'alerts/#');
    const sent: string[] = [];
    for (let round = 0; round < KILLS; round++) {
      const gateway = new GatewayProcess(platform, config);
      onTestFinished(() => gateway.kill());
      await gateway.connected;
      await until(() => platform.telemetry.of('consumer.created').length > 1);
      await Promise.all(
        Array.from({ length: BATCH }, async (_, i) => {
          sent.push(`${round}.${i}`);
          await platform.publish(`${round}.${i}`, 'alerts.x');
        }),
      );
      await until(() => heard.length > round * BATCH);
      await gateway.kill();
    }
    const last = new GatewayProcess(platform, config);
    onTestFinished(() => last.kill());
    const idsHeard = (): Set<string> => new Set(heard.map(({ properties }) => String(properties?.userProperties?.['id'])));
    // What the last one held is given out again when its time has run out.
    await until(() => idsHeard().size === sent.length, 3 * PATIENCE_MS);
    expect([...idsHeard()].sort()).toEqual([...sent].sort());
    expect(heard.every(({ payload, properties }) => String(payload) === properties?.userProperties?.['id'])).toBe(true);
  });
});
