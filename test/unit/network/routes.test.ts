// Which of several controllers is dialled, and by whom the choice is made.
import { describe, expect, it } from 'vitest';
import { dialInTurn, Routes } from '../../../hardware/network/routes.ts';
import type { Endpoint } from '../../../system/domain/identifiers.ts';
import { failed, ok } from '../../../system/domain/outcome.ts';
import type { Outcome } from '../../../system/domain/outcome.ts';
import type { Connection } from '../../../system/ports/network.ts';

const CONTROLLER = 'controller' as Endpoint;
const ALL = ['a', 'b', 'c'];
const CONNECTION = { peer: { name: 'controller' } } as Connection;
const GONE = failed('WM_UNREACHABLE', { message: 'Nobody.', next: 'Again.' });

/** Addresses in the order in which they were dialled, of which only `up` answer. */
async function dialled(routes: Routes, up: readonly string[], given: string | readonly string[] | null = ALL): Promise<readonly string[]> {
  const order: string[] = [];
  await dialInTurn(routes.of(CONTROLLER, given), CONTROLLER, 1_000_000, async (address): Promise<Outcome<Connection>> => {
    order.push(address);
    return up.includes(address) ? ok(CONNECTION) : GONE;
  });
  return order;
}

describe('the addresses of an endpoint', () => {
  it('are dialled in turn until one answers, which is the first to be dialled from then on', async () => {
    const routes = new Routes();
    expect(await dialled(routes, ['b', 'c'])).toEqual(['a', 'b']);
    expect(await dialled(routes, ['b', 'c'])).toEqual(['b']);
    expect(await dialled(routes, ['a', 'c'])).toEqual(['b', 'c']);
    expect(await dialled(routes, [])).toEqual(['c', 'a', 'b']);
  });

  it('are left once by all who lost the same one together', async () => {
    const routes = new Routes();
    await dialled(routes, ALL);
    for (const _client of ['session', 'bus', 'state']) routes.moveOn(CONTROLLER, 'a');
    expect(await dialled(routes, ALL)).toEqual(['b']);
  });

  it('may be one, or none', async () => {
    const routes = new Routes();
    expect(await dialled(routes, [], 'a')).toEqual(['a']);
    routes.moveOn(CONTROLLER, 'a');
    expect(await dialled(routes, ['a'], 'a')).toEqual(['a']);
    expect(await dialled(routes, ALL, null)).toEqual([]);
  });

  it('share the time that there is', async () => {
    const shares: number[] = [];
    await dialInTurn(
      new Routes().of(CONTROLLER, ALL),
      CONTROLLER,
      900_000,
      async (_address, deadlineMicros): Promise<Outcome<Connection>> => {
        shares.push(deadlineMicros);
        return GONE;
      },
    );
    expect(shares[0]).toBeLessThanOrEqual(300_000);
    expect(shares[2]).toBeLessThanOrEqual(900_000);
    expect(shares[0]).toBeLessThan(shares[2]!);
  });
});
