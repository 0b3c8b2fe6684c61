import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { ScaledObject } from '@kubernetes-models/keda/keda.sh/v1alpha1';
import { PodMonitor, ServiceMonitor } from '@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1';
import { settings } from '@millrace/shared/process/config';
import { Deployment } from 'kubernetes-models/apps/v1';
import { Job } from 'kubernetes-models/batch/v1';
import { Ingress, NetworkPolicy } from 'kubernetes-models/networking.k8s.io/v1';
import { PodDisruptionBudget } from 'kubernetes-models/policy/v1';
import { ConfigMap, Secret, Service } from 'kubernetes-models/v1';
import { describe, expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';

const DIR = path.resolve(import.meta.dirname, '../../deploy/kubernetes');
const KINDS = {
  ConfigMap,
  Secret,
  Deployment,
  Service,
  PodDisruptionBudget,
  Job,
  ScaledObject,
  NetworkPolicy,
  Ingress,
  ServiceMonitor,
  PodMonitor,
};
const BASE = 'kustomization.yaml';

// biome-ignore lint/suspicious/noExplicitAny: a manifest has any kind until it is validated.
type Manifest = any;

const manifests: { name: string; value: Manifest }[] = readdirSync(DIR)
  .filter((file) => file.endsWith('.yaml') && file !== BASE)
  .flatMap((file) =>
    parseAllDocuments(readFileSync(path.join(DIR, file), 'utf8')).map((document) => {
      const value = document.toJS({ maxAliasCount: 0 });
      return { name: `${file} ${value.kind} ${value.metadata.name}`, value };
    }),
  );

describe('manifests', () => {
  test.each(manifests)('$name matches the schema of its kind', ({ value }) => {
    const Model = KINDS[value.kind as keyof typeof KINDS] as unknown as new (json: Manifest) => { validate(): void };
    expect(Model, `kind ${value.kind}`).toBeDefined();
    expect(() => new Model(value).validate()).not.toThrow();
  });

  test('a manifest with a wrong field is refused, so the check can fail', () => {
    const [deployment] = manifests.filter(({ value }) => value.kind === 'Deployment');
    const wrong = structuredClone(deployment?.value);
    wrong.spec.template.spec.containers[0].ports[0].containerPort = 'eighty';
    expect(() => new Deployment(wrong).validate()).toThrow();
  });

  const pods: [string, Manifest][] = manifests
    .filter(({ value }) => value.spec?.template?.spec?.containers)
    .map(({ name, value }) => [name, value.spec.template]);

  test.each(pods)('%s has only the rights that it needs', (_, { spec }) => {
    expect(spec).toMatchObject({
      automountServiceAccountToken: false,
      securityContext: { runAsNonRoot: true, runAsUser: 1000, seccompProfile: { type: 'RuntimeDefault' } },
    });
    for (const { securityContext, resources } of spec.containers) {
      expect(securityContext).toEqual({
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ['ALL'] },
      });
      expect(resources.limits.memory).toBeDefined();
    }
    for (const key of ['hostNetwork', 'hostPID', 'hostIPC']) expect(spec[key]).toBeUndefined();
  });

  test.each(pods)('%s has a policy for incoming and for outgoing traffic', (_, { metadata }) => {
    const policies = manifests.filter(({ value }) => value.kind === 'NetworkPolicy').map(({ value }) => value.spec);
    const own = policies.filter(({ podSelector: { matchLabels } }) =>
      Object.entries(matchLabels).every(([label, wanted]) => metadata.labels[label] === wanted),
    );
    expect(own).toHaveLength(1);
    expect(own[0].policyTypes).toEqual(['Ingress', 'Egress']);
    // A rule without address and port would admit all traffic.
    for (const rule of [...(own[0].ingress ?? []), ...own[0].egress]) expect(rule.to ?? rule.ports).toBeDefined();
  });

  test('every setting in a manifest is a setting of Millrace', () => {
    const known = new Set(settings.map(({ name }) => name));
    const named = manifests.flatMap(({ value }) => [
      ...Object.keys(value.data ?? value.stringData ?? {}),
      ...(value.spec?.template?.spec?.containers ?? []).flatMap(({ env = [] }: Manifest) =>
        env.map(({ name }: { name: string }) => name),
      ),
    ]);
    expect(named.length).toBeGreaterThan(5);
    expect(named.filter((name) => !known.has(name))).toEqual([]);
  });
});

