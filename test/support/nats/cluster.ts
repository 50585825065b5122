// Real NATS servers that form a cluster on loopback.
import { reserveAddress } from '../network/reserve.ts';
import { startNats, type NatsServer } from './nats.ts';

/** Bound: wait for the servers to find each other, and for one that was away to catch up. */
const HEALTHY_MS_MAX = 120_000;
const LOOK_EVERY_MS = 50;

/** Resolves when every server of it is whole. */
export async function startCluster(size: number): Promise<readonly NatsServer[]> {
  const routes = await Promise.all(Array.from({ length: size }, reserveAddress));
  const all = routes.map((route) => `"nats://${route}"`).join(', ');
  const servers: NatsServer[] = [];
  for (const route of routes)
    servers.push(await startNats({ config: `max_payload: 2MB\ncluster { name: test, listen: "${route}", routes: [${all}] }` }));
  await untilHealthy(servers);
  return servers;
}

/** Resolves when each of them says that it has all that its cluster has. */
export async function untilHealthy(servers: readonly NatsServer[]): Promise<void> {
  const startMs = performance.now();
  for (const { monitorUrl } of servers) {
    while (!(await isHealthy(monitorUrl))) {
      if (performance.now() - startMs > HEALTHY_MS_MAX) throw new Error(`The cluster is not whole after ${HEALTHY_MS_MAX} ms.`);
      await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
    }
  }
}

async function isHealthy(monitorUrl: string): Promise<boolean> {
  try {
    return (await fetch(`${monitorUrl}/healthz`)).ok;
  } catch {
    return false;
  }
}
