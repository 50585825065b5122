// Plays one scenario on real processes, as the worker of a campaign plays it in the simulator: the same driver and goals, the same
// lines of record, the same summary. A composition root: here the real world meets scenarios and reports.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { modelNotes } from '../../scenarios/guest-model.ts';
import type { RunRecord, RunSummary } from '../../scenarios/record.ts';
import { playScenario, type PlayResult } from '../../scenarios/run.ts';
import type { TestbedRandom } from '../../scenarios/testbed.ts';
import { summaryOf, type PlayJob } from '../../sim/campaign/player.ts';
import { machinesOf, type ScenarioSettings } from '../../sim/campaign/scenario.main.ts';
import { FileSink } from '../../sim/campaign/sink.main.ts';
import { createStream } from '../../sim/kernel/stream.ts';
import { withVariant } from '../../sim/testbed/variant.ts';
import { describeError, ok, rejected } from '../../system/domain/outcome.ts';
import { nodeOf, type Device } from '../devices/devices.ts';
import { machineHere } from '../devices/here.ts';
import { DeviceNodes } from '../devices/nodes.ts';
import { SimulatedNodes } from '../loop/loop.ts';
import type { MachineImage } from '../qemu/images.ts';
import { createEmulatedNodes, EMULATED_SLACK_MICROS } from '../qemu/nodes.ts';
import type { ForeignArchitecture } from '../qemu/qemu.ts';
import { createLocalTestbed } from '../testbed.ts';
import { architectureHere, castOf, fitCast, refusalOf, type World } from './cast.main.ts';
import { CLOCK_FAULT_KINDS, type Pace } from './local.ts';

const CLI = fileURLToPath(new URL('../../cli.ts', import.meta.url));
const FLUSH_EVERY_MS = 250;

export type LocalPlay = {
  readonly settings: ScenarioSettings;
  /** Null: as fast as this machine can, which is measured. */
  readonly pace: Pace | null;
  /** Null: every node is a process. */
  readonly emulation: Emulation | null;
  /** Those of an inventory, installed on; null: there is none. */
  readonly devices: readonly Device[] | null;
  /** Hardware in the loop: so many nodes are processes, and all others that are no machines are simulated. Null: none is. */
  readonly processesMax: number | null;
  /** Aborted: the run is cancelled. */
  readonly signal: AbortSignal;
  /** How far the run's own clock is; 0 while the fleet starts. Called a few times a second. */
  readonly onProgress: (micros: number) => void;
};

/** Machines under QEMU, for a part of the nodes. */
export type Emulation = {
  readonly machinesMax: number;
  /** One for each architecture that `chooseMachines` gives. */
  readonly images: ReadonlyMap<ForeignArchitecture, MachineImage>;
};

