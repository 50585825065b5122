// The thread of one store: it alone touches the database, so that a sync never holds up the process.
import { parentPort, workerData } from 'node:worker_threads';
import { assert, ok } from '../../system/domain/outcome.ts';
import { Database } from './database.ts';
import type { FromThread, ThreadData, ToThread } from './operations.ts';

assert(parentPort !== null, 'the store has a thread of its own');
const port = parentPort;
const tell = (message: FromThread): void => port.postMessage(message);

const opened = Database.open(workerData as ThreadData);
tell({ kind: 'opened', outcome: opened.ok ? ok() : opened });
if (opened.ok) {
  const database = opened.value;
  port.on('message', (message: ToThread) => {
    if (message.kind === 'batch') {
      tell({ kind: 'batch', result: database.run(message.operations) });
      return;
    }
    database.close();
    port.close();
  });
}
