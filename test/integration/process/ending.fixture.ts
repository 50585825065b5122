// A process that never gets done with stopping: it says when it was asked, and when it is ended at once.
import { writeSync } from 'node:fs';
import { watchSignals } from '../../../hardware/process/process.ts';

const ending = watchSignals(() => writeSync(1, 'forced\n'));
writeSync(1, 'ready\n');
setInterval(() => {}, 1_000);
writeSync(1, `asked by ${await ending.asked}\n`);
