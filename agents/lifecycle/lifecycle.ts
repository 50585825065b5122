// Which instances this node serves (R2, R5, R1.3): takes desired states in, and makes the node so. Everything between reading
// and changing its state is synchronous; what takes time (artefacts, draining, disk) ends in `#reconcile` being asked again.
// Refuses older terms and revisions, and movable work without a lease that the controller confirmed with a desired state.
// Which keys have expired the controller says; while it is out of touch, the clock of this node does (R2.4).
import type { ErrorCode } from '../../system/domain/errors.ts';
import type { Epoch, InstanceId, NodeId, Term } from '../../system/domain/identifiers.ts';
import type { InstanceServed } from '../../system/domain/node-service.ts';
import { describeError } from '../../system/domain/outcome.ts';
import type { WmError } from '../../system/domain/outcome.ts';
import { isExpired, type TrustedKey } from '../../system/domain/module.ts';
import type { Assignment, InstanceReport, Landmark, Withdrawn } from '../../system/domain/session.ts';
import { MICROS_PER_MS, type Clock, type Timer } from '../../system/ports/clock.ts';
import { Wait } from '../waiting/waiting.ts';
import type { Ports } from '../../system/ports/ports.ts';
import type { AgentBounds } from '../bounds.ts';
import { effectiveGrants, versionKeyOf } from '../cache/cache.ts';
import type { Cache, VersionKey } from '../cache/cache.ts';
import type { Delivery, EndCause, Program, ServedInstance } from '../delivery/delivery.ts';
import type { Desired } from '../session/session.ts';
import { admits, admitsTerm, highest } from './admission.ts';
import type { Seen } from './admission.ts';
import { CAUSE_LEASE, CAUSE_NOT_DESIRED, planSteps } from './plan.ts';
import type { HeldInstance, Step, VersionReadiness } from './plan.ts';
import { Reports } from './reports.ts';

export { Remembered } from './remembered.ts';
export type { Memories, PinnedKey } from './remembered.ts';

export type LifecycleHost = {
  readonly isLeaseHeld: () => boolean;
  readonly report: (report: InstanceReport) => void;
  readonly remember: (seen: Seen, desired: Uint8Array | null) => void;
};

type LifecycleTools = {
  readonly bounds: AgentBounds;
  readonly node: NodeId;
  readonly clock: Clock;
  readonly telemetry: Ports['telemetry'];
  readonly cache: Cache;
  readonly delivery: Delivery;
};

export class Lifecycle {
  readonly #tools: LifecycleTools;
  readonly #host: LifecycleHost;
  readonly #instances = new Map<InstanceId, ServedInstance>();
  /** Epochs that a broker or store refused. Bound: desired instances; forgotten with them. */
  readonly #barred = new Map<InstanceId, Epoch>();
  readonly #reports: Reports;
  #seen: Seen | null = null;
  #desired: Desired | null = null;
  /** The controller sent the desired state itself, since the last lapse of the lease and in this incarnation. */
  #isConfirmed = false;
  /** The controller has sent a desired state since the last lapse of the lease. */
  #isInTouch = false;
  #expiryCheck: Timer | null = null;
  #isStopping = false;
  #onEmpty: (() => void) | null = null;

  constructor(tools: LifecycleTools, host: LifecycleHost) {
    this.#tools = tools;
    this.#host = host;
    this.#reports = new Reports(tools.bounds.endedReportsMax);
  }

  get landmarks(): readonly Landmark[] {
    return this.#desired?.landmarks ?? [];
  }

  /** After a restart: of the last desired state only work that does not move may go on, until the controller speaks (R1.3). */
  resume(seen: Seen | null, desired: Desired | null): void {
    this.#seen = highest(seen, desired);
    this.#desired = desired;
    this.#reconcile();
    this.#checkExpiryLater();
  }

