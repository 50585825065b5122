// What an operator may watch: the present state and each change of it, or the platform's own facts as they become durable.
// Everything that an operator saw before its connection was lost it may ask to be spared, by the cursor of the last event.
import type { DeploymentView, InstanceView } from './deployment.ts';
import type { ErrorCode } from './errors.ts';
import type { CorrelationId, Term } from './identifiers.ts';
import { keyOfCell, type MatrixCell } from './matrix.ts';
import type { ModuleVersion, TrustedKey } from './module.ts';
import type { NodeView } from './node.ts';

/** Views by the kind of state that they show. */
export type StateViews = {
  readonly nodes: NodeView;
  readonly modules: ModuleVersion;
  readonly deployments: DeploymentView;
  readonly instances: InstanceView;
  readonly trust: TrustedKey;
  readonly matrix: MatrixCell;
};
export type StateKind = keyof StateViews;
export const STATE_KINDS: readonly StateKind[] = ['nodes', 'modules', 'deployments', 'instances', 'trust', 'matrix'];

/** Place of an event: the journal record that it came with, and its number there. The same after a restart of the controller. */
export type EventCursor = { readonly sequence: number; readonly part: number };

export type EventValue = string | number | boolean | null;

/** A record of `RecordKinds`, as operators see it. Those that are not of the journal lie between two records of it. */
export type EventView = EventCursor & {
  /** Civil milliseconds at the controller. */
  readonly timeMs: number;
  readonly correlation: CorrelationId | null;
  readonly kind: string;
  readonly fields: Readonly<Record<string, EventValue>>;
};

export type WatchKind = StateKind | 'events';
export const WATCH_KINDS: readonly WatchKind[] = [...STATE_KINDS, 'events'];

export type WatchRequest = {
  readonly kind: WatchKind;
  /** For events: what comes after this one; null: all that is held. */
  readonly after: EventCursor | null;
};

type WatchFrame = {
  readonly term: Term;
  /** The record that this is as of; never less than in the message before. */
  readonly sequence: number;
  /** The present state comes first, then each change of it. */
  readonly phase: 'present' | 'change';
  /** The present state, or what belongs to this record, goes on in the next message. */
  readonly more: boolean;
};

type StateMessage<K extends StateKind> = WatchFrame & {
  readonly kind: K;
  /** In order: the same thing may be here twice, once for each of its changes. */
  readonly upserts: readonly StateViews[K][];
  /** Keys (`viewKeyOf`) of what is gone; they come after the upserts. */
  readonly removals: readonly string[];
};

/** The last message of a stream that was refused or given up. */
export type EndedMessage = { readonly kind: 'ended'; readonly code: ErrorCode; readonly message: string; readonly next: string };

export type WatchMessage =
  | { readonly [K in StateKind]: StateMessage<K> }[StateKind]
  | (WatchFrame & {
      readonly kind: 'events';
      readonly events: readonly EventView[];
      /** Some that came after the cursor are held no more. */
      readonly gap: boolean;
    })
  | EndedMessage;

export function viewKeyOf<K extends StateKind>(kind: K, view: StateViews[K]): string {
  return KEYS[kind](view);
}

const KEYS: { readonly [K in StateKind]: (view: StateViews[K]) => string } = {
  nodes: ({ facts }) => facts.node,
  modules: ({ manifest, version }) => `${manifest.name}@${version}`,
  deployments: ({ spec }) => spec.name,
  instances: ({ id }) => id,
  trust: ({ key }) => key,
  matrix: keyOfCell,
};

/** What a watcher of `kind` knows after `message`; views are by key. */
export function foldWatch<K extends StateKind>(kind: K, views: Map<string, StateViews[K]>, message: WatchMessage): void {
  if (message.kind !== kind) return;
  const { upserts, removals } = message as StateMessage<K>;
  for (const view of upserts) views.set(viewKeyOf(kind, view), view);
  for (const key of removals) views.delete(key);
}

export function compareCursors(a: EventCursor, b: EventCursor): number {
  return a.sequence === b.sequence ? a.part - b.part : a.sequence - b.sequence;
}
