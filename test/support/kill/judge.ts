// Holds a controller to the log of its load: every command that was acknowledged is answered as before and has its effect, none
// is half-applied, and nothing is there that nobody asked for. Asks through the operator's API alone.
import { randomBytes } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import type { FileKeys } from '../../../hardware/keys/keys.ts';
import type { Operator } from '../../../hardware/operator/operator.ts';
import type { Endpoint } from '../../../system/domain/identifiers.ts';
import type { OperatorAnswer, OperatorCommand, OperatorQuery, OperatorReply } from '../../../system/domain/operator.ts';
import type { Outcome } from '../../../system/domain/outcome.ts';
import { createStateClient } from '../../../system/state/state.ts';
import type { Line } from './lines.ts';
import { Model } from './model.ts';

const DEADLINE_MICROS = 60_000_000;
/** Bound: commands that are sent again at a time. The controller remembers 4,096 answers; these are the newest. */
const AGAIN_MAX = 400;
const FAULTS_SHOWN = 10;

type Seen = {
  readonly deployments: Extract<OperatorAnswer, { readonly kind: 'deployments' }>['deployments'];
  readonly instances: Extract<OperatorAnswer, { readonly kind: 'instances' }>['instances'];
  readonly modules: Extract<OperatorAnswer, { readonly kind: 'modules' }>['modules'];
  readonly trust: Extract<OperatorAnswer, { readonly kind: 'trust' }>['keys'];
  readonly term: number;
};

type Sent = Extract<Line, { readonly at: 'sent' }>;

/** Lives over all checks of one load. */
export class Judge {
  readonly #keys: FileKeys;
  /** How commands ended whose end the load does not know. */
  readonly #settled = new Map<string, OperatorReply | null>();
  readonly #markers: { readonly command: OperatorCommand; readonly reply: OperatorReply }[] = [];
  #term = 0;
  #faults: string[] = [];

  constructor(keys: FileKeys) {
    this.#keys = keys;
  }

  /** What is wrong, as sentences. `lines` holds everything: nothing is outstanding. */
  async check(operator: Operator, lines: readonly Line[]): Promise<readonly string[]> {
    this.#faults = [];
    const sent = new Map(lines.filter((line) => line.at === 'sent').map((line) => [line.id, line]));
    const replies = new Map(lines.filter((line) => line.at === 'acknowledged').map((line) => [line.id, line.reply]));
    const marker = await this.#mark(operator);
    const before = await this.#look(operator);
    await this.#sendAgain(operator, sent, [...replies].slice(-AGAIN_MAX));
    this.#expect(isDeepStrictEqual(await this.#look(operator), before), 'commands that were sent again changed something');
    const open = lines.flatMap((line) => (line.at === 'unknown' && !this.#settled.has(line.id) ? [line.id] : []));
    for (const id of open) await this.#settle(operator, sent.get(id));
    const order = this.#order(lines, sent, replies);
    this.#compare(
      before,
      order.filter(({ reply }) => reply.sequence <= marker),
    );
    this.#compare(await this.#look(operator), order);
    this.#checkSequences(lines);
    await this.#checkValues(operator, lines);
    return this.#faults;
  }

  /** Commands that the load had given up and that had happened all the same. */
  get happenedUnseen(): number {
    return [...this.#settled.values()].filter((reply) => reply !== null).length;
  }

  #expect(holds: boolean, fault: string): void {
    if (!holds && this.#faults.length < FAULTS_SHOWN) this.#faults.push(fault);
  }

  async #mark(operator: Operator): Promise<number> {
    const command = { kind: 'trust-add', publicKey: new Uint8Array(randomBytes(32)), mayGrant: [] } as const;
    const reply = get(await operator.client.execute(`marker-${this.#markers.length}`, command, { deadlineMicros: DEADLINE_MICROS }));
    this.#markers.push({ command, reply });
    return reply.sequence;
  }

  async #look(operator: Operator): Promise<Seen> {
    const ask = async <K extends OperatorQuery['kind']>(kind: Exclude<K, 'plan'>): Promise<Extract<OperatorAnswer, { readonly kind: K }>> =>
      get(await operator.client.query({ kind }, { deadlineMicros: DEADLINE_MICROS })) as Extract<OperatorAnswer, { readonly kind: K }>;
    const { deployments, term } = await ask('deployments');
    this.#expect(term >= this.#term, `term ${term} follows ${this.#term}`);
    this.#term = term;
    const { instances } = await ask('instances');
    const { modules } = await ask('modules');
    const { keys } = await ask('trust');
    return { deployments, instances, modules, trust: keys, term };
  }

