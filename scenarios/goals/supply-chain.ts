// P3 and P4: what may be stored and run, and which versions there are.
import type { Scenario } from '../scenario.ts';
import { describeBudget, describeMicros, describeSlack, goalOf, Ledger, type Goal } from './goal.ts';
import { deploymentOf, DeploymentsInForce } from './in-force.ts';
import { Kept } from './kept.ts';
import { Losses } from './losses.ts';
import { REPEATED_PREFIX } from './repetitions.ts';
import { Slowness } from './slowness.ts';
import { Told } from './told.ts';

/** R2.2: from the request to the commands for every affected node being issued, and from the command to the new version. */
const ROLLBACK_MICROS = 10_000;
/** How long what was sent to a node before a revocation may be on its way. */
const REVOKED_MICROS = 1_000_000;
/** Bound: acknowledged commands that are remembered, the last ones. */
const ACKNOWLEDGED_KEPT_MAX = 1_000;
/** Kinds of fault after which a node may have to fetch again what it had. */
const FORGETTING: readonly string[] = ['disk-rot', 'disk-lies', 'wipe', 'restore'];

/** P3: nothing unsigned, or signed by an untrusted or revoked key, is ever stored or instantiated; every refusal is recorded. */
export function signatures(scenario: Scenario, slackMicros = 0): Goal {
  const ledger = new Ledger('P3', 'Nothing unsigned, or signed by an untrusted or revoked key, is stored as deployable or instantiated.');
  /** Since when. */
  const trusted = new Map<string, number>();
  const everTrusted = new Set<string>();
  /** When each key was revoked. Nodes hear of it when they are next told what is desired. */
  const revoked = new Map<string, number>();
  // After a lie one that was trusted at any time since may be so again.
  const kept = new Kept([trusted], (since) => {
    for (const [key, micros] of revoked) if (micros > since) trusted.set(key, since);
  });
  /** When each node was last told. */
  const told = new Map<string, Told>();
  /** Since when each node has had a session, without a break, and the network and all machines have been at peace. */
  const connected = new Map<string, number>();
  let faults = 0;
  let peaceSince = 0;
  /** By module and version. */
  const keys = new Map<string, string>();
  const inForce = new DeploymentsInForce(scenario);
  // Out of touch an agent serves no movable work for longer than its lease, which its own clock measures.
  const leaseMicros = scenario.platform.leaseMs * 1_200 + REVOKED_MICROS + slackMicros;
  /** Whether this node must know by now that the key is not trusted: it was told since, or may not go on without being told. */
  const knows = (node: string, key: string, micros: number, movable: boolean): boolean => {
    const since = revoked.get(key);
    if (since === undefined || trusted.has(key)) return false;
    // Whoever has a session in peace is told: that nobody tells it is no excuse.
    const inTouch = faults === 0 ? Math.max(since, peaceSince, connected.get(node) ?? Infinity) : Infinity;
    return (
      (told.get(node)?.last() ?? 0) > since + REVOKED_MICROS + slackMicros ||
      (movable && micros > since + leaseMicros) ||
      micros > inTouch + leaseMicros
    );
  };
  const forged = new Map<string, string>();
  /** Forged signatures whose artefact the controller has not recorded as signed yet. */
  const forging = new Set<string>();
  /** Those that it had not recorded when it stopped: they are lost, unless its journal has them and tells of them again. */
  const cutOff = new Set<string>();
  const stored = new Set<string>();
  let refusals = 0;
  const refusalsDue = scenario.steps.filter((step) => step.do === 'push' && !step.accepted).length;
  return goalOf(
    ledger,
    (record) => {
      inForce.observe(record);
      // A key that the copy does not trust is as good as revoked now.
      if (kept.observe(record) !== null) {
        for (const key of everTrusted) {
          if (trusted.has(key)) revoked.delete(key);
          else if (!revoked.has(key)) revoked.set(key, record.micros);
        }
      }
      switch (record.kind) {
        case 'trust.added':
          trusted.set(record.fields.key, record.micros);
          everTrusted.add(record.fields.key);
          revoked.delete(record.fields.key);
          break;
        case 'trust.revoked':
          trusted.delete(record.fields.key);
          revoked.set(record.fields.key, record.micros);
          break;
        case 'agent.desired':
          if (record.fields.applied) {
            const times = told.get(record.fields.node) ?? new Told();
            told.set(record.fields.node, times);
            times.add(record.micros);
          }
          break;
        case 'agent.session':
          if (record.fields.state === 'connected') connected.set(record.fields.node, record.micros);
          else connected.delete(record.fields.node);
          break;
        case 'machine.stopped':
        case 'machine.paused':
          connected.delete(record.fields.machine);
          if (record.fields.machine === 'controller') connected.clear();
          if (record.fields.machine === 'controller' && record.kind === 'machine.stopped') {
            for (const artefact of forging) cutOff.add(artefact);
            forging.clear();
          }
          if (record.kind === 'machine.stopped') told.get(record.fields.machine)?.stop(record.micros);
          break;
        case 'fault.begun':
          faults += 1;
          break;
        // It knows what it knew at the beginning of the fault, which the node may not have been told of then.
        case 'fault.felt':
          if (record.fields.kind === 'restore') told.delete(record.fields.target);
          break;
        case 'fault.ended':
          faults -= 1;
          peaceSince = record.micros;
          break;
        case 'invocation.started': {
          const { node, instance, version, event } = record.fields;
          // A node may go by any that it was handed; one that may stay without being told is held to nothing sooner.
          const specs = inForce.sofar(deploymentOf(instance));
          const movable = specs.every((spec) => spec.whenUnreachable === 'move');
          const signed = [...new Set(specs.map(({ module }) => module as string))].map((module) => ({
            module,
            key: keys.get(`${module} ${version}`),
          }));
          const [first] = signed;
          if (first === undefined || signed.some(({ key }) => key === undefined)) break;
          ledger.expect(
            signed.some(({ key }) => !knows(node, key ?? '', record.micros, movable)),
            record,
            () => `Node ${node} ran event ${event} with ${first.module} version ${version}, whose key ${first.key} was revoked before.`,
            node,
          );
          break;
        }
        case 'forgery.made':
          forged.set(record.fields.digest, record.fields.detail);
          if (record.fields.what === 'artefact') forging.add(record.fields.digest);
          break;
        // The first one after a forgery is the forged one; the next is the controller's own hand again.
        case 'artefact.signed':
          if (forging.delete(record.fields.artefact)) break;
          if (record.correlation?.startsWith(REPEATED_PREFIX) === true && cutOff.delete(record.fields.artefact)) break;
          forged.delete(record.fields.artefact);
          break;
        case 'module.stored': {
          const { module, version, digest, key } = record.fields;
          ledger.expect(
            trusted.has(key),
            record,
            () => `Module ${module} version ${version} was stored although its key ${key} is not trusted.`,
          );
          ledger.expect(
            !forged.has(digest),
            record,
            () => `Module ${module} version ${version} was stored although its signature must not be believed: ${forged.get(digest)}.`,
          );
          stored.add(digest);
          keys.set(`${module} ${version}`, key);
          break;
        }
        case 'module.refused':
          refusals += 1;
          break;
        case 'artefact.loaded': {
          const { node, module, version, digest, artefact, key } = record.fields;
          ledger.expect(
            !forged.has(artefact) && !forged.has(digest),
            record,
            () =>
              `Node ${node} loaded ${module} version ${version} although the signature of its artefact must not be believed (${forged.get(artefact) ?? forged.get(digest)}): the agent did not check it.`,
            node,
          );
          ledger.expect(
            stored.has(digest),
            record,
            () => `Node ${node} loaded ${module} version ${version}, which was never stored as deployable.`,
            node,
          );
          ledger.expect(
            trusted.has(key) || (revoked.has(key) && !knows(node, key, record.micros, false)),
            record,
            () => `Node ${node} loaded ${module} version ${version}, signed by ${key}, which is not trusted.`,
            node,
          );
          break;
        }
        default:
      }
    },
    (end) => {
      ledger.expectByEnd(
        refusals >= refusalsDue,
        end,
        () => `${refusalsDue} pushes had to be refused, and ${refusals} refusals are on record.`,
        'controller',
      );
    },
  );
}

