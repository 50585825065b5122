// The operator of a run: signs and pushes modules, gives commands one after the other, and says so when an answer is not the
// one that the scenario expects. Everything goes through the operator API, as a user's would.
import { manifestText, type ModuleManifest, type Signature } from '../system/domain/module.ts';
import type { OperatorCommand } from '../system/domain/operator.ts';
import { describeError } from '../system/domain/outcome.ts';
import type { Course } from './course.ts';
import type { OperationSpec, StepSpec } from './scenario.ts';
import { OPS, STRANGER } from './steps.ts';

const MICROS_PER_MS = 1_000;
/** Bound: how long an operator waits for the answer to one command, reconnecting as needed. */
export const COMMAND_DEADLINE_MICROS = 30_000_000;

/** Refusals that say that what a command names is not there. After a loss they are how it is told. */
const GONE: readonly string[] = ['WM_MODULE_UNKNOWN', 'WM_DEPLOYMENT_UNKNOWN', 'WM_NODE_UNKNOWN', 'WM_SIGNER_UNTRUSTED'];

export class Operator {
  readonly #course: Course;
  /** Pushes so far, by example. */
  readonly #pushes = new Map<string, number>();
  #commands = 0;

  constructor(course: Course) {
    this.#course = course;
  }

  /** Makes the keys of the authors trusted ones, but for those that a step trusts for the first time. */
  async trust(): Promise<void> {
    const { steps } = this.#course.scenario;
    const authors = new Set([OPS, ...steps.flatMap((step) => (step.do === 'push' ? [step.author] : []))]);
    const pushed = new Set<string>();
    for (const step of steps) {
      if (step.do === 'revoke') break;
      if (step.do === 'push' && step.accepted) pushed.add(step.author);
      // Whoever has pushed before is trusted before: that step sets up again what may be lost.
      if (step.do === 'trust' && !pushed.has(step.author)) authors.delete(step.author);
    }
    for (const author of authors) await this.#trust(author, null, null);
  }

