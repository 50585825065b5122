// R10.2, R1.3: the store is a map of versions, through refusals, fences and restarts.
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { STATE_GET_METHOD, STATE_PUT_METHOD } from '../../../system/domain/broker.ts';
import { createStateStore, type StateStore } from '../../../system/state/state.ts';
import {
  decodeStateGetReply,
  decodeStatePutReply,
  encodeStateGetRequest,
  encodeStatePutRequest,
} from '../../../system/wire/codec/broker.ts';
import { admitAll, codeOf, fenceOf, get } from '../../support/bus/site.ts';
import { MemoryTime } from '../../support/ports/memory-clock.ts';
import { MemoryDisk } from '../../support/ports/memory-storage.ts';
import { MemoryTelemetry } from '../../support/ports/memory-telemetry.ts';

const key = fc.constantFrom('a', 'b');

const steps = fc.array(
  fc.oneof(
    fc.record({
      do: fc.constant('put' as const),
      key,
      byte: fc.nat(255),
      expected: fc.option(fc.nat(4)),
      epoch: fc.option(fc.integer({ min: 1, max: 4 })),
    }),
    fc.record({ do: fc.constant('fence' as const), epoch: fc.integer({ min: 1, max: 4 }) }),
    fc.record({ do: fc.constant('restart' as const) }),
  ),
  { maxLength: 40 },
);

it('holds what was written last, under a version that grows by one', async () => {
  await fc.assert(
    fc.asyncProperty(steps, async (all) => {
      const disk = new MemoryDisk();
      const open = (): StateStore =>
        createStateStore({ storage: disk.portOf(new MemoryTime().process()), telemetry: new MemoryTelemetry() });
      let store = open();
      let fence = 0;
      const model = new Map<string, { readonly version: number; readonly byte: number }>();
      for (const step of all) {
        if (step.do === 'fence') {
          store.fence(fenceOf('app/0', step.epoch));
          fence = Math.max(fence, step.epoch);
          continue;
        }
        if (step.do === 'restart') {
          // The controller raises every fence again before anyone is served.
          store = open();
          if (fence > 0) store.fence(fenceOf('app/0', fence));
          continue;
        }
        const version = model.get(step.key)?.version ?? 0;
        const request = encodeStatePutRequest({
          key: step.key,
          value: Uint8Array.of(step.byte),
          expectedVersion: step.expected,
          fence: step.epoch === null ? null : fenceOf('app/0', step.epoch),
        });
        const written = await store.handleCall(STATE_PUT_METHOD, admitAll, request);
        const isFenced = step.epoch !== null && step.epoch < fence;
        const isConflict = step.expected !== null && step.expected !== version;
        expect(codeOf(written)).toBe(isFenced ? 'WM_FENCED' : isConflict ? 'WM_CONFLICT' : 'ok');
        if (isFenced || isConflict) continue;
        model.set(step.key, { version: version + 1, byte: step.byte });
        expect(get(decodeStatePutReply(get(written)))).toEqual({ version: version + 1 });
      }
      for (const name of ['a', 'b']) {
        const { entry } = get(
          decodeStateGetReply(get(await store.handleCall(STATE_GET_METHOD, admitAll, encodeStateGetRequest({ key: name })))),
        );
        const expected = model.get(name);
        expect(entry).toEqual(expected === undefined ? null : { version: expected.version, value: Uint8Array.of(expected.byte) });
      }
    }),
    { numRuns: 200 },
  );
});
