// Prometheus metrics of one process, in a registry of their own. Owns the bound on label values: what a fleet or an attacker
// can make many of ends as `other`, so that a scrape stays small however large the fleet is.
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import { FAMILIES } from './families.ts';
import type { Family, FamilyName, LabelOf, Role } from './families.ts';

/** Bound: series of one family; further ones are counted under `other`. */
export const SERIES_MAX = 1_000;
export const OTHER = 'other';
/** Labels whose values come from operators and nodes. All others have the values of closed sets in the code. */
const OPEN_LABELS: readonly string[] = ['node', 'deployment', 'trigger', 'consumer', 'profile'];

type Labels<N extends FamilyName> = Readonly<Record<LabelOf<N>, string>>;
type Child = { readonly change: (value: number) => void };
type Kept = {
  readonly family: Family;
  readonly metric: Counter | Gauge | Histogram;
  /** Bound: `SERIES_MAX`, then as many as there are combinations of closed labels. */
  readonly children: Map<string, Child>;
};

export class Metrics {
  readonly registry = new Registry();
  readonly #kept = new Map<FamilyName, Kept>();
  readonly #seriesMax: number;

  constructor(role: Role, seriesMax = SERIES_MAX) {
    this.#seriesMax = seriesMax;
    for (const [name, family] of Object.entries(FAMILIES) as [FamilyName, Family][]) {
      if (family.of.includes(role)) this.#kept.set(name, { family, metric: this.#create(name, family), children: new Map() });
    }
  }

  /** What Prometheus expects of every process: CPU, memory, heap, event loop, open files. */
  observeProcess(): void {
    collectDefaultMetrics({ register: this.registry });
  }

  /** Counts up by `value`, sets, or observes, as the family's type is. A family of another role is passed over. */
  change<N extends FamilyName>(name: N, labels: Labels<N>, value = 1): void {
    const kept = this.#kept.get(name);
    if (kept !== undefined) this.#child(kept, labels).change(value);
  }

  /** Replaces all series of a gauge: what is not named any more is gone. */
  replace<N extends FamilyName>(name: N, series: readonly { readonly labels: Labels<N>; readonly value: number }[]): void {
    const kept = this.#kept.get(name);
    if (kept === undefined) return;
    kept.metric.reset();
    kept.children.clear();
    const sums = new Map<Child, number>();
    for (const { labels, value } of series) {
      const child = this.#child(kept, labels);
      sums.set(child, (sums.get(child) ?? 0) + value);
    }
    for (const [child, sum] of sums) child.change(sum);
  }

  text(): Promise<string> {
    return this.registry.metrics();
  }

  #create(name: FamilyName, { type, help, labels, buckets }: Family): Counter | Gauge | Histogram {
    const base = { name, help, labelNames: [...labels], registers: [this.registry] };
    if (type === 'counter') return new Counter(base);
    if (type === 'gauge') return new Gauge(base);
    return new Histogram({ ...base, ...(buckets === undefined ? {} : { buckets: [...buckets] }) });
  }

  #child(kept: Kept, labels: Readonly<Record<string, string>>): Child {
    const values = kept.family.labels.map((label) => labels[label] ?? '');
    const found = kept.children.get(keyOf(values));
    if (found !== undefined) return found;
    const isFull = kept.children.size >= this.#seriesMax;
    const shown = isFull ? kept.family.labels.map((label, i) => (OPEN_LABELS.includes(label) ? OTHER : values[i]!)) : values;
    const known = kept.children.get(keyOf(shown));
    if (known !== undefined) return known;
    const child = childOf(kept.metric, shown);
    kept.children.set(keyOf(shown), child);
    return child;
  }
}

function keyOf(values: readonly string[]): string {
  return values.join('\u0000');
}

function childOf(metric: Counter | Gauge | Histogram, values: readonly string[]): Child {
  if (metric instanceof Counter) {
    const series = metric.labels(...values);
    return { change: (value) => series.inc(value) };
  }
  if (metric instanceof Gauge) {
    const series = metric.labels(...values);
    return { change: (value) => series.set(value) };
  }
  const series = metric.labels(...values);
  return { change: (value) => series.observe(value) };
}
