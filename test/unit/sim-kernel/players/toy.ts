// A small world of its own: machines that gossip over links with random delays, crash and come back. Scenario names choose
// what goes wrong with it, so that the campaign can be seen to notice. Module-level state here is the planted mistake.
import { createClock } from '../../../../sim/clock/clock.ts';
import { createRandom } from '../../../../sim/random/random.ts';
import type { Kernel, Machine } from '../../../../sim/kernel/kernel.ts';
import type { Player, RecordSink } from '../../../../sim/campaign/campaign.ts';
import type { PlayResult } from '../../../../scenarios/run.ts';
import type { RunRecord } from '../../../../scenarios/record.ts';

const MACHINES = 5;
/** Outlives a run: the planted nondeterminism. */
let playsOfThisWorker = 0;

function gossip(kernel: Kernel, machines: readonly Machine[], from: number, say: (machine: Machine, text: string) => void): void {
  const machine = machines[from] as Machine;
  const random = createRandom(kernel, machine).stream('gossip');
  const clock = createClock(kernel, machine);
  const round = async (): Promise<void> => {
    for (let count = 1; ; count++) {
      await clock.sleep(1_000 + random.below(2_000));
      const to = random.below(MACHINES);
      const peer = machines[to] as Machine;
      const delay = 100 + kernel.stream(`link/${from}>${to}`).below(900);
      kernel.after(delay, peer, 'message', () => {
        peer.execute(20, 'handle', () => say(peer, `got ${count} from ${machine.name}`));
      });
    }
  };
  kernel.own(`gossip of ${machine.name}`, round());
}

async function playWorld(kernel: Kernel, name: string, sink: RecordSink, microsMax: number): Promise<PlayResult> {
  playsOfThisWorker++;
  const world = createClock(kernel, null);
  let records = 0;
  const say = (machine: Machine, message: string): void => {
    const record: RunRecord = {
      source: machine.name,
      incarnation: machine.incarnation,
      sequence: ++records,
      micros: kernel.now(),
      kind: 'log',
      correlation: null,
      fields: { level: 'info', message },
    };
    kernel.note(machine.name, message);
    sink.record(record);
  };
  const machines = Array.from({ length: MACHINES }, (_, index) => kernel.machine(`m${index}`, { cores: 1 + (index % 2) }));
  sink.header({ run: { scenario: name, seed: 'x', world: 'toy', fleet: [] } });
  for (const machine of machines) machine.boot();
  for (let index = 0; index < MACHINES; index++) gossip(kernel, machines, index, say);
  const victim = machines[kernel.stream('faults').below(MACHINES)] as Machine;
  await world.sleep(microsMax / 4);
  victim.crash();
  await world.sleep(10_000);
  victim.boot();
  gossip(kernel, machines, machines.indexOf(victim), say);
  await world.sleep(microsMax / 4);
  if (name === 'bug') throw new Error('the toy broke');
  if (name === 'bug once' && playsOfThisWorker % 2 === 1) throw new Error('the toy broke once');
  if (name === 'endless') for (;;);
  if (name === 'hangs') await new Promise<void>(() => machines.forEach((machine) => machine.crash()));
  if (name === 'counter') kernel.note('m0', `play ${playsOfThisWorker}`);
  if (name === 'late event' && playsOfThisWorker % 2 === 0) kernel.after(7, victim, 'planted', () => {});
  if (name === 'ends early' && playsOfThisWorker % 2 === 0)
    return { verdict: 'held', goals: [], trouble: null, records, lastRecords: [], simulatedMicros: kernel.now() };
  await world.sleep(microsMax / 2);
  return { verdict: 'held', goals: [], trouble: null, records, lastRecords: [], simulatedMicros: kernel.now() };
}

export async function createPlayer(settings: unknown): Promise<Player> {
  if (settings === 'refuses') throw new Error('the engine is not there');
  return {
    async prepare(job) {
      // Outside the run an exception belongs to nobody: the worker dies of it.
      if (job.scenario.name !== 'dies') return;
      setTimeout(() => {
        throw new Error('the worker broke');
      }, 0);
      await new Promise(() => {});
    },
    drive: (kernel, job, sink) => playWorld(kernel, job.scenario.name, sink, job.scenario.durationMicros),
  };
}
