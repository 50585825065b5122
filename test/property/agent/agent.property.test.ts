// The whole agent under random trouble: whatever was cut, paused, restarted, revoked or told in between, nothing of movable work
// takes effect without a lease, no guest is left open, and in the end the node is as desired (R1.3, P3, P11).
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { consumerOf } from '../../../system/domain/deployment.ts';
import type { TriggerName } from '../../../system/domain/identifiers.ts';
import { assert } from '../../../system/domain/outcome.ts';
import type { Assignment } from '../../../system/domain/session.ts';
import { CLOUD, FLEET } from '../../contract/sim-world.ts';
import { assignmentOf, bindingOf, epoch } from '../../support/agent/assignments.ts';
import { LEG } from '../../support/agent/scripted-wasm.ts';
import { AgentWorld, MS, S } from '../../support/agent/world.ts';

const INSTANCES = 3;
/** The ordinal of the instance that goes on without a lease. */
const STAYS = 2;
const CUT = { kind: 'partition', a: [CLOUD], b: [FLEET] } as const;

const wish = fc.record({
  what: fc.constant('want' as const),
  instances: fc.array(fc.record({ version: fc.integer({ min: 1, max: 3 }), raise: fc.boolean(), isWanted: fc.boolean() }), {
    minLength: INSTANCES,
    maxLength: INSTANCES,
  }),
});
const trouble = fc.constantFrom('cut', 'heal', 'pause', 'resume', 'hang up', 'restart', 'revoke', 'trust', 'mute', 'answer');
const step = fc.record({
  waitMs: fc.integer({ min: 1, max: 3_000 }),
  act: fc.oneof({ weight: 2, arbitrary: wish }, { weight: 3, arbitrary: trouble }),
});

type Wish = {
  readonly what: 'want';
  readonly instances: readonly {
    readonly version: number;
    readonly raise: boolean;
    readonly isWanted: boolean;
  }[];
};

class Play {
  readonly world = new AgentWorld();
  readonly #epochs = Array.from({ length: INSTANCES }, () => 1);
  #isCut = false;
  #events = 0;

  constructor() {
    this.world.scripts.set('echo', function* () {
      for (let n = 0; n < 5; n++) yield { kind: 'leg', micros: 40 * MS };
      yield LEG;
      return 0;
    });
  }

  async begin(): Promise<void> {
    const { controller } = this.world;
    const modules = [await controller.grant('echo', 1), await controller.grant('echo', 2), await controller.grant('echo', 3)];
    controller.desired = { ...controller.desired, modules };
    await this.world.start();
  }

  async act(act: Wish | string): Promise<void> {
    const { world } = this;
    if (typeof act !== 'string') return world.controller.want({ assignments: this.#assignments(act) });
    if (act === 'cut' && !this.#isCut) world.sim.network.begin('cut', CUT);
    if (act === 'heal' && this.#isCut) world.sim.network.end('cut');
    if (act === 'cut' || act === 'heal') this.#isCut = act === 'cut';
    if (act === 'pause') world.machine.pause();
    if (act === 'resume') world.machine.resume();
    if (act === 'hang up') world.controller.hangUp();
    if (act === 'restart' && !world.machine.paused) await world.restart();
    if (act === 'mute' || act === 'answer') world.controller.answersHeartbeats = act === 'answer';
    const trust = world.controller.desired.trust.map((key) => ({ ...key, revoked: act === 'revoke' }));
    if (act === 'revoke' || act === 'trust') await world.controller.want({ trust });
    return undefined;
  }

  async pass(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= 100) {
      for (let n = 0; n < INSTANCES; n++)
        if (this.#events < 400) this.world.offer(consumerOf(`t${n}` as TriggerName), `e${++this.#events}`);
      await this.world.pass(Math.min(left, 100) * MS);
    }
  }

  async settle(): Promise<void> {
    for (const act of ['heal', 'resume', 'trust', 'answer']) await this.act(act);
    await this.world.pass(20 * S);
    await this.world.controller.want({});
    await this.world.pass(5 * S);
  }

  #assignments(wished: Wish): readonly Assignment[] {
    return wished.instances.flatMap(({ version, raise, isWanted }, n) => {
      if (raise) this.#epochs[n] = (this.#epochs[n] ?? 1) + 1;
      const triggers = [bindingOf(`t${n}`, { ackWaitMs: 5_000 })];
      return isWanted
        ? [assignmentOf(`echo/${n}`, { version, epoch: epoch(this.#epochs[n] ?? 1), movable: n !== STAYS, triggers, concurrency: 2 })]
        : [];
    });
  }
}

function assertNoEffectWithoutLease(world: AgentWorld): void {
  const leases = world.of('agent.lease');
  const boots = world.records.filter((record) => record.kind === 'agent.started');
  for (const one of world.of('invocation.started')) {
    const { instance } = one.fields;
    if (instance === `echo/${STAYS}`) continue;
    const boot = boots.findLast((record) => record.micros <= one.micros)?.micros ?? 0;
    const state = leases.findLast((record) => record.micros <= one.micros && record.micros >= boot)?.fields.state;
    assert(state === 'held', `at ${one.micros} µs a guest of ${instance} starts under a lease that is ${state ?? 'not there'}`);
  }
}

test('nothing takes effect without a lease, nothing is left open, and the node ends as desired', { timeout: 120_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 3, maxLength: 14 }), async (steps) => {
      const play = new Play();
      const { world } = play;
      await world.play(async () => {
        await play.begin();
        for (const { waitMs, act } of steps) {
          await play.pass(waitMs);
          await play.act(act);
        }
        await play.settle();
      });
      assertNoEffectWithoutLease(world);
      const wanted = world.controller.desired.assignments.map((one) => `${one.instance} epoch ${one.epoch} version ${one.version}`).sort();
      expect(servedAtEnd(world)).toEqual(wanted);
      expect(world.wasm.open).toBe(0);
    }),
    { numRuns: 60 },
  );
});

function servedAtEnd(world: AgentWorld): readonly string[] {
  const served = new Map<string, string>();
  for (const record of world.records) {
    if (record.kind === 'agent.started') served.clear();
    if (record.kind === 'instance.serving')
      served.set(record.fields.instance, `${record.fields.instance} epoch ${record.fields.epoch} version ${record.fields.version}`);
    if (record.kind === 'instance.ended') served.delete(record.fields.instance);
  }
  return [...served.values()].sort();
}
