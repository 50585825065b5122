// A gateway as a process of its own: its configuration comes as an argument, and it says when it is connected. It stops when it
// is told to, and is killed otherwise.
import { SystemClock } from '../../../hardware/clock/clock.ts';
import { createMqttGateway, type GatewayConfig } from '../../../hardware/mqtt/mqtt.ts';
import { SystemRandom } from '../../../hardware/random/random.ts';
import { createBusClient } from '../../../system/bus/bus.ts';
import { MemoryTelemetry } from '../../support/ports/memory-telemetry.ts';
import { BROKER, connected, get, loopback } from '../../support/mqtt/site.ts';

const [bus = '', config = ''] = process.argv.slice(2);
const telemetry = new MemoryTelemetry();
const gateway = createMqttGateway(
  { bus: createBusClient({ network: loopback(bus) }, { broker: BROKER }), clock: new SystemClock(), random: new SystemRandom(), telemetry },
  JSON.parse(config) as GatewayConfig,
);
get(gateway.start());
await connected({ gateway, telemetry });
process.stdout.write('connected\n');
