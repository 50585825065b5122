// Where a node that moves says it is: the newest place, when it moved far enough, and never where it is not known.
import { expect, it } from 'vitest';
import { Whereabouts } from '../../../agents/whereabouts/whereabouts.ts';
import type { GeoPoint } from '../../../system/domain/node.ts';
import type { Timer } from '../../../system/ports/clock.ts';

const BOUNDS = { locateIntervalMs: 1_000, locateDegreesMin: 0.001 };
const START: GeoPoint = { latitude: 50, longitude: 8 };

function watching(places: readonly (GeoPoint | null)[]) {
  const due: { micros: number; callback: () => void; cancelled: boolean }[] = [];
  const clock = {
    after: (micros: number, callback: () => void): Timer => {
      const timer = { micros, callback, cancelled: false };
      due.push(timer);
      return { cancel: () => void (timer.cancelled = true) };
    },
  };
  const left = [...places];
  const told: GeoPoint[] = [];
  const whereabouts = new Whereabouts(clock, {
    bounds: BOUNDS,
    start: START,
    locate: places.length === 0 ? undefined : () => left.shift() ?? null,
    moved: (location) => told.push(location),
  });
  const turn = () => {
    const next = due.shift();
    if (next !== undefined && !next.cancelled) next.callback();
  };
  return { whereabouts, told, due, turn };
}

it('tells of a place that is far enough from the last that it told of', () => {
  const near = { latitude: 50.0006, longitude: 8 };
  const far = { latitude: 50.0012, longitude: 8 };
  const { whereabouts, told, due, turn } = watching([START, near, far, null, far]);
  whereabouts.start();
  expect(due[0]?.micros).toBe(1_000_000);
  for (let i = 0; i < 4; i++) turn();
  expect(told).toEqual([far]);
  expect(whereabouts.location).toEqual(far);
  whereabouts.stop();
  turn();
  expect(due).toEqual([]);
});

it('begins where it is at its start rather than where it was set up', () => {
  const elsewhere = { latitude: 51, longitude: 9 };
  expect(watching([elsewhere]).whereabouts.location).toEqual(elsewhere);
});

it('never looks for the place of a node that stays', () => {
  const { whereabouts, due } = watching([]);
  whereabouts.start();
  expect(due).toEqual([]);
  expect(whereabouts.location).toEqual(START);
});
