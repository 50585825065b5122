// A scenario file as something that can be made smaller: its fleet written out, groups of nodes one by one, and every item of a
// list with a key, so that it can be named whatever else was taken away. Nothing here knows whether a document is a valid
// scenario: that is for the loader to say.
import { parse, stringify } from 'yaml';
import type { FleetLibrary } from '../../../scenarios/load.ts';
import { isRecord } from '../../../scenarios/shape.ts';
import { parseDuration } from '../../../scenarios/units.ts';
import { writtenMicros } from '../draw/dice.ts';

export type Fields = Readonly<Record<string, unknown>>;
/** An item of a list, as written, and the key it keeps. */
export type Item = { readonly key: number; readonly fields: Fields };

export type Document = {
  /** Question, requirements, tags, duration, quiet, platform, observe, observeState. */
  readonly head: Fields;
  readonly controller: unknown;
  readonly zones: readonly Item[];
  readonly links: readonly Item[];
  readonly cells: readonly Item[];
  readonly vehicles: readonly Item[];
  readonly nodes: readonly Item[];
  readonly steps: readonly Item[];
  readonly workload: readonly Item[];
  readonly goals: readonly Item[];
};

const LISTS = ['zones', 'links', 'cells', 'vehicles', 'nodes', 'steps', 'workload', 'goals'] as const;
export type ListName = (typeof LISTS)[number];

const MICROS_PER_MS = 1_000;

export function readDocument(text: string, library: FleetLibrary): Document {
  const { fleet, steps, workload, goals, description: _, ...head } = parse(text) as Fields;
  const { controller, zones, links, cells, vehicles, nodes } = writtenOut(fleet, library);
  let key = 0;
  const items = (list: unknown): readonly Item[] => listOf(list).map((fields) => ({ key: key++, fields }));
  return {
    head,
    controller,
    zones: items(zones),
    links: items(links),
    cells: items(cells),
    vehicles: items(vehicles),
    nodes: items(nodes),
    steps: items(steps),
    workload: items(workload),
    goals: items(goals),
  };
}

export function writeDocument({ head, controller, zones, links, cells, vehicles, nodes, steps, workload, goals }: Document): string {
  const plain = (list: readonly Item[]): readonly Fields[] => list.map(({ fields }) => fields);
  return stringify(
    {
      ...head,
      fleet: {
        controller,
        zones: plain(zones),
        ...(links.length === 0 ? {} : { links: plain(links) }),
        ...(cells.length === 0 ? {} : { cells: plain(cells) }),
        ...(vehicles.length === 0 ? {} : { vehicles: plain(vehicles) }),
        nodes: plain(nodes),
      },
      steps: plain(steps),
      ...(workload.length === 0 ? {} : { workload: plain(workload) }),
      goals: plain(goals),
    },
    { flowCollectionPadding: true },
  );
}

/** The same without the items that `isGone` names, or null when nothing is gone. */
export function without(document: Document, list: ListName, isGone: (item: Item) => boolean): Document {
  return { ...document, [list]: document[list].filter((item) => !isGone(item)) };
}

/** The same with the fields of some items changed; a change to null takes the item away. */
export function changed(document: Document, list: ListName, change: (item: Item) => Fields | null): Document {
  return {
    ...document,
    [list]: document[list].flatMap((item) => {
      const fields = change(item);
      return fields === null ? [] : [{ key: item.key, fields }];
    }),
  };
}

export function microsOf(duration: unknown): number {
  return parseDuration(String(duration)) ?? 0;
}

export function millisOf(duration: unknown): number {
  return Math.round(microsOf(duration) / MICROS_PER_MS);
}

/**
 * The same with the times that a run drew in place of those that it drew from, in the order of the steps: without a step the others
 * would draw other times.
 */
export function pinned(document: Document, micros: readonly number[]): Document {
  const steps = document.steps.map(({ key, fields }, i) => {
    const { between, ...rest } = fields;
    return { key, fields: between === undefined ? fields : { at: writtenMicros(micros[i] ?? 0), ...rest } };
  });
  return { ...document, steps };
}

/** Earliest time of a step, in milliseconds. */
export function timeOf({ fields }: Item): number {
  const { at, between } = fields;
  return millisOf(Array.isArray(between) ? between[0] : at);
}

export type Size = {
  readonly nodes: number;
  readonly faults: number;
  readonly commands: number;
  readonly workloads: number;
  readonly durationMs: number;
};

export function sizeOf({ nodes, steps, workload, head }: Document, isFault: (item: Item) => boolean): Size {
  const faults = steps.filter(isFault).length;
  return {
    nodes: nodes.length,
    faults,
    commands: steps.length - faults,
    workloads: workload.length,
    durationMs: millisOf(head['duration']),
  };
}

export function describeSize({ nodes, faults, commands, workloads, durationMs }: Size): string {
  const say = (n: number, what: string): string => `${n} ${what}${n === 1 ? '' : 's'}`;
  return `${say(nodes, 'node')}, ${say(faults, 'fault')}, ${say(commands, 'command')}, ${say(workloads, 'workload')}, ${durationMs / 1_000} s`;
}

function writtenOut(fleet: unknown, library: FleetLibrary): Fields {
  const own: Fields = isRecord(fleet) ? fleet : {};
  const use = typeof fleet === 'string' ? fleet : own['use'];
  const found = typeof use === 'string' ? library(use) : null;
  const base: Fields = found === null ? {} : (parse(found.text) as Fields);
  return {
    controller: own['controller'] ?? base['controller'],
    zones: merged(base['zones'], own['zones'], ({ zone }) => String(zone)),
    links: merged(base['links'], own['links'], ({ between }) => [...(between as readonly string[])].sort().join(' ')),
    cells: merged(base['cells'], own['cells'], ({ cell }) => String(cell)),
    vehicles: merged(base['vehicles'], own['vehicles'], ({ vehicle }) => String(vehicle)),
    nodes: merged(ungrouped(base['nodes']), ungrouped(own['nodes']), ({ node }) => String(node)),
  };
}

/** What is written later replaces what has the same name. */
function merged(base: unknown, own: unknown, nameOf: (fields: Fields) => string): readonly Fields[] {
  const all = new Map<string, Fields>();
  for (const fields of [...listOf(base), ...listOf(own)]) all.set(nameOf(fields), fields);
  return [...all.values()];
}

function ungrouped(nodes: unknown): readonly Fields[] {
  return listOf(nodes).flatMap(({ count, ...fields }) =>
    typeof count === 'number'
      ? Array.from({ length: count }, (_, i) => ({ ...fields, node: `${String(fields['node'])}-${i + 1}` }))
      : [fields],
  );
}

function listOf(value: unknown): readonly Fields[] {
  return Array.isArray(value) ? value.filter(isRecord) : [];
}