  acceptsTerm(term: Term): boolean {
    return admitsTerm(this.#seen, term);
  }

  /** A leader was believed; older ones are not from here on. */
  believed(term: Term): void {
    if (this.#seen !== null && this.#seen.term >= term) return;
    this.#seen = { term, revision: 0 };
    this.#host.remember(this.#seen, null);
  }

  /** The controller began a new incarnation of this node: what was placed on the old one may be elsewhere. */
  unconfirm(): void {
    this.#isConfirmed = false;
    this.#reconcile();
  }

  accept(desired: Desired, bytes: Uint8Array): void {
    const { term, revision } = desired;
    if (this.#isStopping) return;
    const isAdmitted = admits(this.#seen, desired);
    this.#tools.telemetry.record('agent.desired', {
      node: this.#tools.node,
      term,
      revision,
      assignments: desired.assignments.length,
      applied: isAdmitted,
    });
    if (!isAdmitted) {
      this.#tools.telemetry.log(
        'warn',
        `WM_STALE_TERM: desired state of term ${term}, revision ${revision} is refused; seen are ${this.#seen?.term} and ${this.#seen?.revision}.`,
      );
      return;
    }
    // A leader of a later term knows what was fenced before, unless an older copy of it was put back: then it decides anew, and so do
    // the broker and the store that are asked.
    if (this.#desired === null || term > this.#desired.term) this.#barred.clear();
    this.#seen = { term, revision };
    this.#desired = desired;
    this.#isConfirmed = true;
    this.#isInTouch = true;
    this.#host.remember(this.#seen, bytes);
    for (const [instance, epoch] of this.#barred) {
      if (!desired.assignments.some((assignment) => assignment.instance === instance && assignment.epoch <= epoch))
        this.#barred.delete(instance);
    }
    this.#reconcile();
    this.#confirmWithdrawn(desired.withdrawn);
    this.#confirmDesired(desired.assignments);
  }

  /** A module version became ready or was refused. */
  versionsChanged(): void {
    this.#reconcile();
  }

  leaseHeld(): void {
    this.#reconcile();
  }

  leaseLapsed(): void {
    this.#isConfirmed = false;
    for (const served of [...this.#instances.values()]) {
      if (served.assignment.movable) served.end({ text: CAUSE_LEASE, code: 'WM_LEASE_LAPSED' });
    }
    if (!this.#isInTouch) return;
    this.#isInTouch = false;
    this.#checkExpiryLater();
  }

  /** As often as it takes while the controller is out of touch: the clock of a node may be put right meanwhile. */
  #checkExpiryLater(): void {
    this.#expiryCheck?.cancel();
    if (this.#isStopping || this.#isInTouch || this.#desired?.trust.some(({ notAfterMs }) => notAfterMs !== undefined) !== true) return;
    this.#expiryCheck = this.#tools.clock.after(this.#tools.bounds.expiryCheckMs * MICROS_PER_MS, () => {
      this.#reconcile();
      this.#checkExpiryLater();
    });
  }

  #trustOf({ trust }: Desired): readonly TrustedKey[] {
    if (this.#isInTouch) return trust;
    const nowMs = this.#tools.clock.civilMs();
    return trust.map((key) => (isExpired(key, nowMs) ? { ...key, revoked: true } : key));
  }

  fenced(served: ServedInstance, error: WmError): void {
    if (served.phase === 'ended') return;
    this.#tools.telemetry.log('warn', `${served.fence.instance} (epoch ${served.fence.epoch}) stops: ${describeError(error)}`);
    this.#barred.set(served.fence.instance, served.fence.epoch);
    served.end({ text: 'fenced', code: 'WM_FENCED' });
  }

  /** State of every instance, for a hello. */
  reports(): readonly InstanceReport[] {
    return this.#reports.all();
  }

  /** What is served at this moment. */
  served(): readonly InstanceServed[] {
    return [...this.#instances.values()].map(({ assignment, phase }) => ({
      instance: assignment.instance,
      epoch: assignment.epoch,
      module: assignment.module,
      version: assignment.version,
      isDraining: phase === 'draining',
    }));
  }

  /** A session has carried these reports. */
  reported(reports: readonly InstanceReport[]): void {
    this.#reports.told(reports);
  }

