// Kubernetes, compose and container files, against rules of their own: names that must meet, and what a process must not be given.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { at, DEPLOY, deployFiles, documentsOf, list, PORTS, textOf, type Plain } from '../../support/deploy/files.ts';

const KUBERNETES = deployFiles().filter((name) => name.startsWith('kubernetes/') && !name.endsWith('kustomization.yaml'));
const OBJECTS = KUBERNETES.flatMap(documentsOf);
const VERSIONS: Readonly<Record<string, string>> = {
  Namespace: 'v1',
  ServiceAccount: 'v1',
  ConfigMap: 'v1',
  Service: 'v1',
  StatefulSet: 'apps/v1',
  DaemonSet: 'apps/v1',
  PodDisruptionBudget: 'policy/v1',
  NetworkPolicy: 'networking.k8s.io/v1',
};
const WORKLOADS = OBJECTS.filter(({ kind }) => kind === 'StatefulSet' || kind === 'DaemonSet');
const of = (kind: string): readonly Plain[] => OBJECTS.filter((object) => object['kind'] === kind);
const nameOf = (object: unknown): string => String(at(object, 'metadata', 'name'));
const containersOf = (workload: Plain, what = 'containers'): readonly unknown[] => list(at(workload, 'spec', 'template', 'spec', what));
const names = (values: readonly unknown[]): readonly string[] => values.map((value) => String(at(value, 'name')));

describe('the Kubernetes manifests', () => {
  it('are objects of known kinds in one namespace, all of them applied', () => {
    for (const object of OBJECTS) {
      expect(VERSIONS[String(object['kind'])]).toBe(object['apiVersion']);
      expect(nameOf(object)).toMatch(/^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/);
      expect(object['kind'] === 'Namespace' ? 'wasmmatrix' : at(object, 'metadata', 'namespace')).toBe('wasmmatrix');
    }
    expect(new Set(OBJECTS.map((object) => `${String(object['kind'])}/${nameOf(object)}`)).size).toBe(OBJECTS.length);
    const [kustomization] = documentsOf('kubernetes/kustomization.yaml');
    expect(list(kustomization?.['resources']).map(String).sort()).toEqual(KUBERNETES.map((name) => name.replace('kubernetes/', '')));
    expect(WORKLOADS.map(({ kind }) => String(kind)).sort()).toEqual(['DaemonSet', 'StatefulSet']);
  });

  it('select the pods that they mean', () => {
    const pods = WORKLOADS.map((workload) => JSON.stringify(at(workload, 'spec', 'template', 'metadata', 'labels')));
    for (const workload of WORKLOADS) expect(pods).toContain(JSON.stringify(at(workload, 'spec', 'selector', 'matchLabels')));
    for (const service of of('Service')) expect(pods).toContain(JSON.stringify(at(service, 'spec', 'selector')));
    for (const budget of of('PodDisruptionBudget')) expect(pods).toContain(JSON.stringify(at(budget, 'spec', 'selector', 'matchLabels')));
    for (const policy of of('NetworkPolicy').filter((each) => nameOf(each) !== 'default-deny'))
      expect(pods).toContain(JSON.stringify(at(policy, 'spec', 'podSelector', 'matchLabels')));
    expect(names(of('Service').map((service) => at(service, 'metadata')))).toContain(
      String(at(of('StatefulSet')[0], 'spec', 'serviceName')),
    );
  });

  it('deny what they do not allow, and allow the ports that are served', () => {
    expect(
      at(
        of('NetworkPolicy').find((each) => nameOf(each) === 'default-deny'),
        'spec',
      ),
    ).toEqual({ podSelector: {}, policyTypes: ['Ingress'] });
    for (const workload of WORKLOADS) {
      const policy = of('NetworkPolicy').find((each) => nameOf(each) === nameOf(workload));
      const allowed = list(at(policy, 'spec', 'ingress')).flatMap((rule) => list(at(rule, 'ports')).map((port) => at(port, 'port')));
      expect(allowed).toEqual(
        containersOf(workload).flatMap((container) => list(at(container, 'ports')).map((port) => at(port, 'containerPort'))),
      );
    }
    for (const service of of('Service'))
      for (const port of list(at(service, 'spec', 'ports')))
        expect([
          [PORTS.controller, 'grpc'],
          [PORTS.controllerAdmin, 'admin'],
        ]).toContainEqual([at(port, 'port'), at(port, 'targetPort')]);
  });

  it.each(WORKLOADS.map((workload) => [nameOf(workload), workload] as const))(
    '%s is probed, bounded, and may do nothing',
    (_name, workload) => {
      const pod = at(workload, 'spec', 'template', 'spec');
      expect(at(pod, 'automountServiceAccountToken')).toBe(false);
      expect(names(of('ServiceAccount').map((account) => at(account, 'metadata')))).toContain(at(pod, 'serviceAccountName'));
      expect(at(pod, 'securityContext', 'seccompProfile', 'type')).toBe('RuntimeDefault');
      const mounted = [
        ...names(list(at(pod, 'volumes'))),
        ...names(list(at(workload, 'spec', 'volumeClaimTemplates')).map((claim) => at(claim, 'metadata'))),
      ];
      const main = containersOf(workload);
      for (const container of [...main, ...containersOf(workload, 'initContainers')]) {
        expect(at(container, 'image')).toMatch(/^wasmmatrix\/(?:controller|agent):\d+\.\d+\.\d+$/);
        expect(at(container, 'securityContext')).toMatchObject({
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ['ALL'] },
        });
        expect([at(container, 'resources', 'requests', 'memory'), at(container, 'resources', 'limits', 'memory')]).not.toContain(undefined);
        for (const mount of list(at(container, 'volumeMounts'))) expect(mounted).toContain(at(mount, 'name'));
      }
      for (const container of main) {
        const userOf = (key: string): unknown => at(container, 'securityContext', key) ?? at(pod, 'securityContext', key);
        expect([userOf('runAsNonRoot'), userOf('runAsUser')]).toEqual([true, 10_001]);
        const ports = names(list(at(container, 'ports')));
        const probes = { startupProbe: '/healthz', livenessProbe: '/healthz', readinessProbe: '/readyz' };
        for (const [probe, path] of Object.entries(probes)) {
          expect(at(container, probe, 'httpGet', 'path')).toBe(path);
          expect(ports).toContain(at(container, probe, 'httpGet', 'port'));
        }
      }
      const annotated = at(workload, 'spec', 'template', 'metadata', 'annotations', 'prometheus.io/port');
      expect(list(at(main[0], 'ports')).map((port) => String(at(port, 'containerPort')))).toContain(annotated);
      for (const volume of list(at(pod, 'volumes'))) {
        const map = at(volume, 'configMap', 'name');
        expect(map === undefined || of('ConfigMap').some((each) => nameOf(each) === map)).toBe(true);
      }
    },
  );
});

