// What an operator's command changes: checked against the head state, answered with entries or with a refusal. Pure.
// Uploads are not here: they compile, and so take time (upload.ts).
import { parseCapability } from '../domain/capability.ts';
import type { OperatorCommand } from '../domain/operator.ts';
import { ok, rejected, type Outcome } from '../domain/outcome.ts';
import type { DeploymentName } from '../domain/identifiers.ts';
import { checkDeployment, planApply, planDelete, planLetGo, planRollback, type DeploymentRecord } from '../deployments/deployments.ts';
import { checkTrigger, TRIGGERS_MAX, triggersOf } from '../events/events.ts';
import { checkDeployable } from '../modules/modules.ts';
import { planDrain, planRemove, planUndrain } from '../nodes/nodes.ts';
import type { Keys } from '../ports/keys.ts';
import type { ControllerState, Entry } from './state.ts';

/** Bound: keys of the trust store, revoked ones included, and capabilities that all of them may grant: every node is told of them. */
const KEYS_MAX = 2_048;
const GRANTABLE_MAX = 2_048;
/** Bound: capabilities that one key may grant. */
const MAY_GRANT_MAX = 256;
const PUBLIC_KEY_BYTES = 32;

export type PlannedCommand = Exclude<OperatorCommand, { readonly kind: 'module-push' }>;

export function planCommand(
  state: ControllerState,
  command: PlannedCommand,
  keys: Pick<Keys, 'keyIdOf'>,
  atMs: number,
): Outcome<readonly Entry[]> {
  switch (command.kind) {
    case 'trust-add':
      return planTrust(state, command, keys, atMs);
    case 'trust-revoke': {
      const key = state.modules.trust.get(command.key);
      if (key === undefined) {
        return rejected('WM_NOT_FOUND', {
          message: `No key ${command.key} is in the trust store.`,
          next: 'List the trusted keys for their names.',
          detail: { key: command.key },
        });
      }
      return ok(key.revoked ? [] : [{ kind: 'module-trust', key: { ...key, revoked: true } }]);
    }
    case 'deployment-apply': {
      const checked = checkDeployment(command.spec);
      if (!checked.ok) return checked;
      const version = checkDeployable(state.modules, command.spec.module, command.spec.version);
      if (!version.ok) return version;
      return ok(planApply(state.deployments, command.spec, version.value.version, atMs));
    }
    case 'deployment-scale': {
      const deployment = findDeployment(state, command.deployment);
      if (!deployment.ok) return deployment;
      const spec = { ...deployment.value.spec, replicas: command.replicas };
      const checked = checkDeployment(spec);
      if (!checked.ok) return checked;
      return ok(planApply(state.deployments, spec, deployment.value.version, atMs));
    }
    case 'deployment-delete': {
      const deployment = findDeployment(state, command.deployment);
      if (!deployment.ok) return deployment;
      const triggers = triggersOf(state.events, command.deployment).map((trigger): Entry => ({
        kind: 'trigger-deleted',
        trigger: trigger.name,
      }));
      return ok([...triggers, ...planDelete(state.deployments, command.deployment, atMs)]);
    }
    case 'rollback': {
      const deployment = findDeployment(state, command.deployment);
      if (!deployment.ok) return deployment;
      const version = checkDeployable(state.modules, deployment.value.spec.module, command.version);
      if (!version.ok) return version;
      return ok(planRollback(state.deployments, command.deployment, command.version, atMs));
    }
    case 'trigger-apply': {
      const checked = checkTrigger(command.spec);
      if (!checked.ok) return checked;
      const deployment = findDeployment(state, command.spec.deployment);
      if (!deployment.ok) return deployment;
      const { triggers } = state.events;
      if (triggers.has(command.spec.name) || triggers.size < TRIGGERS_MAX) return ok([{ kind: 'trigger-applied', spec: command.spec }]);
      return rejected('WM_ARGUMENT', {
        message: `There are ${triggers.size} triggers; '${command.spec.name}' would be one more than the bound of ${TRIGGERS_MAX}.`,
        next: 'Delete triggers that are not needed, or give one a filter that covers several subjects.',
        detail: { triggersMax: TRIGGERS_MAX },
      });
    }
    case 'trigger-delete': {
      if (state.events.triggers.has(command.trigger)) return ok([{ kind: 'trigger-deleted', trigger: command.trigger }]);
      return rejected('WM_NOT_FOUND', {
        message: `No trigger is called '${command.trigger}'.`,
        next: 'List the deployments for their triggers.',
        detail: { trigger: command.trigger },
      });
    }
    case 'node-drain':
    case 'node-undrain':
    case 'node-remove': {
      if (!state.nodes.nodes.has(command.node)) {
        return rejected('WM_NODE_UNKNOWN', {
          message: `No node is called '${command.node}'.`,
          next: 'List the nodes for their names.',
          detail: { node: command.node },
        });
      }
      if (command.kind === 'node-remove') {
        const removed = planRemove(state.nodes, command.node);
        return removed.ok ? ok([...planLetGo(state.deployments, command.node, atMs), ...removed.value]) : removed;
      }
      const plan = command.kind === 'node-drain' ? planDrain : planUndrain;
      return ok(plan(state.nodes, command.node, atMs));
    }
  }
}

