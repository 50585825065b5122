// Events to guests and back: on demand, with credit, at least once, never acknowledged too early (R9, P11, P13, R8).
import { describe, expect, test } from 'vitest';
import { consumerOf } from '../../../system/domain/deployment.ts';
import { rejected, unknown } from '../../../system/domain/outcome.ts';
import type { TriggerName } from '../../../system/domain/identifiers.ts';
import type { Assignment } from '../../../system/domain/session.ts';
import { parseCapability } from '../../../system/domain/capability.ts';
import { assignmentOf, bindingOf } from '../../support/agent/assignments.ts';
import { LEG, request } from '../../support/agent/scripted-wasm.ts';
import type { Script } from '../../support/agent/scripted-wasm.ts';
import { AgentWorld, MS, S } from '../../support/agent/world.ts';

const CONSUMER = consumerOf('t' as TriggerName);
const text = (bytes: Uint8Array | undefined): string => new TextDecoder().decode(bytes);

const echo: Script = function* (options, write) {
  yield LEG;
  write(text(options.stdin));
  return 0;
};

/** Serves one script, alone, and plays `body` once it is served. */
async function serving(
  script: Script,
  body: (world: AgentWorld) => Promise<void>,
  options: { readonly capabilities?: readonly string[]; readonly assignment?: Partial<Assignment>; readonly world?: AgentWorld } = {},
): Promise<void> {
  const world = options.world ?? new AgentWorld();
  world.scripts.set('echo', script);
  await world.play(async () => {
    const capabilities = options.capabilities ?? [];
    const modules = [await world.controller.grant('echo', 1, { capabilities })];
    const grants = capabilities.map(parseCapability).filter((capability) => capability !== null);
    world.controller.desired = {
      ...world.controller.desired,
      modules,
      assignments: [assignmentOf('echo/0', { triggers: [bindingOf('t')], grants, ...options.assignment })],
    };
    await world.start();
    await world.pass(1 * S);
    expect(world.of('instance.serving').length).toBe(1);
    await body(world);
  });
}

test('an event becomes a guest, its output a result, and only then an acknowledgement', async () => {
  await serving(echo, async (world) => {
    expect(world.wasm.started).toBe(0);
    world.offer(CONSUMER, 'e1', 'hello');
    await world.pass(1 * S);
    expect(world.bus.published).toMatchObject([{ id: 'e1/t', subject: 'results.t', correlation: 'c-e1' }]);
    expect(text(world.bus.published[0]?.data)).toBe('hello');
    expect(world.bus.settled).toMatchObject([{ event: 'e1', settlement: { kind: 'ack' } }]);
    expect(world.of('invocation.finished')).toMatchObject([
      { correlation: 'c-e1', fields: { outcome: 'completed', event: 'e1', trigger: 't', instance: 'echo/0', epoch: 1 } },
    ]);
    expect(world.wasm.open).toBe(0);
  });
});

test('a guest is told its event, and nothing else', async () => {
  let environment: unknown = null;
  const script: Script = function* (options) {
    environment = options.environment;
    yield LEG;
    return 0;
  };
  await serving(script, async (world) => {
    world.offer(CONSUMER, 'e1', 'x', 3);
    await world.pass(100 * MS);
    expect(environment).toEqual([
      ['WM_EVENT_ID', 'e1'],
      ['WM_EVENT_SUBJECT', 'sensor.a'],
      ['WM_TRIGGER', 't'],
      ['WM_ATTEMPT', '3'],
    ]);
  });
});

