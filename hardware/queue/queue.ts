// A queue of work on NATS JetStream: campaigns offer runs, workers on any number of machines take them, and what came of each goes
// back to its campaign. What a run or a verdict is made of is the business of those who use it: here they are bytes. It owns the
// streams, the consumers, and how long a run that was taken stays with its worker. It refuses to queue in the client: what cannot be
// sent now fails, and the caller decides. Surprising: a run may be handed out twice, when its worker was silent; who asked for it must
// count it once.
export { CampaignQueue, type Part } from './campaign-queue.ts';
export { WorkerQueue, type Call, type Taken } from './worker-queue.ts';
export { ACK_WAIT_MS } from './streams.ts';
