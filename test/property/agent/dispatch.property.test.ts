// The laws of dispatching: never more than the bounds allow, nothing lost or run twice, and turns are taken.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { assert } from '../../../system/domain/outcome.ts';
import { Dispatch } from '../../../agents/delivery/dispatch.ts';

const INSTANCES = ['a', 'b', 'c'];
const step = fc.oneof(
  fc.record({ act: fc.constant('offer' as const), lane: fc.nat(5) }),
  fc.record({ act: fc.constant('next' as const) }),
  fc.record({ act: fc.constant('release' as const) }),
  fc.record({ act: fc.constant('credit' as const), lane: fc.nat(5) }),
);

test('bounds of node and instances hold, and every delivery runs once', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 5 }),
      fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 3, maxLength: 3 }),
      fc.array(step, { maxLength: 200 }),
      (invocationsMax, concurrency, steps) => {
        const dispatch = new Dispatch<number>({ invocationsMax, fetchEventsMax: 64 });
        INSTANCES.forEach((instance, i) => dispatch.setConcurrency(instance, concurrency[i] ?? 1));
        for (let lane = 0; lane < 6; lane++) dispatch.open(`lane ${lane}`, INSTANCES[lane % 3] ?? 'a');
        const running: string[] = [];
        const seen = new Set<number>();
        let offered = 0;
        for (const one of steps) {
          if (one.act === 'offer') dispatch.offer(`lane ${one.lane}`, offered++);
          if (one.act === 'release') {
            const instance = running.pop();
            if (instance !== undefined) dispatch.release(instance);
          }
          if (one.act === 'credit') {
            const credit = dispatch.credit(`lane ${one.lane}`);
            const instance = INSTANCES[one.lane % 3] ?? 'a';
            const free = (concurrency[one.lane % 3] ?? 1) - running.filter((other) => other === instance).length;
            assert(credit <= Math.max(0, free), 'nothing is fetched that has no room');
          }
          if (one.act === 'next') {
            const next = dispatch.next();
            if (next === null) continue;
            assert(!seen.has(next.item), 'a delivery runs once');
            seen.add(next.item);
            running.push(next.instance);
            assert(dispatch.running <= invocationsMax, 'the node keeps its bound');
            const ofInstance = running.filter((instance) => instance === next.instance).length;
            assert(ofInstance <= (concurrency[INSTANCES.indexOf(next.instance)] ?? 1), 'the instance keeps its concurrency');
          }
        }
        // Released until nothing waits: everything that was offered ran.
        for (;;) {
          const next = dispatch.next();
          if (next !== null) {
            seen.add(next.item);
            running.push(next.instance);
            continue;
          }
          const instance = running.pop();
          if (instance === undefined) break;
          dispatch.release(instance);
        }
        expect(seen.size).toBe(offered);
      },
    ),
  );
});

test('two bindings that always have work take turns', () => {
  const dispatch = new Dispatch<string>({ invocationsMax: 1, fetchEventsMax: 64 });
  for (const name of ['busy', 'calm']) {
    dispatch.setConcurrency(name, 10);
    dispatch.open(name, name);
  }
  for (let n = 0; n < 3; n++) {
    dispatch.offer('busy', `busy ${n}`);
    dispatch.offer('calm', `calm ${n}`);
  }
  const order: string[] = [];
  for (let next = dispatch.next(); next !== null; next = dispatch.next()) {
    order.push(next.item);
    dispatch.release(next.instance);
  }
  expect(order).toEqual(['busy 0', 'calm 0', 'busy 1', 'calm 1', 'busy 2', 'calm 2']);
});
