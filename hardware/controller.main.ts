// A controller on real ports: store, keys, certificates, network, engine, telemetry, in the order in which they need each other,
// and ended in the reverse order. A composition root: it decides nothing that the product should decide.
// Everything that must survive is in one folder: `store/` (journal, modules, events, state), `keys/`, `operator.json`.
import { join } from 'node:path';
import process from 'node:process';
import { createController, DEFAULT_CONFIG, type Controller } from '../system/controller/controller.ts';
import { describeError, ok, type Err, type Outcome } from '../system/domain/outcome.ts';
import type { Network } from '../system/ports/network.ts';
import { SystemClock } from './clock/clock.ts';
import { acceptsName, advertisedOf, CONTROLLER, hostsOf } from './compose.main.ts';
import { openControllerBus } from './buses.main.ts';
import { FileKeys } from './keys/keys.ts';
import {
  Authority,
  createGrpcNetwork,
  keepaliveOf,
  IdentityKeeper,
  createIdentityKey,
  Enrolment,
  saveIdentity,
  withEnrolment,
  type KeptIdentity,
} from './network/network.ts';
import { countStart } from './process/starts.ts';
import type { Resolved } from './process/process.ts';
import { SystemRandom } from './random/random.ts';
import { openControllerStore } from './store.main.ts';
import { openTelemetry, serveAdmin } from './telemetry/telemetry.ts';
import type { EngineAddon } from './wasm/native/native.ts';
import { createControllerWasm } from './wasm/node-engine.ts';

/** The local operator's context is written again before its certificate ends. */
const CONTEXT_EVERY_MS = 8 * 3_600_000;
const LOCAL_OPERATOR = 'operator/local';

export type ControllerProcess = {
  readonly address: string;
  readonly addresses: readonly string[];
  readonly admin: string;
  readonly joinToken: string;
  readonly operatorToken: string;
  /** File with which this user commands it. */
  readonly context: string;
  /** Why it ended. */
  readonly ended: Promise<string>;
  /** In order: whoever is connected hears it, what was accepted is finished. Bound: the setting `drain`. */
  stop(): Promise<void>;
};

type Cleanup = () => Promise<void> | void;

