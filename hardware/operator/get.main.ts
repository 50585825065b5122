// `get`: what there is, as a table or as data, once or with each change as it happens. A composition root.
import process from 'node:process';
import { InvalidArgumentError, type Command } from 'commander';
import { WATCH_METHOD } from '../../system/domain/operator.ts';
import { failed, ok, rejected, type Outcome } from '../../system/domain/outcome.ts';
import { viewKeyOf, type EventCursor, type StateKind, type StateViews, type WatchMessage } from '../../system/domain/watch.ts';
import { decodeWatchMessage, encodeWatchRequest } from '../../system/wire/codec/watch.ts';
import { addCommon, print, printData, refuse, sleep, withOperator, type CommonOptions, type Session } from './console.main.ts';
import { COLUMNS, formatTable, plainOf, type Column, type ViewKind } from './operator.ts';

const KINDS = Object.keys(COLUMNS) as readonly ViewKind[];
/** Pause before a stream that was lost is opened again. */
const AGAIN_MS = 500;

export function addGet(program: Command): void {
  const command = program
    .command('get')
    .summary('show nodes, modules, deployments, instances, trust, events or the matrix')
    .description(
      'Shows what there is: nodes, modules, deployments, instances, trusted keys, the recent events of the platform itself, or the matrix: for which ISA feature level of which architecture there is code of each module version, and why not for the others.',
    )
    .argument('<kind>', KINDS.join(', '), kindOf)
    .argument('[name...]', 'only those whose name is one of these, or begins with it and a slash or an @')
    .option('-w, --watch', 'go on with each change as it happens, until Ctrl-C');
  addCommon(command, { forms: true }).action(
    async (kind: ViewKind, names: readonly string[], options: CommonOptions & { readonly watch?: true }) => {
      process.exitCode = await withOperator(options, (session) =>
        options.watch === true ? watch(session, kind, names) : get(session, kind, names),
      );
    },
  );
}

function kindOf(text: string): ViewKind {
  const known = KINDS.find((kind) => kind === text || kind === `${text}s`);
  if (known === undefined) throw new InvalidArgumentError(`expected one of ${KINDS.join(', ')}.`);
  return known;
}

/** Through a watch that ends with the present state: it comes in parts, however much there is. */
async function presentOf(session: Session, kind: ViewKind): Promise<Outcome<readonly unknown[]>> {
  const opened = await session.operator.client.open(WATCH_METHOD, { deadlineMicros: session.deadlineMicros });
  if (!opened.ok) return opened;
  const stream = opened.value;
  const views: unknown[] = [];
  const sent = await stream.send(encodeWatchRequest({ kind, after: null }));
  if (!sent.ok) return sent;
  for (;;) {
    const received = await stream.receive();
    if (!received.ok) return received;
    if (received.value === null) return lost(kind);
    const message = decodeWatchMessage(received.value);
    if (!message.ok) return message;
    if (message.value.kind === 'ended') return rejected(message.value.code, message.value);
    views.push(...(message.value.kind === 'events' ? message.value.events : message.value.upserts));
    if (message.value.more) continue;
    stream.close();
    return ok(views);
  }
}

function lost(kind: ViewKind): Outcome<never> {
  return failed('WM_CANCELLED', { message: `The controller stopped while it told its ${kind}.`, next: 'Repeat the command.' });
}

/** The first column is what a thing is called. */
function selected(kind: ViewKind, views: readonly unknown[], names: readonly string[]): readonly unknown[] {
  const columns = COLUMNS[kind] as readonly Column<unknown>[];
  const nameOf = columns[kind === 'events' ? 1 : 0]?.of ?? String;
  return names.length === 0 ? views : views.filter((view) => names.some((name) => isNamed(nameOf(view), name)));
}

/** `hello` names `hello/0` and `hello@2/x86_64/x86-64`. */
function isNamed(name: string, wanted: string): boolean {
  return name === wanted || name.startsWith(`${wanted}/`) || name.startsWith(`${wanted}@`);
}

async function get(session: Session, kind: ViewKind, names: readonly string[]): Promise<number> {
  const present = await presentOf(session, kind);
  if (!present.ok) return refuse(present.error);
  const views = selected(kind, present.value, names);
  if (session.form === 'json' || session.form === 'yaml') printData(session.form, views);
  else if (views.length > 0) for (const line of table(session, kind, views, null).lines) print(line);
  else process.stderr.write(`There are no ${kind}${names.length > 0 ? ` called ${names.join(', ')}` : ''}.\n`);
  return names.length > 0 && views.length === 0 ? 1 : 0;
}

