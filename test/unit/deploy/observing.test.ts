// Alerts and dashboards name only what the product says, and every alert is tried.
import { beforeAll, describe, expect, it } from 'vitest';
import { at, documentsOf, list, metricNames, metricsIn, PORTS, textOf, type Plain } from '../../support/deploy/files.ts';

let known: ReadonlySet<string>;
beforeAll(async () => {
  known = await metricNames();
});
const odd = (query: string): readonly string[] => metricsIn(query).filter((name) => !known.has(name));

type Rule = { readonly alert: string; readonly expr: string; readonly labels: Plain; readonly annotations: Plain };
const rules = list(at(documentsOf('prometheus/alerts.yml')[0], 'groups')).flatMap((group) => list(at(group, 'rules'))) as readonly Rule[];

describe('queries', () => {
  it('are read as Prometheus reads them', () => {
    expect(metricsIn('sum by (le, x) (rate(a_total{b="c",d!~"e"}[5m])) / on(f) max(g) > 0 or vector(0)')).toEqual(['a_total', 'g']);
  });
});

describe('the alert rules', () => {
  it.each(rules.map((rule) => [rule.alert, rule] as const))('%s names metrics that exist, and says what to do', (_name, rule) => {
    expect(metricsIn(rule.expr)).not.toEqual([]);
    expect(odd(rule.expr)).toEqual([]);
    expect(['critical', 'warning', 'info']).toContain(rule.labels['severity']);
    expect(String(rule.annotations['summary'])).toMatch(/\.$/);
    expect(String(rule.annotations['description'])).toMatch(/\.$/);
  });

  it('are each tried where they fire and where they do not', () => {
    const tests = list(documentsOf('prometheus/alerts.test.yml')[0]?.['tests']).map((test) => String(at(test, 'name')));
    expect([...tests].sort()).toEqual(rules.flatMap(({ alert }) => [`${alert} fires`, `${alert} is quiet`]).sort());
  });
});

describe('the scrape configurations', () => {
  it.each(['prometheus/prometheus.yml', 'compose/prometheus.yml'])('%s asks the admin ports', (name) => {
    const [configuration] = documentsOf(name);
    const ports: Readonly<Record<string, number>> = {
      'wasmmatrix-controller': PORTS.controllerAdmin,
      'wasmmatrix-agent': PORTS.agentAdmin,
      'wasmmatrix-gateway': PORTS.gatewayAdmin,
    };
    for (const job of list(configuration?.['scrape_configs']))
      for (const target of list(at(job, 'static_configs', 0, 'targets')))
        expect(Number(String(target).split(':')[1])).toBe(ports[String(at(job, 'job_name'))]);
    expect(configuration?.['rule_files']).toEqual(['alerts.yml']);
  });
});

describe('the dashboard', () => {
  const dashboard = JSON.parse(textOf('grafana/wasmmatrix.json')) as Plain;
  const panels = list(dashboard['panels']) as readonly Plain[];

  it('asks only for metrics that exist, where Grafana is told to look', () => {
    const queries = panels.flatMap((panel) => list(panel['targets']).map((target) => String(at(target, 'expr'))));
    expect(queries.flatMap(odd)).toEqual([]);
    expect(queries.flatMap(metricsIn).length).toBeGreaterThanOrEqual(queries.length);
    const source = at(documentsOf('compose/grafana.yml')[0], 'datasources', 0, 'uid');
    for (const panel of panels)
      for (const target of [panel, ...list(panel['targets'])]) expect(at(target, 'datasource', 'uid')).toBe(source);
  });

  it('has panels with names of their own that lie beside each other', () => {
    expect(new Set(panels.map((panel) => panel['title'])).size).toBe(panels.length);
    expect(new Set(panels.map((panel) => panel['id'])).size).toBe(panels.length);
    const taken = new Set<string>();
    for (const panel of panels) {
      const [x, y, w, h] = ['x', 'y', 'w', 'h'].map((key) => Number(at(panel, 'gridPos', key))) as [number, number, number, number];
      expect(x + w).toBeLessThanOrEqual(24);
      for (let column = x; column < x + w; column++)
        for (let row = y; row < y + h; row++) {
          expect(taken.has(`${column},${row}`)).toBe(false);
          taken.add(`${column},${row}`);
        }
    }
  });
});

describe('the log shipping', () => {
  it('reads the units that there are, and each part what another gives', () => {
    const [vector] = documentsOf('logs/vector.yaml');
    expect(at(vector, 'sources', 'journal', 'include_units')).toEqual(
      ['controller', 'agent', 'gateway'].map((name) => `wasmmatrix-${name}.service`),
    );
    const given = [...Object.keys(vector?.['sources'] as object), ...Object.keys(vector?.['transforms'] as object)];
    const parts = [...Object.values(vector?.['transforms'] as object), ...Object.values(vector?.['sinks'] as object)] as readonly Plain[];
    for (const part of parts) for (const input of list(part['inputs'])) expect(given).toContain(input);
  });
});