describe('a guest that fails', () => {
  const failures: readonly (readonly [string, string, Script])[] = [
    [
      'by exit code',
      'WM_GUEST_EXIT',
      function* () {
        yield LEG;
        return 1;
      },
    ],
    [
      'by trap',
      'WM_GUEST_TRAPPED',
      function* () {
        yield { kind: 'trapped', trap: 'unreachable', message: '' };
        return 0;
      },
    ],
    [
      'by its limits',
      'WM_GUEST_EXHAUSTED',
      function* () {
        yield { kind: 'exhausted', limit: 'fuel' };
        return 0;
      },
    ],
  ];
  test.each(failures)('%s is given back with %s, and has no result', async (_how, code, script) => {
    await serving(script, async (world) => {
      world.offer(CONSUMER, 'e1');
      await world.pass(100 * MS);
      expect(world.bus.settled).toMatchObject([{ settlement: { kind: 'nak', reason: { code } } }]);
      expect(world.bus.published).toEqual([]);
      expect(world.of('invocation.finished')).toMatchObject([{ fields: { outcome: code } }]);
      expect(world.wasm.open).toBe(0);
    });
  });
});

test('a result whose fate is unknown is published again under the same name before anything is settled', async () => {
  await serving(
    echo,
    async (world) => {
      world.bus.trouble = unknown('WM_DEADLINE', { message: 'no answer', next: '' }).error;
      world.offer(CONSUMER, 'e1');
      await world.pass(200 * MS);
      expect(world.bus.settled).toEqual([]);
      world.bus.trouble = null;
      await world.pass(1 * S);
      expect(world.bus.published.map((event) => event.id)).toEqual(['e1/t']);
      expect(world.bus.settled).toMatchObject([{ settlement: { kind: 'ack' } }]);
    },
    { assignment: { triggers: [bindingOf('t', { ackWaitMs: 10_000 })] } },
  );
});

test('an event whose result cannot be published is given back, not acknowledged', async () => {
  await serving(echo, async (world) => {
    world.bus.publishTrouble = rejected('WM_EVENT_INVALID', { message: 'too large', next: '' }).error;
    world.offer(CONSUMER, 'e1');
    await world.pass(500 * MS);
    expect(world.bus.settled).toMatchObject([{ settlement: { kind: 'nak', reason: { code: 'WM_EVENT_INVALID' } } }]);
    expect(world.of('invocation.finished')).toMatchObject([{ fields: { outcome: 'WM_EVENT_INVALID' } }]);
  });
});

test('nothing is fetched beyond the concurrency of the instance', async () => {
  const slow: Script = function* () {
    yield { kind: 'leg', micros: 300 * MS };
    return 0;
  };
  await serving(
    slow,
    async (world) => {
      for (let n = 0; n < 10; n++) world.offer(CONSUMER, `e${n}`);
      await world.pass(100 * MS);
      expect(world.wasm.open).toBe(3);
      expect(world.bus.queued(CONSUMER)).toBe(7);
      await world.pass(2 * S);
      expect(world.bus.settled.length).toBe(10);
    },
    { assignment: { concurrency: 3 } },
  );
});

test('the node bounds what its instances run together, and they take turns', async () => {
  const slow: Script = function* () {
    yield { kind: 'leg', micros: 50 * MS };
    return 0;
  };
  const world = new AgentWorld({ bounds: { invocationsMax: 2 } });
  world.scripts.set('echo', slow);
  await world.play(async () => {
    const modules = [await world.controller.grant('echo', 1)];
    const assignments = [0, 1, 2].map((n) =>
      assignmentOf(`echo/${n}`, { concurrency: 8, triggers: [bindingOf(`t${n}`, { ackWaitMs: 60_000 })] }),
    );
    world.controller.desired = { ...world.controller.desired, modules, assignments };
    await world.start();
    await world.pass(1 * S);
    for (let n = 0; n < 3; n++) for (let i = 0; i < 20; i++) world.offer(consumerOf(`t${n}` as TriggerName), `e${n}-${i}`);
    let most = 0;
    for (let i = 0; i < 80; i++) {
      await world.pass(10 * MS);
      most = Math.max(most, world.wasm.open);
    }
    expect(most).toBe(2);
    const perTrigger = [0, 1, 2].map((n) => world.bus.settled.filter((one) => one.event.startsWith(`e${n}-`)).length);
    expect(Math.max(...perTrigger) - Math.min(...perTrigger)).toBeLessThanOrEqual(3);
    expect(Math.min(...perTrigger)).toBeGreaterThan(5);
  });
});

