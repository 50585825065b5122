// What goals know of what is on the controller's disk. An older copy that is put back has still what was there when it was taken: a goal knows
// that again from then on, and nothing of what came after. Of a new disk it knows nothing. After a lie the disk may have kept any part of what
// came since; a goal forgets everything then, unless it says what it does instead.
import type { RunRecord } from '../record.ts';
import { Identifiers } from './identifiers.ts';
import { isCopyTaken, Losses } from './losses.ts';

/** Values are sets and maps again, or never changed in place. */
type Known = Map<string, unknown> | Set<string> | Identifiers;

type Copy = { readonly putBack: readonly (() => void)[]; readonly isComplete: boolean };

export class Kept {
  readonly losses = new Losses();
  readonly #known: readonly Known[];
  readonly #lied: (since: number) => void;
  /** By the fault that puts it back. Bound: copies that wait. */
  readonly #copies = new Map<string, Copy>();
  #isComplete = true;

  constructor(known: readonly Known[], lied?: (since: number) => void) {
    this.#known = known;
    this.#lied = lied ?? (() => this.#clear());
  }

  /** Whether what is not known is not there: false from a lie on, until a disk is put in whose content is known. */
  get isComplete(): boolean {
    return this.#isComplete;
  }

  /** As `Losses.observe`; what is known is what is left when it returns. */
  observe(record: RunRecord): number | null {
    const lost = this.losses.observe(record);
    if (lost !== null && record.kind === 'fault.felt') this.#lose(record.fields.fault, lost);
    else if (record.kind === 'fault.ended') this.#copies.delete(record.fields.fault);
    else if (record.kind === 'fault.begun' && isCopyTaken(record))
      this.#copies.set(record.fields.fault, { putBack: this.#known.map(copied), isComplete: this.#isComplete });
    return lost;
  }

  #lose(fault: string, since: number): void {
    if (!this.losses.isWhole) {
      this.#isComplete = false;
      return this.#lied(since);
    }
    const copy = this.#copies.get(fault);
    this.#isComplete = copy?.isComplete ?? true;
    if (copy === undefined) return this.#clear();
    for (const putBack of copy.putBack) putBack();
  }

  #clear(): void {
    for (const known of this.#known) known.clear();
  }
}

/** Copies it, and returns what makes it that copy again, once. */
function copied(known: Known): () => void {
  if (known instanceof Identifiers) {
    const copy = known.copy();
    return () => known.become(copy);
  }
  if (known instanceof Set) {
    const copy = [...known];
    return () => {
      known.clear();
      for (const value of copy) known.add(value);
    };
  }
  const copy = copyOf(known);
  return () => {
    known.clear();
    for (const [key, value] of copy) known.set(key, value);
  };
}

function copyOf(known: Map<string, unknown>): Map<string, unknown> {
  return new Map(
    [...known].map(([key, value]) => [key, value instanceof Map ? copyOf(value) : value instanceof Set ? new Set(value) : value]),
  );
}

/** Epochs that the controller which goes on gave, or knows of. Nodes may still serve what was handed out before a loss, in later ones. */
class EpochsKept {
  /** The highest of each instance, and whom it was given to where that is known. */
  readonly #given = new Map<string, { readonly epoch: number; readonly node: string | null }>();
  readonly #kept = new Kept([this.#given]);

  observe(record: RunRecord): void {
    this.#kept.observe(record);
    if (record.kind !== 'fence.raised' && record.kind !== 'instance.state') return;
    const { instance, epoch } = record.fields;
    const given = this.#given.get(instance);
    if (epoch < (given?.epoch ?? 0)) return;
    const known = given?.epoch === epoch ? given.node : null;
    this.#given.set(instance, { epoch, node: (record.kind === 'instance.state' ? record.fields.node : null) ?? known });
  }

  /** Whether this node was given this epoch before the last loss, and by nobody since. */
  isLost(instance: string, { epoch, node }: Word): boolean {
    const given = this.#given.get(instance) ?? { epoch: 0, node: null };
    return this.#kept.losses.any && (epoch > given.epoch || (epoch === given.epoch && (given.node ?? node) !== node));
  }
}

type Word = { readonly epoch: number; readonly node: string; readonly version: number };

/**
 * Who said last that it serves an instance. What a node says in an earlier epoch is no later word, nor is what it was handed by a
 * controller that has lost it since.
 */
export class ServedLast {
  readonly #said = new Map<string, Word>();
  readonly #kept = new Kept([this.#said]);
  readonly #epochs = new EpochsKept();

  observe(record: RunRecord): void {
    const before = record.kind === 'fault.felt' ? [...this.#said] : [];
    this.#epochs.observe(record);
    if (this.#kept.observe(record) !== null) for (const [instance, word] of before) this.#hear(instance, word);
    if (record.kind === 'instance.serving') this.#hear(record.fields.instance, record.fields);
  }

  of(instance: string): Word | undefined {
    return this.#said.get(instance);
  }

  #hear(instance: string, word: Word): void {
    if (word.epoch >= (this.#said.get(instance)?.epoch ?? 0) && !this.#epochs.isLost(instance, word)) this.#said.set(instance, word);
  }
}
