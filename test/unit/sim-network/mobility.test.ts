// What driving does to a raw port: the way over the air depends on the cell and the distance, changes at a handover, and is gone where
// there is no cell.
import { describe, expect, it } from 'vitest';
import type { CellSpec, VehicleSpec } from '../../../scenarios/scenario.ts';
import { metresBetween, placeAt, radioAt, receive } from '../../../sim/network/radio.ts';
import type { ZonePath } from '../../../system/domain/identifiers.ts';
import { CLOUD, FLEET } from '../../contract/sim-world.ts';
import { bytes, codeOf, connected, echo, SECOND, setUp } from '../../support/network/raw-port.ts';

const EAST = 'edge/east' as ZonePath;
const WEST = 'edge/west' as ZonePath;
const MS = 1_000;
/** On the equator a thousandth of a degree is 111 m. */
const at = (longitude: number) => ({ latitude: 0, longitude });
const cell = (name: string, zone: ZonePath, longitude: number, other: Partial<CellSpec> = {}): CellSpec => ({
  cell: name,
  zone,
  location: at(longitude),
  reachMetres: 1_000,
  latency: { law: 'constant', micros: 2 * MS },
  loss: [0, 1],
  bandwidth: null,
  edge: { delayMicros: 0, loss: [0, 1], bytesPerS: null },
  ...other,
});
const vehicle = (path: VehicleSpec['path'], other: Partial<VehicleSpec> = {}): VehicleSpec => ({
  vehicle: FLEET,
  path,
  hysteresis: [1, 10],
  interruptionMicros: 50 * MS,
  ...other,
});

function driving(cells: readonly CellSpec[], vehicles: readonly VehicleSpec[]) {
  const { world, client, serve } = setUp();
  const constant = (micros: number) => ({ law: 'constant', micros }) as const;
  world.network.setLaw(CLOUD, WEST, constant(10 * MS), [0, 1]);
  world.network.setLaw(CLOUD, EAST, constant(30 * MS), [0, 1]);
  world.network.setLaw(WEST, EAST, constant(20 * MS), [0, 1]);
  const attached: string[] = [];
  world.network.drive(cells, vehicles, {
    attached: (_, from, to) => attached.push(`${from?.cell ?? 'none'} to ${to?.cell ?? 'none'} at ${world.kernel.now() / SECOND}`),
    moved: () => {},
  });
  const until = (micros: number) =>
    new Promise<void>((resolve) => void world.kernel.after(Math.max(0, micros - world.kernel.now()), null, 'later', resolve));
  return { world, client, serve, attached, until };
}

describe('a vehicle', () => {
  it('goes straight and evenly from place to place, and stays at the last', () => {
    const path = [
      { micros: 0, location: at(0) },
      { micros: 10, location: at(0.01) },
      { micros: 20, location: at(0.01) },
    ];
    expect([0, 5, 10, 15, 99].map((micros) => placeAt({ path }, micros).longitude)).toEqual([0, 0.005, 0.01, 0.01, 0.01]);
    expect(metresBetween(at(0), at(0.01))).toBe(1_112);
  });

  it('takes the cell that is nearest in parts of its reach, and keeps it until another is better by the hysteresis', () => {
    const [small, large] = [cell('small', WEST, 0, { reachMetres: 400 }), cell('large', EAST, 0.01, { reachMetres: 4_000 })];
    // 222 m of 400 m against 890 m of 4 km.
    expect(receive([small, large], at(0.002), null, [0, 1])?.cell.cell).toBe('large');
    expect(receive([small, large], at(0.0005), null, [0, 1])?.cell.cell).toBe('small');
    const [west, east] = [cell('west', WEST, 0), cell('east', EAST, 0.01)];
    expect(receive([west, east], at(0.0053), west, [1, 10])?.cell.cell).toBe('west');
    expect(receive([west, east], at(0.0053), west, [0, 1])?.cell.cell).toBe('east');
    expect(receive([west, east], at(0.0056), west, [1, 10])?.cell.cell).toBe('east');
    expect(receive([west, east], at(0.05), west, [1, 10])).toBeNull();
  });

  it('has worse radio the farther it is from the mast', () => {
    const mast = cell('mast', WEST, 0, {
      reachMetres: 1_112,
      loss: [1, 100],
      bandwidth: { kind: 'bandwidth', bytesPerS: 1_000, queueBytes: 1 },
      edge: { delayMicros: 40, loss: [1, 10], bytesPerS: 200 },
    });
    expect(radioAt({ cell: mast, metres: 0 })).toEqual({ delayMicros: 0, loss: [10_000, 1_000_000], bytesPerS: 1_000 });
    expect(radioAt({ cell: mast, metres: 556 })).toEqual({ delayMicros: 20, loss: [55_000, 1_000_000], bytesPerS: 600 });
    expect(radioAt({ cell: mast, metres: 1_112 })).toEqual({ delayMicros: 40, loss: [100_000, 1_000_000], bytesPerS: 200 });
  });
});