test('a delivery older than its ack wait is abandoned: it belongs to another by then', async () => {
  const slow: Script = function* (_options, write) {
    yield { kind: 'leg', micros: 1_500 * MS };
    write('late');
    return 0;
  };
  await serving(slow, async (world) => {
    world.offer(CONSUMER, 'e1');
    await world.pass(3 * S);
    expect(world.bus.published).toEqual([]);
    expect(world.bus.settled).toEqual([]);
    expect(world.of('invocation.finished')).toMatchObject([{ fields: { outcome: 'WM_CANCELLED' } }]);
    expect(world.wasm.open).toBe(0);
  });
});

test('an instance whose effect was fenced stops, and its epoch is not served again', async () => {
  await serving(echo, async (world) => {
    world.bus.fence('echo/0', 2);
    world.offer(CONSUMER, 'e1');
    await world.pass(3 * S);
    expect(world.of('instance.ended')).toMatchObject([{ fields: { instance: 'echo/0', cause: 'fenced' } }]);
    expect(world.bus.settled).toEqual([]);
    await world.controller.want({});
    await world.pass(1 * S);
    expect(world.of('instance.serving').length).toBe(1);
    expect(world.controller.last('instance')?.report).toMatchObject({ state: 'stopped', code: 'WM_FENCED' });
  });
});

test('an epoch that was fenced is served again when a leader of a later term gives it: an older copy of it was put back', async () => {
  await serving(echo, async (world) => {
    world.bus.fence('echo/0', 2);
    await world.pass(5 * S);
    expect(world.of('instance.ended')).toMatchObject([{ fields: { instance: 'echo/0', cause: 'fenced' } }]);
    world.bus.fence('echo/0', 1);
    world.controller.term += 1;
    await world.controller.want({});
    await world.pass(1 * S);
    expect(world.of('instance.serving').length).toBe(2);
    world.offer(CONSUMER, 'e1');
    await world.pass(3 * S);
    expect(world.bus.settled.length).toBe(1);
  });
});

test('an idle instance that was superseded learns it from its next fetch', async () => {
  await serving(echo, async (world) => {
    world.bus.fence('echo/0', 2);
    await world.pass(5 * S);
    expect(world.of('instance.ended')).toMatchObject([{ fields: { instance: 'echo/0', cause: 'fenced' } }]);
    world.offer(CONSUMER, 'e1');
    await world.pass(1 * S);
    expect(world.bus.queued(CONSUMER)).toBe(1);
  });
});

