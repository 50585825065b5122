// An operator's side of a platform: who he is (a context: identity and addresses in one file), and the clients that speak for
// him. Finds the context where `up` or `login` left it; renews its certificate in passing when that is due.
import { join } from 'node:path';
import { createOperatorClient, type OperatorClient } from '../../system/api/api.ts';
import { createBusClient } from '../../system/bus/bus.ts';
import type { Endpoint } from '../../system/domain/identifiers.ts';
import { ok, rejected, type Outcome, type WmError } from '../../system/domain/outcome.ts';
import type { Bus } from '../../system/ports/bus.ts';
import { SystemClock } from '../clock/clock.ts';
import {
  createGrpcNetwork,
  createIdentityKey,
  loadIdentity,
  renewThrough,
  saveIdentity,
  type GrpcNetwork,
  type KeptIdentity,
} from '../network/network.ts';
import { configurationHome, dataHome } from '../process/process.ts';
import { SystemRandom } from '../random/random.ts';

export { formatTable, type Column } from './tables.ts';
export { COLUMNS, plainOf, type ViewKind } from './views.ts';

const CONTROLLER = 'controller' as Endpoint;
const FILE = 'operator.json';

export type Operator = {
  readonly client: OperatorClient;
  readonly bus: Bus;
  readonly network: GrpcNetwork;
  readonly context: KeptIdentity;
  readonly file: string;
  close(): Promise<void>;
};

type Environment = Readonly<Record<string, string | undefined>>;

/** Where `login` leaves a context. */
export function loginFile(environment: Environment): string {
  return join(configurationHome(environment), FILE);
}

/** Files that may hold the context, the first that exists counts. One that is named must exist. */
function candidates(named: string | null, environment: Environment): readonly string[] {
  const given = named ?? environment['WASMMATRIX_CONTEXT'] ?? '';
  return given !== '' ? [given] : [loginFile(environment), join(dataHome(environment), 'controller', FILE)];
}

async function findContext(files: readonly string[]): Promise<Outcome<{ readonly file: string; readonly context: KeptIdentity }>> {
  for (const file of files) {
    const loaded = await loadIdentity(file);
    if (!loaded.ok) return loaded;
    if (loaded.value !== null) return ok({ file, context: loaded.value });
  }
  return rejected('WM_ARGUMENT', {
    message: `There is no context that says which platform to speak to (looked for ${files.join(' and ')}).`,
    next: 'Start a platform here with `wasmmatrix up`, log in to one with `wasmmatrix login --join <operator token>`, or name a context with --context.',
  });
}

export async function openOperator(options: {
  readonly context: string | null;
  readonly environment: Environment;
  /** An attempt failed and another follows. */
  readonly onTrouble: (error: WmError) => void;
}): Promise<Outcome<Operator>> {
  const found = await findContext(candidates(options.context, options.environment));
  if (!found.ok) return found;
  const { file, context } = found.value;
  const clock = new SystemClock();
  const random = new SystemRandom();
  if (context.notAfterMs <= clock.civilMs()) {
    return rejected('WM_CERTIFICATE_REFUSED', {
      message: `The certificate of ${context.name} in ${file} expired on ${new Date(context.notAfterMs).toISOString()}.`,
      next: 'Log in again with `wasmmatrix login --join <operator token>`; a controller that runs here writes its context anew when it starts.',
    });
  }
  const network = createGrpcNetwork({
    addresses: (endpoint) => (endpoint === CONTROLLER ? context.addresses : null),
    listen: () => '127.0.0.1:0',
    identity: context.identity,
    accepts: (endpoint, name) => endpoint === CONTROLLER && name === 'controller',
  });
  if (context.renewAtMs <= clock.civilMs()) await renew(file, context, network, options.onTrouble);
  const client = createOperatorClient({ clock, network, random }, { controller: CONTROLLER, onTrouble: options.onTrouble });
  const bus = createBusClient({ network }, { broker: CONTROLLER });
  return ok({
    client,
    bus,
    network,
    context,
    file,
    close: async () => {
      client.close();
      bus.close();
      await network.close();
    },
  });
}

/** In passing: a failure is told, and the certificate that still holds is used. */
async function renew(file: string, context: KeptIdentity, network: GrpcNetwork, onTrouble: (error: WmError) => void): Promise<void> {
  const key = createIdentityKey();
  const renewed = await renewThrough(network, CONTROLLER, [])(key.publicKey);
  if (!renewed.ok) return onTrouble(renewed.error);
  const { certificate, authorities, notAfterMs, renewAtMs } = renewed.value;
  const kept: KeptIdentity = { ...context, identity: { certificate, privateKey: key.privateKey, authorities }, notAfterMs, renewAtMs };
  const saved = await saveIdentity(file, kept);
  if (!saved.ok) return onTrouble(saved.error);
  network.renew(kept.identity);
  return undefined;
}