  /** Takes no more work; resolves when what ran has finished and what came meanwhile is given back, or the bounds have passed. */
  async drain(): Promise<void> {
    const { bounds, clock, delivery } = this.#tools;
    this.#isStopping = true;
    const drained = new Promise<void>((resolve) => {
      this.#onEmpty = resolve;
    });
    for (const served of [...this.#instances.values()]) served.drain({ text: 'the agent stops', code: null }, bounds.stopDrainMs);
    if (this.#instances.size === 0) this.#onEmpty?.();
    await drained;
    const wait = new Wait(clock);
    void delivery.settled().then(() => wait.wake());
    await wait.for(bounds.flushMs * MICROS_PER_MS);
  }

  /** At once, all of it: the process may not go on. */
  halt(cause: string): void {
    this.#isStopping = true;
    for (const served of [...this.#instances.values()]) served.end({ text: cause, code: null });
  }

  /**
   * What does not run here, and perhaps never did or was not even heard of, is gone: the controller waits to hear so, again where it
   * was said before, since it may have wanted the instance to run when it heard that.
   */
  #confirmWithdrawn(withdrawn: readonly Withdrawn[]): void {
    for (const gone of withdrawn) {
      // What still drains says so when it has ended.
      if (this.#instances.has(gone.instance)) continue;
      const report = this.#reports.find(gone.instance);
      if (report?.epoch === gone.epoch && report.state === 'stopped') this.#host.report(report);
      else this.#report(gone, 'stopped', CAUSE_NOT_DESIRED, null);
    }
  }

  /**
   * The controller may have told this node of another version in between, in a desired state that a newer one overtook: then
   * nothing changes here, and it still waits to hear that what it wants now is running.
   */
  #confirmDesired(assignments: readonly Assignment[]): void {
    for (const { instance, epoch, version } of assignments) {
      const report = this.#reports.find(instance);
      if (report?.epoch === epoch && report.version === version && report.state !== 'stopped') this.#host.report(report);
    }
  }

  #reconcile(): void {
    if (this.#isStopping || this.#desired === null) return;
    const { cache } = this.#tools;
    const { modules, assignments } = this.#desired;
    const trust = this.#trustOf(this.#desired);
    cache.want(modules, trust, this.#versionsInUse());
    const steps = planSteps(assignments, {
      held: this.#held(),
      readiness: (assignment) => this.#readiness(assignment),
      mayServeMovable: this.#isConfirmed && this.#host.isLeaseHeld(),
      barred: this.#barred,
    });
    for (const step of steps) this.#apply(step);
    cache.want(modules, trust, this.#versionsInUse());
  }

  #apply(step: Step): void {
    switch (step.do) {
      case 'end':
        this.#instances.get(step.instance)?.end({ text: step.cause, code: step.code });
        return;
      case 'drain':
        this.#instances.get(step.instance)?.drain({ text: step.cause, code: null }, this.#tools.bounds.drainMs);
        return;
      case 'serve':
        this.#serve(step.assignment);
        return;
      case 'change': {
        const program = this.#program(step.assignment);
        if (program === null) return;
        this.#instances.get(step.assignment.instance)?.change(step.assignment, program);
        this.#report(step.assignment, 'running', 'serving', null);
        return;
      }
      case 'fail':
        this.#report(step.assignment, 'failed', step.cause, step.code);
        return;
      default:
        step satisfies never;
    }
  }

  #serve(assignment: Assignment): void {
    const program = this.#program(assignment);
    if (program === null) return;
    const { instance } = assignment;
    const served: ServedInstance = this.#tools.delivery.serve(assignment, program, (cause) => this.#ended(served, cause));
    this.#instances.set(instance, served);
    this.#report(assignment, 'running', 'serving', null);
  }

  #ended(served: ServedInstance, cause: EndCause): void {
    const { instance } = served.fence;
    if (this.#instances.get(instance) === served) this.#instances.delete(instance);
    this.#report(served.assignment, 'stopped', cause.text, cause.code);
    // The controller may have placed it here again and withdrawn that before this node heard of it.
    this.#confirmWithdrawn(
      (this.#desired?.withdrawn ?? []).filter((gone) => gone.instance === instance && gone.epoch > served.fence.epoch),
    );
    if (this.#instances.size === 0) this.#onEmpty?.();
  }

  #report({ instance, epoch, version }: Withdrawn, state: InstanceReport['state'], cause: string, code: ErrorCode | null): void {
    const report: InstanceReport = { instance, epoch, state, version, cause, code };
    if (this.#reports.add(report)) this.#host.report(report);
  }

  #held(): ReadonlyMap<InstanceId, HeldInstance> {
    const held = new Map<InstanceId, HeldInstance>();
    for (const [instance, served] of this.#instances) {
      const state = this.#tools.cache.find(this.#versionOf(served.assignment));
      held.set(instance, {
        assignment: served.assignment,
        isDraining: served.phase === 'draining',
        isProgramLost: state === null || state.kind === 'refused',
        isProgramCurrent: state?.kind === 'ready' && state.module === served.program.module && state.grant === served.program.grant,
      });
    }
    return held;
  }

  #readiness(assignment: Assignment): VersionReadiness {
    const state = this.#tools.cache.find(this.#versionOf(assignment));
    if (state === null) return { kind: 'refused', code: 'WM_MODULE_UNKNOWN', cause: 'the desired state does not bring the module version' };
    if (state.kind === 'refused') return { kind: 'refused', code: state.error.code, cause: state.error.message };
    return state;
  }

  #program(assignment: Assignment): Program | null {
    const state = this.#tools.cache.find(this.#versionOf(assignment));
    if (state?.kind !== 'ready') return null;
    return { grant: state.grant, module: state.module, grants: effectiveGrants(assignment.grants, state.grant.manifest.capabilities) };
  }

  #versionsInUse(): ReadonlySet<VersionKey> {
    return new Set([...this.#instances.values()].map((served) => this.#versionOf(served.assignment)));
  }

  #versionOf(assignment: Assignment): VersionKey {
    return versionKeyOf(assignment.module, assignment.version);
  }
}
