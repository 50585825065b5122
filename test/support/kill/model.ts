// What must be there: the fold of the commands that happened, in the order of the sequences that they were answered with. Written
// anew from what the documentation says of the commands, and from nothing of the controller.
import type { DeploymentSpec, TriggerSpec } from '../../../system/domain/deployment.ts';
import type { OperatorCommand, OperatorReply } from '../../../system/domain/operator.ts';

export type Happened = { readonly command: OperatorCommand; readonly reply: OperatorReply; readonly keyIdOf: (key: Uint8Array) => string };

type Deployment = { readonly spec: DeploymentSpec; readonly version: number; readonly revision: number };

export class Model {
  readonly deployments = new Map<string, Deployment>();
  readonly triggers = new Map<string, TriggerSpec>();
  readonly modules = new Map<string, string[]>();
  readonly trust = new Map<string, { readonly mayGrant: readonly string[]; readonly revoked: boolean }>();
  readonly faults: string[] = [];

  apply({ command, reply, keyIdOf }: Happened): void {
    switch (command.kind) {
      case 'trust-add':
        this.trust.set(keyIdOf(command.publicKey), { mayGrant: command.mayGrant, revoked: false });
        return;
      case 'trust-revoke':
        this.trust.set(command.key, { mayGrant: this.trust.get(command.key)?.mayGrant ?? [], revoked: true });
        return;
      case 'module-push': {
        const versions = this.modules.get(command.manifest.name) ?? [];
        versions.push(command.manifest.digest);
        this.modules.set(command.manifest.name, versions);
        if (reply.kind !== 'module-stored' || reply.version !== versions.length)
          this.faults.push(`${command.manifest.name} was answered with ${JSON.stringify(reply)} and is version ${versions.length}`);
        return;
      }
      case 'deployment-apply':
        this.#change(command.spec.name, (before) => ({
          spec: command.spec,
          version: command.spec.version ?? 0,
          revision: (before?.revision ?? 0) + 1,
        }));
        return;
      case 'deployment-scale':
        this.#changeKnown(command.deployment, ({ spec, version, revision }) => ({
          spec: { ...spec, replicas: command.replicas },
          version,
          revision: revision + 1,
        }));
        return;
      case 'rollback':
        this.#changeKnown(command.deployment, ({ spec, revision }) => ({ spec, version: command.version, revision: revision + 1 }));
        return;
      case 'deployment-delete':
        if (!this.deployments.delete(command.deployment)) this.faults.push(`${command.deployment} was deleted and was not there`);
        for (const [name, { deployment }] of this.triggers) if (deployment === command.deployment) this.triggers.delete(name);
        return;
      case 'trigger-apply':
        if (!this.deployments.has(command.spec.deployment)) this.faults.push(`trigger ${command.spec.name} has no deployment`);
        this.triggers.set(command.spec.name, command.spec);
        return;
      case 'trigger-delete':
        if (!this.triggers.delete(command.trigger)) this.faults.push(`trigger ${command.trigger} was deleted and was not there`);
        return;
      case 'node-drain':
      case 'node-undrain':
      case 'node-remove':
        this.faults.push(`the load sends no ${command.kind}`);
    }
  }

  #change(name: string, change: (before: Deployment | undefined) => Deployment): void {
    this.deployments.set(name, change(this.deployments.get(name)));
  }

  #changeKnown(name: string, change: (before: Deployment) => Deployment): void {
    const before = this.deployments.get(name);
    if (before === undefined) this.faults.push(`${name} was changed and was not there`);
    else this.deployments.set(name, change(before));
  }
}