export async function playLocally(job: PlayJob, play: LocalPlay): Promise<RunSummary> {
  const { settings, pace, emulation, processesMax, onProgress } = play;
  const world = worldOf(play);
  const startMs = performance.now();
  const conclude = (result: PlayResult, notes: readonly string[]): RunSummary => ({
    ...summaryOf(job, {
      verdict: result.verdict,
      trouble: result.trouble,
      simulatedMicros: result.simulatedMicros,
      wallMs: Math.round(performance.now() - startMs),
      steps: 0,
    }),
    world,
    goals: result.goals,
    records: result.records,
    lastRecords: result.lastRecords,
    notes,
  });
  const stillborn = (trouble: string, verdict: 'rejected' | 'cancelled' = 'rejected'): RunSummary =>
    conclude({ verdict, goals: [], trouble, records: 0, lastRecords: [], simulatedMicros: 0 }, []);
  const architecture = architectureHere();
  if (!architecture.ok) return stillborn(describeError(architecture.error));
  const offer = { world, devices: play.devices, machinesMax: emulation?.machinesMax ?? 0, processesMax };
  const refusal = refusalOf(job.scenario, offer);
  if (refusal !== null) return stillborn(refusal);
  const cast = castOf(job.scenario, offer);
  const { devices: there, kept, machines: chosen } = cast;
  const called = play.devices === null ? ok(null) : await DeviceNodes.open(there, nodeOf, machineHere(), play.signal);
  if (!called.ok) return stillborn(describeError(called.error), play.signal.aborted ? 'cancelled' : 'rejected');
  const devices = called.value;
  const fitted = fitCast(job.scenario, cast, (node) => devices?.isaFeaturesOf(node) ?? []);
  if (!fitted.ok) {
    await devices?.close();
    return stillborn(describeError(fitted.error));
  }
  const { scenario } = fitted.value;
  const notes = [...fitted.value.notes, ...(devices === null ? [] : keptNotes(kept))];
  const sink = new FileSink(job.recordFile);
  sink.header({ run: { scenario: scenario.name, seed: job.seed, world, fleet: machinesOf(scenario.fleet, architecture.value) } });
  const simulated =
    cast.simulated === null
      ? null
      : new SimulatedNodes({ simulated: cast.simulated, seed: job.seed, engine: settings.engine, agentVersion: settings.version });
  const trouble = () => devices?.trouble() ?? simulated?.trouble() ?? null;
  const cancelled = (): boolean => play.signal.aborted || trouble() !== null;
  const emulated = emulation === null ? null : createEmulatedNodes({ chosen, images: emulation.images });
  const testbed = createLocalTestbed({
    program: CLI,
    engine: settings.engine,
    pace,
    foreign:
      world === 'local'
        ? null
        : {
            world,
            nodes: [devices, emulated, simulated].filter((kind) => kind !== null),
            faultKinds: chosen.size === 0 ? [] : CLOCK_FAULT_KINDS,
            slackMicros: Math.max(chosen.size === 0 ? 0 : EMULATED_SLACK_MICROS, devices?.slackMicros ?? 0),
          },
    random: randomOf(job.seed),
    exampleModule: examplesOf(settings),
    cancelled,
  });
  const flushing = setInterval(() => {
    sink.flush();
    onProgress(testbed.clock.monotonicMicros());
  }, FLUSH_EVERY_MS);
  try {
    const result = await playScenario(testbed, scenario, {
      onRecord: (record: RunRecord) => sink.record(record),
      cancelled,
      stopWhenBroken: settings.stopWhenBroken,
    });
    const told = [
      ...notes,
      ...modelNotes(scenario, false),
      ...notesOf(testbed.pace),
      ...(simulated === null ? [] : [latenessOf(simulated)]),
      ...(devices === null ? [] : [devices.uncertainty()]),
    ];
    return conclude(play.signal.aborted ? result : { ...result, ...trouble() }, told);
  } catch (error) {
    const words = error instanceof Error ? (error.stack ?? error.message) : String(error);
    return conclude(
      { verdict: 'bug', goals: [], trouble: words, records: sink.records, lastRecords: sink.last, simulatedMicros: 0 },
      notes,
    );
  } finally {
    clearInterval(flushing);
    await testbed.stop();
    await devices?.close();
    sink.close();
  }
}

function worldOf({ devices, emulation, processesMax }: LocalPlay): World {
  if (processesMax !== null) return 'loop';
  if (devices !== null) return 'devices';
  return emulation === null ? 'local' : 'qemu';
}

function keptNotes(kept: readonly string[]): readonly string[] {
  return kept.length === 0 ? [] : [`No device: ${kept.join(', ')}, whose disk is filled, which is not done to one.`];
}

function notesOf(pace: Pace | null): readonly string[] {
  return pace === null || pace.because === null ? [] : [pace.because];
}

function latenessOf({ lateness }: SimulatedNodes): string {
  return `Simulated nodes: ${lateness.events} events, the latest ${(lateness.microsMax / 1_000).toFixed(1)} ms after its time.`;
}

/** The same streams as the driver of a simulated run with this seed: the same events at the same times. */
function randomOf(seed: string): TestbedRandom {
  const streams = new Map<string, ReturnType<typeof createStream>>();
  return {
    stream(name) {
      const stream = streams.get(name) ?? createStream(seed, `driver/${name}`);
      streams.set(name, stream);
      return stream;
    },
  };
}

function examplesOf(settings: ScenarioSettings): Parameters<typeof createLocalTestbed>[0]['exampleModule'] {
  const examples = new Map(
    settings.examples.map(({ name, file, capabilities, limits }) => [
      name,
      { bytes: new Uint8Array(readFileSync(file)), capabilities, ...limits },
    ]),
  );
  return (name, variant) => {
    const example = examples.get(name);
    if (example !== undefined) return ok({ ...example, bytes: withVariant(example.bytes, variant) });
    return rejected('WM_SCENARIO_INVALID', {
      message: `There is no example module ${name}.`,
      next: `Use one of ${[...examples.keys()].sort().join(', ')}.`,
    });
  };
}