/** Rows as they change: what was shown before is not shown again. */
class Follower {
  readonly #session: Session;
  readonly #kind: ViewKind;
  readonly #names: readonly string[];
  /** As last shown, by key. */
  readonly #shown = new Map<string, string>();
  /** Keys of the present state, while it is being told. */
  #present = new Set<string>();
  #widths: readonly number[] | null = null;
  after: EventCursor | null = null;

  constructor(session: Session, kind: ViewKind, names: readonly string[]) {
    this.#session = session;
    this.#kind = kind;
    this.#names = names;
  }

  take(message: Exclude<WatchMessage, { readonly kind: 'ended' }>): void {
    if (message.kind === 'events') {
      if (message.gap) process.stderr.write('Some events in between are no longer held.\n');
      this.after = message.events.at(-1) ?? this.after;
      return this.#show(message.events);
    }
    const { phase, more, removals } = message;
    const upserts: readonly StateViews[StateKind][] = message.upserts;
    this.#show(upserts.filter((view) => this.#isNews(viewKeyOf<StateKind>(message.kind, view), view, phase)));
    for (const key of removals) this.#remove(key);
    if (phase !== 'present' || more) return undefined;
    // After a connection that was lost: what is not among the present ones has gone meanwhile.
    for (const key of this.#shown.keys()) if (!this.#present.has(key)) this.#remove(key);
    this.#present = new Set();
    return undefined;
  }

  #isNews(key: string, view: unknown, phase: 'present' | 'change'): boolean {
    if (phase === 'present') this.#present.add(key);
    const text = JSON.stringify(plainOf(view));
    const before = this.#shown.get(key);
    this.#shown.set(key, text);
    return before !== text;
  }

  #remove(key: string): void {
    this.#shown.delete(key);
    const { form } = this.#session;
    if (form === 'json') print(JSON.stringify({ removed: key }));
    else if (form === 'yaml') print(`---\nremoved: ${JSON.stringify(key)}`);
    else print(`${key} was removed`);
  }

  #show(changed: readonly unknown[]): void {
    const { form } = this.#session;
    const wanted = selected(this.#kind, changed, this.#names);
    if (form === 'json') for (const view of wanted) print(JSON.stringify(plainOf(view)));
    else if (form === 'yaml')
      for (const view of wanted) {
        print('---');
        printData('yaml', view);
      }
    else if (wanted.length > 0 || this.#widths === null) {
      const made = table(this.#session, this.#kind, wanted, this.#widths);
      this.#widths = made.widths;
      for (const line of made.lines) print(line);
    }
  }
}

/** A connection that was lost is made again, and what changed meanwhile is shown. */
async function watch(session: Session, kind: ViewKind, names: readonly string[]): Promise<number> {
  const follower = new Follower(session, kind, names);
  let stop = (): void => {};
  session.onInterrupt(() => stop());
  while (!session.interrupted()) {
    const opened = await session.operator.client.open(WATCH_METHOD, { deadlineMicros: session.deadlineMicros });
    if (!opened.ok) return refuse(opened.error);
    const stream = opened.value;
    stop = () => stream.close();
    await stream.send(encodeWatchRequest({ kind, after: follower.after }));
    for (;;) {
      const received = await stream.receive();
      if (session.interrupted() || !received.ok || received.value === null) break;
      const message = decodeWatchMessage(received.value);
      if (!message.ok) return refuse(message.error);
      if (message.value.kind !== 'ended') follower.take(message.value);
      else if (message.value.code === 'WM_WATCH_BEHIND') break;
      else return refuse(rejected(message.value.code, message.value).error);
    }
    stream.close();
    if (!session.interrupted()) await sleep(AGAIN_MS);
  }
  return 0;
}

function table(session: Session, kind: ViewKind, views: readonly unknown[], widths: readonly number[] | null) {
  const columns = COLUMNS[kind] as readonly Column<unknown>[];
  const wide = session.form === 'wide';
  return formatTable(views, columns, widths === null ? { wide, titles: true } : { wide, titles: false, widths });
}
