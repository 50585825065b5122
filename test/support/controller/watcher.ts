// An operator that watches as people do: dials again when the stream was lost, goes on after the last event it saw.
import { WATCH_METHOD } from '../../../system/domain/operator.ts';
import {
  foldWatch,
  viewKeyOf,
  type EventCursor,
  type EventView,
  type StateKind,
  type StateViews,
  type WatchKind,
  type WatchMessage,
} from '../../../system/domain/watch.ts';
import type { ByteStream } from '../../../system/ports/network.ts';
import { decodeWatchMessage, encodeWatchRequest } from '../../../system/wire/codec/watch.ts';
import { MS, type ControllerWorld } from './world.ts';

export type Heard = { readonly micros: number; readonly message: WatchMessage };

export class TestWatcher<K extends WatchKind> {
  readonly kind: K;
  /** One list of messages for each stream that was opened. */
  readonly streams: Heard[][] = [];
  readonly #world: ControllerWorld;
  readonly #from: string;
  #stream: ByteStream | null = null;
  #cursor: EventCursor | null = null;
  #over = false;
  #done: Promise<void> = Promise.resolve();

  constructor(world: ControllerWorld, kind: K, from = 'operator') {
    this.#world = world;
    this.kind = kind;
    this.#from = from;
  }

  /** Resolves when it was told all of the present state. */
  async start(): Promise<void> {
    this.#done = this.#run();
    while (!this.streams.some((stream) => stream.some(({ message }) => message.kind !== 'ended' && !message.more)))
      await this.#world.pass(MS);
  }

  async stop(): Promise<void> {
    this.#over = true;
    this.#stream?.close();
    await this.#done;
  }

  /** What the newest stream told, folded. */
  views<S extends StateKind>(kind: S): ReadonlyMap<string, StateViews[S]> {
    const views = new Map<string, StateViews[S]>();
    for (const { message } of this.streams.at(-1) ?? []) foldWatch(kind, views, message);
    return views;
  }

  get events(): readonly EventView[] {
    return this.streams.flat().flatMap(({ message }) => (message.kind === 'events' ? message.events : []));
  }

  get hasGap(): boolean {
    return this.streams.flat().some(({ message }) => message.kind === 'events' && message.gap);
  }

  async #run(): Promise<void> {
    while (!this.#over) {
      await this.#world.stream(this.#from, WATCH_METHOD, async (opened) => {
        if (!opened.ok || this.#over) return;
        this.#stream = opened.value;
        await this.#listen(opened.value);
      });
      if (!this.#over) await this.#world.pass(200 * MS);
    }
  }

  async #listen(stream: ByteStream): Promise<void> {
    const heard: Heard[] = [];
    await stream.send(encodeWatchRequest({ kind: this.kind, after: this.#cursor }));
    for (;;) {
      const received = await stream.receive();
      if (!received.ok || received.value === null) return;
      const decoded = decodeWatchMessage(received.value);
      if (!decoded.ok) throw new Error(decoded.error.message);
      const message = decoded.value;
      if (heard.length === 0) this.streams.push(heard);
      heard.push({ micros: this.#world.kernel.now(), message });
      const last = message.kind === 'events' ? message.events.at(-1) : undefined;
      if (last !== undefined) this.#cursor = last;
    }
  }
}

export function byKey<S extends StateKind>(kind: S, views: readonly StateViews[S][]): ReadonlyMap<string, StateViews[S]> {
  return new Map(views.map((view) => [viewKeyOf(kind, view), view]));
}
