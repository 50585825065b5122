// The figures of a gateway are what Prometheus reads, each under a name that others rely on.
import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { createCounters } from '../../../hardware/mqtt/counters.ts';
import { exposition, GATEWAY_METRICS } from '../../../hardware/mqtt/mqtt.ts';

const PROMTOOL = 'promtool';
const HAS_PROMTOOL = spawnSync(PROMTOOL, ['--version']).status === 0;

describe('the metrics of a gateway', () => {
  const text = exposition('plant', { ...createCounters(), received: 7 }, { state: 'connected', cause: null, held: 'WM_BUS_FULL' });

  it('say what was counted, and how it is', () => {
    expect(text).toContain('\nwasmmatrix_gateway_messages_received_total{gateway="plant"} 7\n');
    expect(text).toContain('\nwasmmatrix_gateway_connected{gateway="plant"} 1\n');
    expect(text).toContain('\nwasmmatrix_gateway_held{gateway="plant"} 1\n');
    expect([...text.matchAll(/^(\w+)\{/gm)].map(([, name]) => name)).toEqual(GATEWAY_METRICS);
  });

  // Reason: a machine without promtool cannot ask it; CI installs one.
  it.skipIf(!HAS_PROMTOOL)('are in the form that Prometheus wants', () => {
    const checked = spawnSync(PROMTOOL, ['check', 'metrics'], { input: text, encoding: 'utf8' });
    expect(checked.stderr).toBe('');
    expect(checked.status).toBe(0);
  });
});
