// How fast a run's time passes on this machine. A pace of 3 means that a second of the run takes three of the wall: everything that
// the scenario says in time (steps, rates, heartbeats, leases, delays of links, speed of guests) is stretched alike, and so are the
// budgets of its goals; and so are the times of TCP that links assume, and what triggers wait. So a slow or busy machine plays the
// same scenario instead of a harder one. What the product fixes by itself (a backoff of its own, a deadline) stays as long as it is.
import { spawn } from 'node:child_process';
import { closeSync, fsyncSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import type { LatencyLaw, Scenario } from '../../scenarios/scenario.ts';
import type { OperatorCommand } from '../../system/domain/operator.ts';

export type Pace = {
  /** Wall time of one unit of the run's; from 1 to `PACE_MAX`. */
  readonly factor: number;
  /** Why it is not 1; null when it is, or when the user chose it. */
  readonly because: string | null;
};

export const REAL_TIME: Pace = { factor: 1, because: null };
export const PACE_MAX = 16;
/** A machine that starts the processes of a fleet in no more than this for each has several times what the run needs later. */
const START_MS = 600;
/** A disk that syncs a small write within this keeps up in real time. */
const SYNC_MS = 40;
const SYNCS = 15;
const SYNC_BYTES = 4_096;

export type PaceOptions = {
  /** Processes of the fleet: each is started once, all at the same time. */
  readonly processes: number;
  /** The command line, of which every process of the fleet loads the same part. */
  readonly program: string;
  readonly environment: Readonly<Record<string, string>>;
  /** Where the fleet will write. */
  readonly folder: string;
};

/** Starts what the fleet will start, writes as it will write, and compares with what real time takes. */
export async function measurePace({ processes, program, environment, folder }: PaceOptions): Promise<Pace> {
  const since = performance.now();
  await Promise.all(Array.from({ length: processes }, () => load(program, environment)));
  const startMs = performance.now() - since;
  const syncMs = medianSyncMs(join(folder, 'pace'));
  return paceOf({ processes, startMs, syncMs });
}

/** `startMs` for all processes together, `syncMs` for one small write. */
export function paceOf({
  processes,
  startMs,
  syncMs,
}: {
  readonly processes: number;
  readonly startMs: number;
  readonly syncMs: number;
}): Pace {
  const [starts, syncs] = [startMs / (processes * START_MS), syncMs / SYNC_MS];
  const factor = Math.min(PACE_MAX, Math.ceil(2 * Math.max(1, starts, syncs)) / 2);
  if (factor === 1) return REAL_TIME;
  const why =
    starts >= syncs
      ? `starting its ${processes} processes took ${seconds(startMs)} s here, and real time needs ${seconds(processes * START_MS)} s or less`
      : `a synced write took ${Math.round(syncMs)} ms here, and real time needs ${SYNC_MS} ms or less`;
  return { factor, because: `A second of this run took ${factor} s: ${why}.` };
}

/** What a fleet with slower machines in it needs. */
export function slower({ factor, because }: Pace, slowest: { readonly what: string; readonly paceFactor: number } | null): Pace {
  if (slowest === null) return { factor, because };
  const { what, paceFactor: times } = slowest;
  const why = `A second of this run took ${factor * times} s: ${what} need ${times} times what processes do.`;
  return { factor: Math.min(PACE_MAX, factor * times), because: because === null ? why : `${why} ${because}` };
}

/** The scenario as its machines have to play it: its times of the wall. */
export function stretch(scenario: Scenario, { factor }: Pace): Scenario {
  const longer = (time: number): number => Math.ceil(time * factor);
  const { fleet, platform } = scenario;
  return {
    ...scenario,
    platform: {
      ...platform,
      heartbeatIntervalMs: longer(platform.heartbeatIntervalMs),
      suspectAfterMs: longer(platform.suspectAfterMs),
      unavailableAfterMs: longer(platform.unavailableAfterMs),
      leaseMs: longer(platform.leaseMs),
    },
    fleet: {
      ...fleet,
      links: fleet.links.map((link) => ({ ...link, latency: stretchLaw(link.latency, longer) })),
      nodes: fleet.nodes.map((node) => ({
        ...node,
        startMicros: longer(node.startMicros),
        fuelPerMicro: Math.max(1, Math.floor(node.fuelPerMicro / factor)),
      })),
    },
  };
}

/** The times of the run in what an operator says, as times of the wall. */
export function stretchCommand(command: OperatorCommand, factor: number): OperatorCommand {
  if (command.kind !== 'trigger-apply') return command;
  const { spec } = command;
  const longer = (ms: number): number => Math.ceil(ms * factor);
  return {
    ...command,
    spec: {
      ...spec,
      ackWaitMs: longer(spec.ackWaitMs),
      backoffMs: longer(spec.backoffMs),
      backoffMsMax: longer(spec.backoffMsMax),
    },
  };
}

function stretchLaw(law: LatencyLaw, longer: (micros: number) => number): LatencyLaw {
  switch (law.law) {
    case 'constant':
      return { ...law, micros: longer(law.micros) };
    case 'uniform':
      return { ...law, microsMin: longer(law.microsMin), microsMax: longer(law.microsMax) };
    case 'normal':
      return {
        ...law,
        microsMin: longer(law.microsMin),
        microsMean: longer(law.microsMean),
        microsDeviation: longer(law.microsDeviation),
      };
    case 'log-normal':
      return { ...law, microsMin: longer(law.microsMin), microsMedian: longer(law.microsMedian) };
    case 'exponential':
      return { ...law, microsMin: longer(law.microsMin), microsMean: longer(law.microsMean) };
    case 'empirical':
      return { ...law, micros: law.micros.map(longer) };
  }
}

function load(program: string, env: Readonly<Record<string, string>>): Promise<void> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [program, 'agent', '--help'], { env, stdio: 'ignore' });
    child.once('error', () => resolve());
    child.once('exit', () => resolve());
  });
}

function medianSyncMs(path: string): number {
  const file = openSync(path, 'w', 0o600);
  try {
    const bytes = Buffer.alloc(SYNC_BYTES);
    const took = Array.from({ length: SYNCS }, () => {
      const since = performance.now();
      writeSync(file, bytes);
      fsyncSync(file);
      return performance.now() - since;
    });
    return took.sort((a, b) => a - b)[SYNCS >> 1] ?? 0;
  } finally {
    closeSync(file);
    rmSync(path, { force: true });
  }
}

function seconds(ms: number): string {
  return (ms / 1_000).toFixed(1);
}