/** P4: version history is complete; any version can be the next one, within the rollback budget. */
export function versions(slackMicros = 0): Goal {
  const ledger = new Ledger(
    'P4',
    `Version history is complete and never rewritten; a rollback is issued within ${ROLLBACK_MICROS / 1_000} ms and served within ${ROLLBACK_MICROS / 1_000} ms of the command${describeSlack(slackMicros)}.`,
  );
  const history = new Map<string, { readonly digest: string; readonly micros: number }[]>();
  /** What it was before the controller last lost a part of it. */
  const before = new Map<string, readonly { readonly digest: string; readonly micros: number }[]>();
  const losses = new Losses();
  /** In order, by rising sequence. Bound: commands of a run. */
  let acknowledged: readonly { readonly sequence: number; readonly id: string; readonly micros: number }[] = [];
  const rollbackTo = new Map<string, { version: number; micros: number }>();
  const commanded = new Map<string, number>();
  const slowness = new Slowness();
  /** Nodes whose disk may not have what they had. */
  const forgetful = new Set<string>();
  /** Nodes whose disk was ever at fault: what is wrong with a copy shows when it is read, and that may be any time later. */
  const damaged = new Set<string>();
  /** Of each deployment its module. */
  const modules = new Map<string, string>();
  /** When one of them last had to fetch a copy: by `node artefact`, and then by `node module version`. Bound: those of the run. */
  const fetched = new Map<string, number>();
  /** Faults that last and make a node forget, and whose they are. */
  const forgetting = new Map<string, string>();
  /** When a node first served `node deployment version`: from then on it has the bytes. Before, it fetches them, which no budget bounds. */
  const served = new Map<string, number>();
  const forget = (node: string): void => {
    for (const key of served.keys()) if (key.startsWith(`${node} `)) served.delete(key);
  };
  const observed = new Map<string, Map<number, string>>();
  /** What the controller has on its disk rotted, and nothing was put in its place since. */
  let isRotten = false;
  let worstIssue = 0;
  let worstServe = 0;
  return goalOf(
    ledger,
    (record) => {
      slowness.observe(record);
      const lost = losses.observe(record);
      if (lost !== null) {
        // What was acknowledged since the copy is gone by the will of whoever put it there; what the copy has must be there.
        acknowledged = acknowledged.filter(({ micros }) => micros <= lost);
        // What may be left of an earlier loss may be left of this one.
        for (const [module, stored] of history) before.set(module, [...stored, ...(before.get(module) ?? []).slice(stored.length)]);
        for (const [module, stored] of history) {
          history.set(
            module,
            stored.filter(({ micros }) => micros <= lost),
          );
        }
        if (losses.isWhole) isRotten = false;
        // The numbers of versions, and what was wanted, may stand for something else from here on.
        for (const known of [served, rollbackTo, commanded]) known.clear();
      }
      switch (record.kind) {
        case 'module.stored': {
          const { module, version, digest } = record.fields;
          const digests = history.get(module) ?? [];
          if (version <= digests.length) {
            ledger.expect(digests[version - 1]?.digest === digest, record, () => `Module ${module} version ${version} was rewritten.`);
          } else {
            // What was told just after the copy was taken may be in it.
            const kept = before.get(module) ?? [];
            if (version <= kept.length + 1) digests.push(...kept.slice(digests.length, version - 1));
            ledger.expect(
              version === digests.length + 1,
              record,
              () => `Module ${module} got version ${version} after ${digests.length}: the history has a gap.`,
            );
            digests.push({ digest, micros: record.micros });
            history.set(module, digests);
          }
          break;
        }
        case 'deployment.applied':
          modules.set(record.fields.deployment, record.fields.module);
          break;
        case 'command.acknowledged':
          if (record.fields.sequence > (acknowledged.at(-1)?.sequence ?? 0)) {
            const { sequence, command, id } = record.fields;
            acknowledged = [...acknowledged.slice(-ACKNOWLEDGED_KEPT_MAX), { sequence, id: `${command} ${id}`, micros: record.micros }];
          }
          break;
        // R13.6: what was acknowledged is there after a restart.
        case 'controller.started': {
          ledger.expect(
            !isRotten,
            record,
            () => 'The controller started from a journal that had rotted: it has a checksum that tells, and must be refused.',
            'controller',
          );
          const last = acknowledged.at(-1);
          ledger.expect(
            record.fields.sequence >= (last?.sequence ?? 0),
            record,
            () =>
              `The controller recovered its journal up to ${record.fields.sequence}, but had acknowledged ${last?.id} at ${last?.sequence}: what was acknowledged is lost, so the journal was not synced before the reply.`,
            'controller',
          );
          break;
        }
        case 'rollback.accepted': {
          const { deployment, to } = record.fields;
          ledger.checks += 1;
          rollbackTo.set(deployment, { version: to, micros: record.micros });
          break;
        }
        case 'fault.felt':
          if (record.fields.kind === 'disk-rot' && record.fields.target === 'controller') isRotten = true;
          break;
        // The budget is one of machines at their own speed that have the code.
        case 'fault.begun':
          if (!FORGETTING.includes(record.fields.kind)) break;
          forgetful.add(record.fields.target);
          damaged.add(record.fields.target);
          forgetting.set(record.fields.fault, record.fields.target);
          forget(record.fields.target);
          break;
        case 'fault.ended':
          forgetting.delete(record.fields.fault);
          break;
        case 'rollback.issued':
          if (slowness.excuses('controller', record.micros - record.fields.micros)) break;
          worstIssue = Math.max(worstIssue, record.fields.micros);
          ledger.expect(
            record.fields.micros <= ROLLBACK_MICROS + slackMicros,
            record,
            () =>
              `The rollback of ${record.fields.deployment} to version ${record.fields.version} was issued ${describeMicros(record.fields.micros)} after the request; the budget is ${describeBudget(ROLLBACK_MICROS, slackMicros)}.`,
          );
          break;
        // Out of power or frozen, it could not do what it was told.
        case 'machine.stopped':
          if (isRotten && record.fields.machine === 'controller' && record.fields.cause.startsWith('WM_'))
            ledger.expect(
              record.fields.cause.startsWith('WM_JOURNAL_CORRUPT'),
              record,
              () => `The controller, whose journal had rotted, ended for another reason: ${record.fields.cause}`,
              'controller',
            );
          commanded.delete(record.fields.machine);
          // What its memory still had is gone now, and what its disk has shows when it starts.
          if (forgetful.has(record.fields.machine)) forget(record.fields.machine);
          if (![...forgetting.values()].includes(record.fields.machine)) forgetful.delete(record.fields.machine);
          break;
        case 'machine.paused':
          commanded.delete(record.fields.machine);
          break;
        case 'agent.desired':
          if (record.fields.applied) commanded.set(record.fields.node, record.micros);
          break;
        case 'artefact.fetched':
          if (damaged.has(record.fields.node)) fetched.set(`${record.fields.node} ${record.fields.artefact}`, record.micros);
          break;
        case 'artefact.loaded': {
          const { node, artefact, module, version } = record.fields;
          const micros = fetched.get(`${node} ${artefact}`);
          if (micros !== undefined) fetched.set(`${node} ${module} ${version}`, micros);
          break;
        }
        // Without a lease it may start nothing that could be elsewhere, however long it was told before (R1.3).
        case 'agent.lease':
          if (record.fields.state === 'held' && commanded.has(record.fields.node)) commanded.set(record.fields.node, record.micros);
          break;
        case 'instance.serving': {
          const { node, instance, version } = record.fields;
          const deployment = deploymentOf(instance);
          const wanted = rollbackTo.get(deployment);
          const since = commanded.get(node);
          const key = `${node} ${deployment} ${version}`;
          const held = served.get(key) ?? record.micros;
          served.set(key, held);
          if (since !== undefined && (held >= since || (fetched.get(`${node} ${modules.get(deployment) ?? ''} ${version}`) ?? -1) >= since))
            break;
          if (wanted === undefined || wanted.version !== version || since === undefined || since < wanted.micros) break;
          if (slowness.excuses(node, since)) break;
          worstServe = Math.max(worstServe, record.micros - since);
          ledger.expect(
            record.micros - since <= ROLLBACK_MICROS + slackMicros,
            record,
            () =>
              `Node ${node} served version ${version} of ${instance} ${describeMicros(record.micros - since)} after its command; the budget is ${describeBudget(ROLLBACK_MICROS, slackMicros)}.`,
            node,
          );
          break;
        }
        case 'module.observed': {
          const versionsSeen = observed.get(record.fields.module) ?? new Map<number, string>();
          versionsSeen.set(record.fields.version, record.fields.digest);
          observed.set(record.fields.module, versionsSeen);
          break;
        }
        default:
      }
    },
    (end) => {
      for (const [module, digests] of history) {
        digests.forEach(({ digest }, i) => {
          ledger.expectByEnd(
            observed.get(module)?.get(i + 1) === digest,
            end,
            () => `Version ${i + 1} of module ${module} was stored and is missing or changed at the end.`,
            'controller',
          );
        });
      }
      ledger.figures['issueMicrosMax'] = worstIssue;
      ledger.figures['serveMicrosMax'] = worstServe;
    },
  );
}