  async #sendAgain(
    operator: Operator,
    sent: ReadonlyMap<string, Sent>,
    replies: readonly (readonly [string, OperatorReply])[],
  ): Promise<void> {
    for (const [id, reply] of replies) {
      const command = sent.get(id)?.command;
      if (command === undefined) throw new Error(`the log acknowledges ${id}, which it never sent`);
      const again = await operator.client.execute(id, command, { deadlineMicros: DEADLINE_MICROS });
      this.#expect(
        again.ok && isDeepStrictEqual({ ...again.value }, { ...reply }),
        `${command.kind} ${id} was acknowledged with ${JSON.stringify(reply)}, and is now answered with ${JSON.stringify(again)}`,
      );
    }
  }

  /** Sending it again says how it ended: with the sequence of then, or of now. */
  async #settle(operator: Operator, sent: Sent | undefined): Promise<void> {
    if (sent === undefined) throw new Error('the log gives up a command that it never sent');
    const reply = await operator.client.execute(sent.id, sent.command, { deadlineMicros: DEADLINE_MICROS });
    if (!reply.ok && reply.error.kind !== 'rejected')
      throw new Error(`${sent.command.kind} ${sent.id} is not answered: ${reply.error.message}`);
    this.#settled.set(sent.id, reply.ok ? reply.value : null);
  }

  /** Everything that happened, as it happened; one worker's commands of one record in the order in which they were sent. */
  #order(
    lines: readonly Line[],
    sent: ReadonlyMap<string, Sent>,
    replies: ReadonlyMap<string, OperatorReply>,
  ): readonly { readonly command: OperatorCommand; readonly reply: OperatorReply }[] {
    const happened = lines.flatMap((line) => {
      if (line.at !== 'sent') return [];
      const reply = replies.get(line.id) ?? this.#settled.get(line.id) ?? null;
      return reply === null ? [] : [{ command: sent.get(line.id)!.command, reply }];
    });
    return [...happened, ...this.#markers].sort((a, b) => a.reply.sequence - b.reply.sequence);
  }

  #compare(seen: Seen, order: readonly { readonly command: OperatorCommand; readonly reply: OperatorReply }[]): void {
    const model = new Model();
    for (const happened of order) model.apply({ ...happened, keyIdOf: (key) => this.#keys.keyIdOf(key) });
    for (const fault of model.faults) this.#expect(false, fault);

    const same = (what: string, found: readonly unknown[], wanted: readonly unknown[]): void => {
      const [there, acknowledged] = [new Set(found.map(canonical)), new Set(wanted.map(canonical))];
      const lost = [...acknowledged].find((text) => !there.has(text));
      const odd = [...there].find((text) => !acknowledged.has(text));
      this.#expect(lost === undefined, `${what}: acknowledged and not there: ${lost}`);
      this.#expect(odd === undefined, `${what}: there and never asked for: ${odd}`);
      this.#expect(found.length === there.size, `${what}: there more than once`);
    };
    same(
      'deployments',
      seen.deployments.map(({ spec, version, revision }) => ({ spec, version, revision })),
      [...model.deployments.values()],
    );
    same(
      'triggers',
      seen.deployments.flatMap(({ triggers }) => triggers),
      [...model.triggers.values()],
    );
    same(
      'trusted keys',
      seen.trust.flatMap(({ key, mayGrant, revoked }) => ({ key, mayGrant, revoked })),
      [...model.trust].map(([key, trusted]) => ({ key, ...trusted })),
    );
    same(
      'versions',
      seen.modules.map(({ manifest, version }) => `${manifest.name} ${version} ${manifest.digest}`),
      [...model.modules].flatMap(([name, digests]) => digests.map((digest, i) => `${name} ${i + 1} ${digest}`)),
    );
    const wanted = seen.instances.filter(({ state }) => state !== 'stopped');
    same(
      'instances',
      wanted.map(({ id }) => id),
      [...model.deployments.values()].flatMap(({ spec }) => Array.from({ length: spec.replicas }, (_, i) => `${spec.name}/${i}`)),
    );
  }

  /** Whoever asks after an answer is answered with a later sequence. */
  #checkSequences(lines: readonly Line[]): void {
    const workers = new Map(lines.filter((line) => line.at === 'sent').map(({ id, worker }) => [id, worker]));
    const last = new Map<string, number>();
    for (const line of lines) {
      if (line.at !== 'acknowledged' && line.at !== 'published') continue;
      const [source, sequence] =
        line.at === 'published' ? [`events ${line.worker}`, line.sequence] : [`commands ${workers.get(line.id)}`, line.reply.sequence];
      const before = last.get(source) ?? 0;
      this.#expect(sequence > before, `${line.id} was answered with ${sequence} after ${before}`);
      last.set(source, sequence);
    }
  }

  async #checkValues(operator: Operator, lines: readonly Line[]): Promise<void> {
    const acknowledged = new Map<string, number>();
    const asked = new Map<string, number>();
    for (const line of lines) {
      if (line.at === 'put') acknowledged.set(line.key, Math.max(acknowledged.get(line.key) ?? 0, line.version));
      if (line.at === 'putting') asked.set(line.key, Math.max(asked.get(line.key) ?? 0, line.version));
    }
    const state = createStateClient({ network: operator.network }, { store: 'controller' as Endpoint });
    for (const [key, version] of acknowledged) {
      const entry = get(await state.get(key, { deadlineMicros: DEADLINE_MICROS }));
      const value = entry === null ? null : new TextDecoder().decode(entry.value);
      this.#expect(
        entry !== null && entry.version >= version && entry.version <= (asked.get(key) ?? 0) && value === String(entry.version),
        `${key} is version ${entry?.version} with '${value}', and version ${version} was acknowledged`,
      );
    }
  }
}

/** Events: those that were acknowledged and did not come, that came and nobody published, that came after they were settled. */
export function judgeEvents(lines: readonly Line[]): { readonly missing: number; readonly faults: readonly string[] } {
  const published = new Set<string>();
  const asked = new Set<string>();
  const received = new Set<string>();
  const settled = new Set<string>();
  const faults: string[] = [];
  for (const line of lines) {
    if (line.at === 'publishing') asked.add(line.id);
    if (line.at === 'published') published.add(line.id);
    if (line.at === 'settled') settled.add(line.id);
    if (line.at !== 'received') continue;
    if (!asked.has(line.id)) faults.push(`event ${line.id} came and was never published`);
    if (settled.has(line.id)) faults.push(`event ${line.id} came after it was settled`);
    received.add(line.id);
  }
  return { missing: [...published].filter((id) => !received.has(id)).length, faults };
}

/** The same text for the same value, whatever the order of its fields. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}

function get<T>(outcome: Outcome<T>): T {
  if (!outcome.ok) throw new Error(`${outcome.error.code}: ${outcome.error.message}`);
  return outcome.value;
}