const of = (kind: string): Manifest[] => manifests.filter(({ value }) => value.kind === kind).map(({ value }) => value);
const labelsOf = ({ spec }: Manifest): Record<string, string> => spec.template.metadata.labels;
const selects = ({ matchLabels = {}, matchExpressions = [] }: Manifest, labels: Record<string, string>): boolean =>
  Object.entries(matchLabels).every(([name, value]) => labels[name] === value) &&
  matchExpressions.every(({ key, values }: { key: string; values: string[] }) => values.includes(labels[key] ?? ''));

describe('a cluster', () => {
  test('keeps a pod of each Deployment while nodes are drained', () => {
    for (const deployment of of('Deployment')) {
      const budgets = of('PodDisruptionBudget').filter(({ spec }) => selects(spec.selector, labelsOf(deployment)));
      expect([deployment.metadata.name, budgets.length]).toEqual([deployment.metadata.name, 1]);
    }
  });

  test('scrapes the metrics of each Deployment once', () => {
    const monitors = [...of('ServiceMonitor'), ...of('PodMonitor')];
    for (const deployment of of('Deployment')) {
      const found = monitors.filter(({ spec }) => selects(spec.selector, labelsOf(deployment)));
      expect([deployment.metadata.name, found.length]).toEqual([deployment.metadata.name, 1]);
      const [{ port }] = found[0].spec.endpoints ?? found[0].spec.podMetricsEndpoints;
      const ports = deployment.spec.template.spec.containers[0].ports.map(({ name }: { name: string }) => name);
      expect(ports).toContain(port);
    }
  });

  test('scales only workers without the roles that must always run', () => {
    const [scaled] = of('ScaledObject');
    const rolesOf = (name: string) => {
      const deployment = of('Deployment').find(({ metadata }) => metadata.name === name);
      return deployment.spec.template.spec.containers[0].env[0];
    };
    expect(scaled.spec.minReplicaCount).toBe(0);
    expect(rolesOf(scaled.spec.scaleTargetRef.name)).toEqual({ name: 'WORKER_ROLES', value: 'inference' });
    expect(rolesOf('millrace-recorder')).toEqual({ name: 'WORKER_ROLES', value: 'recorder,webhooks' });
    const metrics = scaled.spec.triggers.map(({ metadata }: Manifest) => /millrace_[a-z_]+/.exec(metadata.query)?.[0]);
    const documented = readFileSync(path.resolve(DIR, '../../docs/operations.md'), 'utf8');
    for (const metric of metrics) expect(documented).toContain(`\`${metric}\``);
  });

  test('shows clients no route for operators', () => {
    const [ingress] = of('Ingress');
    const paths = ingress.spec.rules[0].http.paths.map(({ path: shown }: { path: string }) => shown);
    expect(paths).toEqual(['/v1', '/v2', '/openai', '/tei', '/embed', '/rerank', '/console', '/docs', '/openapi.json']);
    for (const { backend } of ingress.spec.rules[0].http.paths) {
      const service = of('Service').find(({ metadata }) => metadata.name === backend.service.name);
      expect(service.spec.ports.map(({ name }: { name: string }) => name)).toContain(backend.service.port.name);
    }
  });

  test('gets every manifest from the base, and the overlay patches only what the base has', () => {
    const read = (file: string) => parseAllDocuments(readFileSync(path.join(DIR, file), 'utf8'))[0]?.toJS();
    const files = readdirSync(DIR).filter((file) => file.endsWith('.yaml') && file !== BASE);
    expect([...read(BASE).resources].sort()).toEqual(files.sort());
    const overlay = read(`../overlays/example/${BASE}`);
    expect(overlay.resources).toEqual(['../../kubernetes']);
    for (const { target } of overlay.patches)
      expect([target, of(target.kind).some(({ metadata }) => metadata.name === target.name)]).toEqual([target, true]);
    for (const { name } of overlay.replicas)
      expect(of('Deployment').map(({ metadata }) => metadata.name)).toContain(name);
  });
});