  /** For exactly what accepted pushes of the author ask for. */
  async #trust(author: string, forMicros: number | null, at: number | null): Promise<void> {
    const { testbed, scenario, stopWith } = this.#course;
    const key = await testbed.keys.open(author);
    if (!key.ok) return stopWith(`The key of ${author} could not be opened: ${describeError(key.error)}`);
    // A push that has to be refused may be one that asks for more than its signer may grant.
    const capabilities = scenario.steps.flatMap((step) =>
      step.do === 'push' && step.accepted && step.author === author ? (step.capabilities ?? []) : [],
    );
    const mayGrant = [...new Set(capabilities)].sort(compare);
    const notAfterMs = forMicros === null ? {} : { notAfterMs: testbed.clock.civilMs() + Math.ceil(forMicros / MICROS_PER_MS) };
    return this.#command({ kind: 'trust-add', publicKey: key.value.publicKey, mayGrant, ...notAfterMs }, true, at);
  }

  async #revoke(author: string, at: number): Promise<void> {
    const { testbed, stopWith } = this.#course;
    const key = await testbed.keys.open(author);
    if (!key.ok) return stopWith(`The key of ${author} could not be opened: ${describeError(key.error)}`);
    return this.#command({ kind: 'trust-revoke', key: key.value.key }, true, at);
  }

  /** `at`: its position among the steps of the scenario. */
  async operate(step: OperationSpec, at: number): Promise<void> {
    switch (step.do) {
      case 'push':
        return this.#push(step, at);
      case 'trust':
        return this.#trust(step.author, step.forMicros, at);
      case 'revoke':
        return this.#revoke(step.author, at);
      case 'deploy':
        return this.#command({ kind: 'deployment-apply', spec: step.spec }, true, at);
      case 'trigger':
        return this.#command({ kind: 'trigger-apply', spec: step.spec }, true, at);
      case 'scale':
        return this.#command({ kind: 'deployment-scale', deployment: step.deployment, replicas: step.replicas }, true, at);
      case 'rollback':
        return this.#command({ kind: 'rollback', deployment: step.deployment, version: step.version }, true, at);
      case 'drain':
        return this.#command({ kind: 'node-drain', node: step.node }, true, at);
      case 'undrain':
        return this.#command({ kind: 'node-undrain', node: step.node }, true, at);
    }
  }

  async #push(step: Extract<StepSpec, { readonly do: 'push' }>, at: number): Promise<void> {
    const { testbed, stopWith } = this.#course;
    const { keys } = testbed;
    // By example, so that no two pushes of a run have the same bytes: a digest that was refused once does not come again.
    const variant = (this.#pushes.get(step.example) ?? 0) + 1;
    this.#pushes.set(step.example, variant);
    const example = testbed.exampleModule(step.example, variant, step.model);
    if (!example.ok) return stopWith(`Example ${step.example} is not there: ${describeError(example.error)}`);
    const manifest: ModuleManifest = {
      name: step.module,
      digest: keys.digest(example.value.bytes),
      capabilities: [...(step.capabilities ?? example.value.capabilities)].sort(compare),
      limits: {
        fuelMax: step.limits.fuelMax ?? example.value.fuelMax,
        memoryBytesMax: step.limits.memoryBytesMax ?? example.value.memoryBytesMax,
        outputBytesMax: step.limits.outputBytesMax ?? example.value.outputBytesMax,
      },
    };
    let signature: Signature | null = null;
    if (step.signing !== 'unsigned') {
      const person = step.signing === 'untrusted' ? STRANGER : step.author;
      const key = await keys.open(person);
      const bytes = await keys.sign(person, new TextEncoder().encode(manifestText(manifest)));
      if (!key.ok) return stopWith(`The key ${person} could not be opened: ${describeError(key.error)}`);
      if (!bytes.ok) return stopWith(`The key ${person} did not sign: ${describeError(bytes.error)}`);
      signature = { key: key.value.key, bytes: bytes.value };
    }
    // Tampered: the manifest is changed after it was signed, as an attacker who wants more fuel would.
    const sent: ModuleManifest =
      step.signing === 'tampered' ? { ...manifest, limits: { ...manifest.limits, fuelMax: manifest.limits.fuelMax + 1 } } : manifest;
    if (step.signing !== 'trusted') testbed.record('forgery.made', { what: 'module', digest: manifest.digest, detail: step.signing });
    await this.#command({ kind: 'module-push', manifest: sent, signature, bytes: example.value.bytes }, step.accepted, at);
  }

  async #command(command: OperatorCommand, accepted: boolean, step: number | null): Promise<void> {
    const { testbed, stopWith, hasLost } = this.#course;
    const { clock } = testbed;
    this.#commands += 1;
    const id = `command-${this.#commands}`;
    const since = clock.monotonicMicros();
    testbed.record('operator.commanded', { id, command: command.kind, step });
    const reply = await testbed.execute(id, command, { deadlineMicros: COMMAND_DEADLINE_MICROS });
    const refused = !reply.ok && reply.error.kind === 'rejected';
    testbed.record('operator.answered', {
      id,
      command: command.kind,
      outcome: reply.ok ? 'done' : refused ? 'refused' : 'unknown',
      code: reply.ok ? null : reply.error.code,
      sequence: reply.ok ? reply.value.sequence : null,
      micros: clock.monotonicMicros() - since,
    });
    const isGone = !reply.ok && refused && hasLost() && GONE.includes(reply.error.code);
    if (accepted && !reply.ok && !isGone) stopWith(`The command ${command.kind} was not carried out: ${describeError(reply.error)}`);
    if (!accepted && !refused) {
      stopWith(
        `The command ${command.kind} had to be refused, and was ${reply.ok ? 'accepted: a check on the controller is missing' : `answered with ${describeError(reply.error)}`}.`,
      );
    }
  }
}

/** By code unit: the order must not depend on a locale. */
function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
