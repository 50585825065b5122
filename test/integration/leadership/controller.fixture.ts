// One of two controllers over one nats-server, as a process: waits for the lead, opens the store, serves. Lines: `waits LEADER`,
// `serves TERM`, `ended CAUSE`. A heedless one does not listen when it is told that it has lost the lead.
import { writeSync } from 'node:fs';
import { connect } from '@nats-io/transport-node';
import { SystemClock } from '../../../hardware/clock/clock.ts';
import { FileKeys } from '../../../hardware/keys/keys.ts';
import { createLease, openNatsLeaseStore } from '../../../hardware/lease/lease.ts';
import { Authority, createGrpcNetwork, createIdentityKey } from '../../../hardware/network/network.ts';
import { SystemRandom } from '../../../hardware/random/random.ts';
import { openNatsStorage } from '../../../hardware/storage/nats/nats.ts';
import { createController, DEFAULT_CONFIG } from '../../../system/controller/controller.ts';
import { describeError } from '../../../system/domain/outcome.ts';
import type { Telemetry } from '../../../system/ports/telemetry.ts';
import { ScriptedWasm } from '../../support/agent/scripted-wasm.ts';
import { get } from '../storage/contents.ts';

export type ControllerSetting = {
  readonly name: string;
  readonly nats: string;
  readonly monitor: string;
  readonly keys: string;
  readonly listen: string;
  readonly leaseMs: number;
  readonly heedless: boolean;
};

export const JOIN_TOKEN = 'let-me-in';

const say = (line: string): void => void writeSync(1, `${line}\n`);

async function run(setting: ControllerSetting): Promise<void> {
  const clock = new SystemClock();
  const random = new SystemRandom();
  const connection = await connect({ servers: setting.nats, maxReconnectAttempts: -1 });
  const lease = get(
    createLease({
      clock,
      random,
      store: get(await openNatsLeaseStore({ connection, answerMs: setting.leaseMs / 5 })),
      holder: setting.name,
      address: setting.listen,
      leaseMs: setting.leaseMs,
      onStandby: (leader) => say(`waits ${leader.holder}`),
    }),
  );
  const tenure = get(await lease.acquire());
  const storage = get(
    await openNatsStorage({
      connection,
      durability: { kind: 'monitor', urls: [setting.monitor] },
      isLeading: () => setting.heedless || tenure.isHeld(),
    }),
  );
  const keys = new FileKeys(setting.keys);
  const authority = get(await Authority.open({ keys, keyName: 'authority', civilMs: () => clock.civilMs() }));
  const { privateKey, publicKey } = createIdentityKey();
  const { certificate } = get(await authority.issue({ name: 'controller', publicKey, hosts: ['127.0.0.1'] }));
  const network = createGrpcNetwork({
    addresses: () => null,
    listen: () => setting.listen,
    identity: { certificate, privateKey, authorities: [authority.certificate] },
    accepts: () => false,
  });
  const telemetry: Telemetry = {
    record: (kind, fields) => {
      if (kind === 'controller.started') say(`recovered ${JSON.stringify(fields)}`);
    },
    log: (level, message) => (level === 'error' ? say(`log ${message}`) : undefined),
  };
  const controller = createController(
    { clock, random, network, storage, keys, telemetry, wasm: new ScriptedWasm(clock, new Map()) },
    { ...DEFAULT_CONFIG, joinToken: JOIN_TOKEN, snapshotEveryEntries: 200 },
  );
  const started = await controller.start();
  if (!started.ok) {
    say(`ended ${describeError(started.error)}`);
    process.exit(1);
  }
  say(`serves ${network.addressOf(DEFAULT_CONFIG.endpoint)}`);
  const cause = await Promise.race([
    controller.ended,
    ...(setting.heedless ? [] : [tenure.lost.then((why) => `it does not lead any more: ${why}`)]),
  ]);
  say(`ended ${cause}`);
  process.exit(1);
}

const [text] = process.argv.slice(2);
if (text !== undefined && import.meta.main) await run(JSON.parse(text) as ControllerSetting);