describe('the compose file', () => {
  const [compose] = documentsOf('compose/compose.yaml');
  const services = Object.entries(at(compose, 'services') as Record<string, Plain>);

  it('starts NATS, a controller, two agents, Prometheus and Grafana', () => {
    expect(services.map(([name]) => name)).toEqual(['nats', 'controller', 'agent-1', 'agent-2', 'prometheus', 'grafana']);
  });

  it.each(services)(
    '%s mounts what there is, on networks and volumes that are declared, and is reached from this machine only',
    (_name, service) => {
      for (const network of list(service['networks'])) expect(Object.keys(at(compose, 'networks') as object)).toContain(network);
      for (const mount of list(service['volumes']).map(String)) {
        const [from = ''] = mount.split(':');
        expect(from.startsWith('.') ? existsSync(join(DEPLOY, 'compose', from)) : from in (at(compose, 'volumes') as object)).toBe(true);
      }
      for (const other of Object.keys((service['depends_on'] as object | undefined) ?? {}))
        expect(services.map(([name]) => name)).toContain(other);
      for (const port of list(service['ports'])) expect(port).toMatch(/^127\.0\.0\.1:\d+:\d+$/);
      expect(String(service['image'])).toMatch(/^wasmmatrix\/(?:controller|agent)$|:v?\d+\.\d+/);
      expect(service['restart']).toBe('unless-stopped');
    },
  );

  it('gives our processes a root that cannot be written, and no capabilities', () => {
    for (const [, service] of services.filter(([, { image }]) => String(image).startsWith('wasmmatrix/')))
      expect(service).toMatchObject({ read_only: true, cap_drop: ['ALL'], security_opt: ['no-new-privileges:true'], tmpfs: ['/tmp'] });
  });

  it('has a NATS server that syncs what it acknowledges, as the controller demands', () => {
    expect(textOf('compose/nats.conf')).toMatch(/^ {2}sync_interval: always$/m);
    expect(at(compose, 'services', 'controller', 'environment')).toEqual({
      WASMMATRIX_BUS: 'nats',
      WASMMATRIX_NATS_SERVERS: 'nats://nats:4222',
      WASMMATRIX_NATS_MONITORS: 'http://nats:8222',
    });
  });
});

describe('the Containerfile', () => {
  const lines = textOf('container/Containerfile')
    .replaceAll(/\\\n\s*/g, '')
    .split('\n');
  const instructions = lines
    .filter((line) => /^[A-Z]+ /.test(line))
    .map((line) => [line.split(' ')[0] ?? '', line.slice(line.indexOf(' ') + 1)] as const);
  const all = (name: string): readonly string[] => instructions.filter(([instruction]) => instruction === name).map(([, rest]) => rest);

  it('builds on images of a version, stage by stage, one for each process', () => {
    const stages = all('FROM').map((from) => /^(\S+) AS (\S+)$/.exec(from)?.slice(1) ?? []);
    for (const [i, [base = '']] of stages.entries())
      expect(/:\d/.test(base) || stages.slice(0, i).some(([, name]) => name === base)).toBe(true);
    expect(stages.map(([, name]) => name)).toEqual(['build', 'runtime', 'controller', 'agent', 'gateway']);
  });

  it('copies only what is in the repository', () => {
    for (const copied of all('COPY').filter((rest) => !rest.startsWith('--from')))
      for (const source of copied.split(' ').slice(0, -1)) expect(existsSync(join(DEPLOY, '..', '..', source))).toBe(true);
  });

  it('runs as nobody in particular, is probed, and offers the ports of its settings', () => {
    expect(all('USER')).toEqual(['10001:10001']);
    expect(all('EXPOSE')).toEqual([
      `${PORTS.controller} ${PORTS.controllerAdmin}`,
      `${PORTS.agent} ${PORTS.agentAdmin}`,
      `${PORTS.gatewayAdmin}`,
    ]);
    expect(all('HEALTHCHECK').map((check) => /127\.0\.0\.1:(\d+)\/healthz/.exec(check)?.[1])).toEqual(
      [PORTS.controllerAdmin, PORTS.agentAdmin, PORTS.gatewayAdmin].map(String),
    );
  });
});