describe('what a guest asks of its host', () => {
  const asking = (asks: readonly (readonly [string, string])[], answers: unknown[]): Script =>
    function* () {
      for (const [operation, payload] of asks) {
        const answer = yield request(operation, payload);
        answers.push(answer?.status === 0 ? text(answer.bytes ?? undefined) : answer?.status);
      }
      return 0;
    };

  test('is done when it is granted', async () => {
    const answers: unknown[] = [];
    const asks = [
      ['state_get', 'k/a'],
      ['state_set', 'k/a\n0\none'],
      ['state_set', 'k/a\n0\ntwo'],
      ['state_get', 'k/a'],
      ['publish', 'alerts.x\nhi'],
      ['publish', 'alerts.x\nho'],
      ['log', 'line'],
    ] as const;
    await serving(
      asking(asks, answers),
      async (world) => {
        world.offer(CONSUMER, 'e1');
        await world.pass(500 * MS);
        expect(answers).toEqual([-2, '1', -3, '1\none', '', '', '']);
        expect(world.bus.published.map((event) => event.id)).toEqual(['e1/t#1', 'e1/t#2', 'e1/t']);
        expect(world.bus.published[0]).toMatchObject({ subject: 'alerts.x', correlation: 'c-e1' });
        expect(world.of('log').some((record) => record.fields.message === 'guest echo/0: line' && record.correlation === 'c-e1')).toBe(
          true,
        );
      },
      { capabilities: ['log', 'publish:alerts.>', 'state-read:k/', 'state-write:k/'] },
    );
  });

  test('is refused, recorded and reported when it is not', async () => {
    const answers: unknown[] = [];
    const asks = [
      ['state_get', 'other'],
      ['state_set', 'other\n0\nx'],
      ['publish', 'alerts.x\nhi'],
      ['log', 'line'],
      ['wasi.denied', 'path_open'],
      ['nonsense', ''],
    ] as const;
    await serving(asking(asks, answers), async (world) => {
      world.offer(CONSUMER, 'e1');
      await world.pass(500 * MS);
      expect(answers).toEqual([-1, -1, -1, -1, -1, -6]);
      expect(
        world.of('capability.refused').map((record) => [record.fields.operation, record.fields.capability, record.correlation]),
      ).toEqual([
        ['state_get', 'state-read:other', 'c-e1'],
        ['state_set', 'state-write:other', 'c-e1'],
        ['publish', 'publish:alerts.x', 'c-e1'],
        ['log', 'log', 'c-e1'],
        ['path_open', 'wasi:path_open', 'c-e1'],
      ]);
      expect(world.controller.heard.filter((message) => message.kind === 'refusal').length).toBe(5);
      expect(world.bus.state.size).toBe(0);
    });
  });

  test('is refused where the assignment grants what the module does not declare', async () => {
    const answers: unknown[] = [];
    await serving(
      asking([['log', 'line']], answers),
      async (world) => {
        world.offer(CONSUMER, 'e1');
        await world.pass(500 * MS);
        expect(answers).toEqual([-1]);
      },
      { assignment: { grants: [{ kind: 'log' }] } },
    );
  });

  test('is bounded in number, and a guest that does not stop asking is stopped', async () => {
    const statuses = new Set<number>();
    const script: Script = function* () {
      for (;;) {
        const answer = yield request('log', 'again');
        statuses.add(answer?.status ?? 99);
      }
    };
    const world = new AgentWorld({ bounds: { hostCallsMax: 5, hostCallsRefusedMax: 3 } });
    await serving(
      script,
      async () => {
        world.offer(CONSUMER, 'e1');
        await world.pass(500 * MS);
        expect([...statuses]).toEqual([0, -5]);
        expect(world.bus.settled).toMatchObject([{ settlement: { kind: 'nak', reason: { code: 'WM_GUEST_EXHAUSTED' } } }]);
        expect(world.of('invocation.finished')).toMatchObject([{ fields: { hostCalls: 9 } }]);
      },
      { capabilities: ['log'], world },
    );
  });

  test('sleeps by the clock of the node, and never past its ack wait', async () => {
    const sleeping = (micros: number): Script =>
      function* () {
        const payload = new Uint8Array(8);
        new DataView(payload.buffer).setBigUint64(0, BigInt(micros) * 1_000n, true);
        yield request('wasi.sleep', payload);
        return 0;
      };
    await serving(
      sleeping(200 * MS),
      async (world) => {
        world.offer(CONSUMER, 'e1');
        await world.pass(190 * MS);
        expect(world.bus.settled).toEqual([]);
        await world.pass(50 * MS);
        expect(world.bus.settled.length).toBe(1);
      },
      { capabilities: ['sleep'] },
    );
    await serving(
      sleeping(60 * S),
      async (world) => {
        world.offer(CONSUMER, 'e1');
        await world.pass(1_200 * MS);
        expect(world.wasm.open).toBe(0);
      },
      { capabilities: ['sleep'] },
    );
  });
});
