// What heat and an empty battery do to the work of a machine: how long it takes, and that it ends.
import { describe, expect, it } from 'vitest';
import type { BatterySpec, ThermalSpec } from '../../../scenarios/scenario.ts';
import type { Kernel, Machine } from '../../../sim/kernel/kernel.ts';
import { Power } from '../../../sim/power/power.ts';
import { playKernel } from '../sim-kernel/play.ts';

const S = 1_000_000;
const THERMAL: ThermalSpec = {
  ambientCelsius: 30,
  fullCelsius: 110,
  constantMicros: 10 * S,
  limitCelsius: 85,
  releaseCelsius: 70,
  factor: 4,
};
const BATTERY: BatterySpec = { fullMicros: 20 * S, idleMicros: 100 * S, lowPermille: 200, factor: 4, chargeMicros: 5 * S };

type Watched = {
  readonly kernel: Kernel;
  readonly machine: Machine;
  readonly power: Power;
  /** `what at seconds`. */
  readonly said: string[];
};

async function watch(
  { thermal = null, battery = null }: { readonly thermal?: ThermalSpec | null; readonly battery?: BatterySpec | null },
  prepare: (watched: Watched) => void,
  seconds: number,
): Promise<readonly string[]> {
  const said: string[] = [];
  const { end } = await playKernel(
    (kernel) => {
      const machine = kernel.machine('truck', { cores: 2 });
      machine.boot();
      const power = new Power(kernel);
      const say = (what: string) => said.push(`${what} at ${kernel.now() / S}`);
      power.add({
        machine,
        cores: 2,
        thermal,
        battery,
        throttle: (factor) => {
          machine.throttle(factor);
          say(`times ${factor}`);
        },
        off: () => {
          machine.crash();
          say('off');
        },
        on: () =>
          void kernel.after(0, null, 'on', () => {
            machine.boot();
            say('on');
          }),
      });
      prepare({ kernel, machine, power, said });
    },
    { microsMax: seconds * S },
  );
  expect(end.error).toBeNull();
  return said;
}

/** Keeps so many cores busy for a while, in pieces of 10 ms. */
function work({ kernel, machine }: Watched, cores: number, untilMicros: number, done: () => void = () => {}): void {
  for (let core = 0; core < cores; core++) {
    const piece = (): void => {
      done();
      if (kernel.now() < untilMicros) machine.execute(10_000, 'work', piece);
    };
    machine.execute(10_000, 'work', piece);
  }
}

describe('a processor', () => {
  it('gets hot by work, is throttled at its limit, cools down by that and speeds up again', async () => {
    let pieces = 0;
    const said = await watch({ thermal: THERMAL }, (watched) => work(watched, 2, 60 * S, () => pieces++), 60);
    // 55 of 80 degrees after 1.16 time constants; then towards 50 degrees, past 70.
    expect(said.slice(0, 3)).toEqual(['times 4 at 11.6', 'times 1 at 17.2', 'times 4 at 21.9']);
    // Slowed down for more than half of the time, by four.
    expect(pieces).toBeLessThan(2 * 6_000 * 0.7);
    expect(pieces).toBeGreaterThan(2 * 6_000 * 0.4);
  });

  it('stays cool with half of its cores at work', async () => {
    expect(await watch({ thermal: THERMAL }, (watched) => work(watched, 1, 60 * S), 60)).toEqual([]);
  });
});

describe('a battery', () => {
  it('empties with work, saves power when it is low, takes its machine down and comes back charged', async () => {
    const said = await watch({ battery: BATTERY }, (watched) => work(watched, 2, 60 * S), 60);
    // Four fifths of 20 s; what is left lasts longer in low power; then five seconds on the charger.
    expect(said.slice(0, 2)).toEqual(['times 4 at 16', expect.stringMatching(/^off at (2[4-9]|3\d)/)]);
    const [off, on] = ['off', 'on'].map((what) => Number(said.find((text) => text.startsWith(`${what} at`))?.split(' at ')[1]));
    expect((on ?? 0) - (off ?? 0)).toBeCloseTo(5, 6);
  });

  it('lasts longer with nothing to do', async () => {
    expect(await watch({ battery: BATTERY }, () => {}, 79)).toEqual([]);
    expect(await watch({ battery: BATTERY }, () => {}, 101)).toEqual(['times 4 at 80', 'off at 100']);
  });

  it('that nobody charges keeps its machine off until it is charged', async () => {
    const kept: boolean[] = [];
    const said = await watch(
      { battery: { ...BATTERY, chargeMicros: null } },
      ({ kernel, power }) => {
        kernel.after(99 * S, null, 'look', () => void kept.push(power.keepsOff('truck')));
        kernel.after(200 * S, null, 'look', () => void kept.push(power.keepsOff('truck')));
        kernel.after(201 * S + 50_000, null, 'charge', () => power.chargeAll());
        kernel.after(202 * S, null, 'look', () => void kept.push(power.keepsOff('truck')));
      },
      203,
    );
    expect(kept).toEqual([false, true, false]);
    expect(said).toEqual(['times 4 at 80', 'off at 100', 'on at 201.05', 'times 1 at 201.1']);
  });

  it('lasts as long as nothing breaks any more: from then on it hangs on the mains', async () => {
    const heal = ({ kernel, power }: Watched): void => void kernel.after(50 * S, null, 'heal', () => power.chargeAll());
    expect(await watch({ battery: BATTERY }, heal, 300)).toEqual([]);
  });
});
