// `node test/support/nats/build.main.ts`: makes the nats-server that tests run. Without it their NATS part is left out, and says so.
import process from 'node:process';
import { ensureNatsServer, NATS_SERVER_VERSION } from './build.ts';

const found = await ensureNatsServer(() =>
  process.stderr.write(`Building nats-server ${NATS_SERVER_VERSION} for the tests, once: about a minute\n`),
);
process.stderr.write('path' in found ? `nats-server: ${found.path}\n` : `The tests of NATS will be left out: ${found.missing}.\n`);
