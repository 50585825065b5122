// How a run's time is stretched on a slow machine: by what was measured, everything alike, and nothing on a fast one.
import { describe, expect, it } from 'vitest';
import { PACE_MAX, paceOf, REAL_TIME, stretch, stretchCommand } from '../../../hardware/local/pace.ts';
import type { OperatorCommand } from '../../../system/domain/operator.ts';
import { catalogueFiles, readScenarios } from '../../../sim/campaign/library.main.ts';

const { scenarios } = readScenarios(catalogueFiles());

describe('the pace of a run', () => {
  it('is real time where processes start and writes are synced quickly', () => {
    expect(paceOf({ processes: 7, startMs: 4_200, syncMs: 40 })).toBe(REAL_TIME);
  });

  it('is as slow as the slower of processors and disk asks for, in halves, and says which', () => {
    expect(paceOf({ processes: 7, startMs: 9_000, syncMs: 1 })).toEqual({
      factor: 2.5,
      because: 'A second of this run took 2.5 s: starting its 7 processes took 9.0 s here, and real time needs 4.2 s or less.',
    });
    expect(paceOf({ processes: 7, startMs: 4_300, syncMs: 120 })).toEqual({
      factor: 3,
      because: 'A second of this run took 3 s: a synced write took 120 ms here, and real time needs 40 ms or less.',
    });
  });

  it('has a bound', () => {
    expect(paceOf({ processes: 1, startMs: 1e9, syncMs: 0 }).factor).toBe(PACE_MAX);
  });
});

/** Of a time, or of each of some that were measured. */
function thrice(micros: unknown): unknown {
  return Array.isArray(micros) ? micros.map((each) => 3 * Number(each)) : 3 * Number(micros);
}

describe('a stretched scenario', () => {
  it('is the same one in real time', () => {
    for (const scenario of scenarios) expect(stretch(scenario, REAL_TIME)).toEqual(scenario);
  });

  it('has every time of its machines and links longer, keeps their proportions, and leaves what the driver plays alone', () => {
    for (const scenario of scenarios) {
      const slow = stretch(scenario, { factor: 3, because: null });
      const times = ({ platform }: typeof scenario): readonly number[] => [
        platform.heartbeatIntervalMs,
        platform.suspectAfterMs,
        platform.unavailableAfterMs,
        platform.leaseMs,
      ];
      expect(times(slow)).toEqual(times(scenario).map((time) => 3 * time));
      expect(slow.platform.queueEventsMax).toBe(scenario.platform.queueEventsMax);
      expect([slow.steps, slow.workload, slow.goals, slow.durationMicros]).toEqual([
        scenario.steps,
        scenario.workload,
        scenario.goals,
        scenario.durationMicros,
      ]);
      for (const [i, node] of scenario.fleet.nodes.entries()) {
        expect(slow.fleet.nodes[i]?.startMicros).toBe(3 * node.startMicros);
        expect(slow.fleet.nodes[i]?.fuelPerMicro).toBe(Math.max(1, Math.floor(node.fuelPerMicro / 3)));
      }
      for (const [i, { latency }] of scenario.fleet.links.entries()) {
        const longer = Object.entries(latency).map(([name, value]) => [name, name.startsWith('micros') ? thrice(value) : value]);
        expect(slow.fleet.links[i]?.latency).toEqual(Object.fromEntries(longer));
      }
    }
  });
});

describe('what an operator says in a stretched run', () => {
  const spec = {
    name: 't',
    subject: 's.>',
    deployment: 'd',
    result: null,
    deliveriesMax: 5,
    ackWaitMs: 14_000,
    backoffMs: 101,
    backoffMsMax: 3_000,
  };
  const trigger = { kind: 'trigger-apply', spec } as unknown as OperatorCommand;

  it('lets triggers wait longer, and deliver as often', () => {
    expect(stretchCommand(trigger, 2.5)).toEqual({
      kind: 'trigger-apply',
      spec: { ...spec, ackWaitMs: 35_000, backoffMs: 253, backoffMsMax: 7_500 },
    });
  });

  it('is the same otherwise', () => {
    const scale = { kind: 'scale', deployment: 'd', replicas: 3 } as unknown as OperatorCommand;
    expect(stretchCommand(scale, 2)).toBe(scale);
    expect(stretchCommand(trigger, 1)).toEqual(trigger);
  });
});