describe('a connection of a vehicle', () => {
  it('goes over the cell that it is in: its delay is that of the air, of the distance and of the way behind', async () => {
    const cells = [cell('west', WEST, 0, { edge: { delayMicros: 100 * MS, loss: [0, 1], bytesPerS: null } }), cell('east', EAST, 0.01)];
    const { world, client, serve, attached, until } = driving(cells, [
      vehicle([
        { micros: 0, location: at(0) },
        { micros: 10 * SECOND, location: at(0.01) },
      ]),
    ]);
    const took = await world.play(client, async () => {
      await serve(echo());
      const connection = await connected(world, 'client');
      const rtts: number[] = [];
      for (const millis of [1_100, 4_100, 9_100]) {
        await until(millis * MS);
        const before = world.kernel.now();
        expect(codeOf(await connection.call('/a/B', bytes('x'), { deadlineMicros: 5 * SECOND }))).toBe('ok');
        rtts.push(Math.round((world.kernel.now() - before) / MS));
      }
      return rtts;
    });
    // Two ways of 10 ms and 2 ms, and of the distance: 111 m and 445 m of a kilometre. Then two of 30 ms and 2 ms.
    expect(took).toEqual([24 + 22, 24 + 89, 64]);
    expect(attached).toEqual(['none to west at 0', 'west to east at 5.6']);
  });

  it('stands still during a handover, and loses nothing', async () => {
    const { world, client, serve, attached, until } = driving(
      [cell('west', WEST, 0), cell('east', WEST, 0.01)],
      [
        vehicle(
          [
            { micros: 0, location: at(0) },
            { micros: 10 * SECOND, location: at(0.01) },
          ],
          { interruptionMicros: 300 * MS },
        ),
      ],
    );
    const calls: string[] = [];
    const late = await world.play(client, async () => {
      await serve(echo(calls));
      const connection = await connected(world, 'client');
      await until(5_650 * MS);
      const before = world.kernel.now();
      await connection.call('/a/B', bytes('meanwhile'), { deadlineMicros: 5 * SECOND });
      const during = world.kernel.now() - before;
      const after = world.kernel.now();
      await connection.call('/a/B', bytes('afterwards'), { deadlineMicros: 5 * SECOND });
      return [during, world.kernel.now() - after].map((micros) => Math.round(micros / MS));
    });
    expect(attached.at(-1)).toBe('west to east at 5.6');
    // What is left of 300 ms, and the way.
    expect(late).toEqual([250 + 24, 24]);
    expect(calls).toEqual(['meanwhile', 'afterwards']);
  });

  it('stands still until the last of two handovers that overlap is done', async () => {
    const { world, client, serve, attached, until } = driving(
      [
        cell('a', WEST, 0, { reachMetres: 500 }),
        cell('b', EAST, 0.004, { reachMetres: 500 }),
        cell('c', WEST, 0.008, { reachMetres: 500 }),
      ],
      [
        vehicle(
          [
            { micros: 0, location: at(0) },
            { micros: 2 * SECOND, location: at(0) },
            { micros: 2_800 * MS, location: at(0.008) },
          ],
          { interruptionMicros: 1 * SECOND },
        ),
      ],
    );
    const late = await world.play(client, async () => {
      await serve(echo());
      const connection = await connected(world, 'client');
      await until(2_900 * MS);
      const before = world.kernel.now();
      await connection.call('/a/B', bytes('meanwhile'), { deadlineMicros: 5 * SECOND });
      return Math.round((world.kernel.now() - before) / MS);
    });
    expect(attached.slice(1)).toEqual(['a to b at 2.4', 'b to c at 2.8']);
    expect(late).toBe(900 + 24);
  });

  it('breaks out of reach of every cell, and comes back with the vehicle', async () => {
    const { world, client, serve, attached, until } = driving(
      [cell('west', WEST, 0)],
      [
        vehicle([
          { micros: 0, location: at(0) },
          { micros: 10 * SECOND, location: at(0.02) },
          { micros: 40 * SECOND, location: at(0.02) },
          { micros: 50 * SECOND, location: at(0) },
        ]),
      ],
    );
    const codes = await world.play(client, async () => {
      await serve(echo());
      const connection = await connected(world, 'client');
      await until(6 * SECOND);
      const lost = await connection.call('/a/B', bytes('out of reach'), { deadlineMicros: 60 * SECOND });
      const gaveUpSeconds = Math.round(world.kernel.now() / SECOND);
      await until(47 * SECOND);
      const again = await connected(world, 'client');
      return [codeOf(lost), gaveUpSeconds, codeOf(await again.call('/a/B', bytes('back'), { deadlineMicros: SECOND }))];
    });
    expect(codes).toEqual(['unknown WM_CONNECTION_LOST', 16, 'ok']);
    expect(attached.map((text) => text.replace(/ at .*/, ''))).toEqual(['none to west', 'west to none', 'none to west']);
  });

  it('shares the air with the other vehicles of its cell', async () => {
    const other = 'fleet/truck-2' as ZonePath;
    const room = { kind: 'bandwidth', bytesPerS: 100_000, queueBytes: 1_000_000 } as const;
    const stands = [{ micros: 0, location: at(0) }];
    const { world, client, serve } = driving(
      [cell('west', WEST, 0, { bandwidth: room })],
      [vehicle(stands), vehicle(stands, { vehicle: other })],
    );
    world.network.setLaw(CLOUD, other, { law: 'constant', micros: 1 }, [0, 1]);
    world.add('second', other);
    const ended = await world.play(client, async () => {
      await serve(echo());
      const ends = [await connected(world, 'client'), await connected(world, 'second')];
      const before = world.kernel.now();
      return Promise.all(
        ends.map(async (connection) => {
          await connection.call('/a/B', new Uint8Array(50_000), { deadlineMicros: 20 * SECOND });
          return Math.round((world.kernel.now() - before) / 100_000) / 10;
        }),
      );
    });
    // Half a second up and half a second down each; the second waits for the first.
    expect(ended).toEqual([1, 1.5]);
  });
});