/** `asked`: to stop. Whoever waits for the lead then does not wait any more (WM_CANCELLED). */
export async function startController(
  settings: Resolved['values'],
  addon: EngineAddon,
  asked: Promise<unknown>,
): Promise<Outcome<ControllerProcess>> {
  const cleanups: Cleanup[] = [];
  const undo = async (): Promise<void> => {
    for (const cleanup of cleanups.reverse()) await cleanup();
  };
  const fail = async (error: Err): Promise<Err> => {
    await undo();
    return error;
  };
  const text = (name: string): string => String(settings[name]);
  const number = (name: string): number => Number(settings[name]);
  const data = text('data');

  let controller: Controller | null = null;
  // While it waits for the lead it has no log yet.
  let speak = (sentence: string): void => void process.stderr.write(`${sentence}\n`);
  const clock = new SystemClock();
  const random = new SystemRandom();
  const listen = text('listen');
  const advertise = settings['advertise'] as readonly string[] | null;
  const advertised = advertisedOf(advertise, listen, 'The controller');
  if (!advertised.ok) return advertised;
  // A standby is alive, and is not ready.
  let waitsFor: string | null = 'It starts.';
  let metrics = (): Promise<string> => Promise.resolve('');
  const admin = await serveAdmin({
    address: text('admin'),
    metrics: () => metrics(),
    ready: () => [{ part: 'controller', ready: waitsFor === null, why: waitsFor ?? '' }],
  });
  if (!admin.ok) return admin;
  cleanups.push(() => admin.value.close());
  const store = await openControllerStore(settings, {
    ports: { clock, random },
    folder: data,
    listen,
    asked,
    say: (sentence) => speak(sentence),
    onStandby: (sentence) => {
      waitsFor = sentence;
      speak(sentence);
    },
  });
  if (!store.ok) return fail(store);
  cleanups.push(() => store.value.close());
  const { storage, lost } = store.value;
  const start = await countStart(storage);
  if (!start.ok) return fail(start);

  const telemetry = openTelemetry({
    source: 'controller',
    incarnation: start.value,
    role: 'controller',
    log: { level: text('log.level') as 'info', format: text('log.format') as 'json', path: null },
    records: settings['log.records'] === null ? null : { path: text('log.records') },
    census: () => controller?.census() ?? null,
  });
  if (!telemetry.ok) return fail(telemetry);
  cleanups.push(() => telemetry.value.close());
  const say = (sentence: string): void => telemetry.value.log('warn', sentence);
  speak = say;
  metrics = () => telemetry.value.metrics();

  const bus = await openControllerBus(settings, { clock, random, telemetry: telemetry.value });
  if (!bus.ok) return fail(bus);
  cleanups.push(() => bus.value.close());

  const keys = new FileKeys(String(settings['keys'] ?? join(data, 'keys')));
  const authority = await Authority.open({ keys, keyName: 'authority', civilMs: () => clock.civilMs() });
  if (!authority.ok) return fail(authority);
  let addresses: readonly string[] = [];
  let expel: () => void = () => {};
  const enrolment = await Enrolment.open({
    authority: authority.value,
    keys,
    store: storage.keyValue('enrolment'),
    civilMs: () => clock.civilMs(),
    addresses: () => addresses,
    bus: bus.value.settings,
    onRefused: say,
    onRevoked: () => expel(),
  });
  if (!enrolment.ok) return fail(enrolment);

  const hosts = hostsOf(advertised.value);
  const key = createIdentityKey();
  const own = await enrolment.value.issueOwn({ name: 'controller', publicKey: key.publicKey, hosts });
  if (!own.ok) return fail(own);
  const { certificate, authorities, notAfterMs, renewAtMs } = own.value;
  const kept: KeptIdentity = {
    name: 'controller',
    identity: { certificate, privateKey: key.privateKey, authorities },
    addresses: [],
    notAfterMs,
    renewAtMs,
    bus: null,
  };
  const network = createGrpcNetwork({
    addresses: () => null,
    listen: () => listen,
    identity: kept.identity,
    accepts: acceptsName,
    revoked: (serial) => enrolment.value.revoked(serial),
    keepalive: keepaliveOf(number('keepalive')),
    onRefused: say,
  });
  expel = () => network.expel();
  cleanups.push(() => network.close());
  const keeper = new IdentityKeeper({
    kept,
    clock,
    random: random.stream('identity'),
    renew: (publicKey) => enrolment.value.issueOwn({ name: 'controller', publicKey, hosts }),
    onRenewed: (renewed) => network.renew(renewed.identity),
    onTrouble: (error) => say(describeError(error)),
    onEnded: (error) => say(describeError(error)),
  });
  keeper.start();
  cleanups.push(() => keeper.stop());

  const guarded: Network = {
    connect: network.connect,
    listen: (endpoint, handler) => network.listen(endpoint, withEnrolment(handler, enrolment.value)),
  };
  const leading = createController(
    {
      clock,
      random,
      network: guarded,
      storage,
      wasm: createControllerWasm(addon, clock),
      keys,
      telemetry: telemetry.value,
    },
    {
      ...DEFAULT_CONFIG,
      endpoint: CONTROLLER,
      heartbeatIntervalMs: number('heartbeat'),
      suspectAfterMs: number('suspect'),
      unavailableAfterMs: number('unavailable'),
      leaseMs: number('lease'),
      queueEventsMax: number('queue'),
      restored: settings['restored'] === true,
    },
    bus.value.broker === null ? {} : { broker: bus.value.broker },
  );
  controller = leading;
  const started = await leading.start();
  cleanups.push(() => leading.stop());
  if (!started.ok) return fail(started);
  const address = network.addressOf(CONTROLLER) ?? listen;
  addresses = advertise ?? [address];

  const over = Promise.race([leading.ended, lost]);
  waitsFor = null;
  void over.then((cause) => (waitsFor = `It has ended: ${cause}`));

  const context = join(data, 'operator.json');
  const writeContext = async (): Promise<Outcome<void>> => {
    const operator = createIdentityKey();
    const issued = await enrolment.value.issueOwn({ name: LOCAL_OPERATOR, publicKey: operator.publicKey, hosts: [] });
    if (!issued.ok) return issued;
    return saveIdentity(context, {
      name: LOCAL_OPERATOR,
      identity: { certificate: issued.value.certificate, privateKey: operator.privateKey, authorities: issued.value.authorities },
      addresses,
      notAfterMs: issued.value.notAfterMs,
      renewAtMs: issued.value.renewAtMs,
      bus: null,
    });
  };
  const written = await writeContext();
  if (!written.ok) return fail(written);
  const rewriting = setInterval(() => {
    void writeContext().then((again) => {
      if (!again.ok) say(describeError(again.error));
    });
  }, CONTEXT_EVERY_MS);
  rewriting.unref();
  cleanups.push(() => clearInterval(rewriting));

  const joinToken = await enrolment.value.joinToken('node');
  const operatorToken = joinToken.ok ? await enrolment.value.joinToken('operator') : joinToken;
  if (!joinToken.ok || !operatorToken.ok) return fail((joinToken.ok ? operatorToken : joinToken) as Err);

  return ok({
    address,
    addresses,
    admin: admin.value.address,
    joinToken: joinToken.value,
    operatorToken: operatorToken.value,
    context,
    ended: over,
    stop: undo,
  });
}
