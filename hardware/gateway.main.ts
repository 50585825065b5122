// The verb `gateway`: carries messages between an MQTT broker and the platform, in the foreground, until it is asked to stop. It is
// a user of the platform like any other, with a context and the rights of an operator. A composition root.
import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import process from 'node:process';
import { Option, type Command } from 'commander';
import { Source } from '../scenarios/mistakes.ts';
import { describeError, rejected, type Outcome } from '../system/domain/outcome.ts';
import { whyOf } from '../system/domain/why.ts';
import { SystemClock } from './clock/clock.ts';
import { CONTROLLER, refuse } from './compose.main.ts';
import { createMqttGateway, exposition, readGatewayFile, type GatewayConfig, type MqttGateway } from './mqtt/mqtt.ts';
import { IdentityKeeper, renewThrough, saveIdentity } from './network/network.ts';
import { openOperator, type Operator } from './operator/operator.ts';
import { watchSignals } from './process/process.ts';
import { SystemRandom } from './random/random.ts';
import { openTelemetry, serveAdmin, type ProcessTelemetry } from './telemetry/telemetry.ts';

const ADMIN = '127.0.0.1:7441';
const PASSWORD_VARIABLE = 'WASMMATRIX_MQTT_PASSWORD';

type GatewayOptions = {
  readonly config: string;
  readonly context?: string;
  readonly admin: string;
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error';
  readonly logFormat: 'auto' | 'json' | 'text';
  readonly check?: true;
};

export function addGateway(program: Command): void {
  program
    .command('gateway')
    .summary('carry messages between an MQTT 5 broker and the platform')
    .description(
      'Carries messages of devices from an MQTT 5 broker into the platform, and events to the broker, at least once both ways, and stays in the foreground. docs/howto/mqtt.md describes the file. Ctrl-C stops in order: what is in flight is acknowledged first, and the broker keeps the rest.',
    )
    .requiredOption('--config <file>', `broker and routes, as YAML; the password may stand in ${PASSWORD_VARIABLE}`)
    .option('--context <file>', 'whom to speak to as whom (default: WASMMATRIX_CONTEXT, the last login, or the controller of this machine)')
    .option('--admin <address>', 'where /metrics, /healthz and /readyz are served; port 0 takes a free one', ADMIN)
    .addOption(
      new Option('--log-level <level>', 'least level of the lines in the log').choices(['debug', 'info', 'warn', 'error']).default('info'),
    )
    .addOption(
      new Option('--log-format <format>', 'auto is text on a terminal and JSON elsewhere')
        .choices(['auto', 'json', 'text'])
        .default('auto'),
    )
    .option('--check', 'check the file and end')
    .action(async (options: GatewayOptions) => {
      process.exitCode = await run(options);
    });
}

async function run(options: GatewayOptions): Promise<number> {
  const config = readConfig(options.config);
  if (!config.ok) return refuse(config.error);
  if (options.check === true) {
    process.stdout.write(
      `${options.config} is right: ${config.value.inbound.length} inbound and ${config.value.outbound.length} outbound routes.\n`,
    );
    return 0;
  }
  const telemetry = openTelemetry({
    source: `gateway-${config.value.name}`,
    incarnation: 1,
    role: 'agent',
    log: { level: options.logLevel, format: options.logFormat, path: null },
    records: null,
  });
  if (!telemetry.ok) return refuse(telemetry.error);
  try {
    return await serve(config.value, options, telemetry.value);
  } finally {
    await telemetry.value.close();
  }
}

async function serve(config: GatewayConfig, options: GatewayOptions, telemetry: ProcessTelemetry): Promise<number> {
  const ending = watchSignals(() => process.stderr.write('Ended at once, as asked.\n'));
  const operator = await openOperator({
    context: options.context ?? null,
    environment: process.env,
    onTrouble: (error) => telemetry.log('warn', describeError(error)),
  });
  if (!operator.ok) return refuse(operator.error);
  const clock = new SystemClock();
  const random = new SystemRandom();
  const keeper = keepIdentity(operator.value, { clock, random, telemetry });
  const gateway = createMqttGateway({ bus: operator.value.bus, clock, random, telemetry }, config);
  const started = gateway.start();
  const admin = started.ok
    ? await serveAdmin({
        address: options.admin,
        metrics: async () => exposition(config.name, gateway.counters, gateway.status),
        ready: () => partsOf(gateway),
      })
    : started;
  if (admin.ok) {
    process.stdout.write(`The gateway ${config.name} is up; its metrics are at http://${admin.value.address}/metrics. Ctrl-C stops it.\n`);
    await Promise.race([ending.asked, gateway.ended]);
    process.stderr.write('Stopping in order. Once more ends the gateway at once.\n');
    await admin.value.close();
  }
  await gateway.stop();
  keeper.stop();
  await operator.value.close();
  ending.forget();
  if (!admin.ok) return refuse(admin.error);
  const error = await gateway.ended;
  return error === null ? 0 : refuse(error);
}

function partsOf({ status }: MqttGateway): readonly { readonly part: string; readonly ready: boolean; readonly why: string }[] {
  return [
    { part: 'broker', ready: status.state === 'connected', why: status.cause ?? 'connected' },
    { part: 'bus', ready: status.held === null, why: status.held ?? 'takes events' },
  ];
}

/** Certificates last a day: a gateway that runs for longer renews its own, and keeps it where the context is. */
function keepIdentity(
  { context, network, file }: Operator,
  { clock, random, telemetry }: { readonly clock: SystemClock; readonly random: SystemRandom; readonly telemetry: ProcessTelemetry },
): IdentityKeeper {
  const keeper = new IdentityKeeper({
    kept: context,
    clock,
    random: random.stream('renewal'),
    renew: renewThrough(network, CONTROLLER, []),
    save: (kept) => saveIdentity(file, kept),
    onRenewed: (kept) => network.renew(kept.identity),
    onTrouble: (error) => telemetry.log('warn', describeError(error)),
    onEnded: (error) => telemetry.log('error', describeError(error)),
  });
  keeper.start();
  return keeper;
}

function readConfig(named: string): Outcome<GatewayConfig> {
  const path = resolve(named);
  try {
    const source = new Source(named, readFileSync(path, 'utf8'), {
      code: 'WM_SETTINGS_INVALID',
      next: 'Correct the file; docs/howto/mqtt.md describes every field.',
    });
    const config = readGatewayFile(source, { folder: dirname(path), password: process.env[PASSWORD_VARIABLE] ?? null });
    return config;
  } catch (error) {
    const why = whyOf(error);
    return rejected('WM_ARGUMENT', {
      message: `The configuration ${named} cannot be read (${why}).`,
      next: 'Name a file that you may read.',
    });
  }
}