function planTrust(
  state: ControllerState,
  command: Extract<PlannedCommand, { readonly kind: 'trust-add' }>,
  keys: Pick<Keys, 'keyIdOf'>,
  atMs: number,
): Outcome<readonly Entry[]> {
  const { publicKey, mayGrant, notAfterMs } = command;
  if (publicKey.length !== PUBLIC_KEY_BYTES) {
    return rejected('WM_ARGUMENT', {
      message: `A public key of ${publicKey.length} bytes is no Ed25519 key.`,
      next: `Give the raw public key, ${PUBLIC_KEY_BYTES} bytes.`,
    });
  }
  const wrong = mayGrant.find((text) => parseCapability(text) === null);
  if (wrong !== undefined || mayGrant.length > MAY_GRANT_MAX) {
    return rejected('WM_CAPABILITY_INVALID', {
      message:
        wrong === undefined
          ? `A key may grant at most ${MAY_GRANT_MAX} capabilities; ${mayGrant.length} were given.`
          : `'${wrong}' is no capability.`,
      next: 'Use capabilities of docs/reference/guest-abi.md.',
    });
  }
  if (notAfterMs !== undefined && notAfterMs <= atMs) {
    return rejected('WM_ARGUMENT', {
      message: `The key would expire at ${notAfterMs}, and it is ${atMs} now (civil milliseconds).`,
      next: 'Name a time to come.',
    });
  }
  const key = keys.keyIdOf(publicKey);
  const others = [...state.modules.trust.values()].filter((other) => other.key !== key);
  const grantable = others.reduce((count, other) => count + other.mayGrant.length, mayGrant.length);
  if (others.length >= KEYS_MAX || grantable > GRANTABLE_MAX) {
    return rejected('WM_ARGUMENT', {
      message: `With this key the trust store would hold ${others.length + 1} keys and ${grantable} capabilities; ${KEYS_MAX} and ${GRANTABLE_MAX} are the bounds.`,
      next: 'Let one key sign for several modules, and grant by wider capabilities.',
      detail: { keysMax: KEYS_MAX, capabilitiesMax: GRANTABLE_MAX },
    });
  }
  const until = notAfterMs === undefined ? {} : { notAfterMs };
  return ok([{ kind: 'module-trust', key: { key, publicKey, mayGrant, revoked: false, ...until } }]);
}

function findDeployment(state: ControllerState, name: DeploymentName): Outcome<DeploymentRecord> {
  const deployment = state.deployments.deployments.get(name);
  if (deployment !== undefined) return ok(deployment);
  return rejected('WM_DEPLOYMENT_UNKNOWN', {
    message: `No deployment is called '${name}'.`,
    next: 'List the deployments, or apply it first.',
    detail: { deployment: name },
  });
}
