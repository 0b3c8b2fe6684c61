import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { ScaledObject } from '@kubernetes-models/keda/keda.sh/v1alpha1';
import { settings } from '@millrace/shared/process/config';
import { Deployment } from 'kubernetes-models/apps/v1';
import { Job } from 'kubernetes-models/batch/v1';
import { NetworkPolicy } from 'kubernetes-models/networking.k8s.io/v1';
import { PodDisruptionBudget } from 'kubernetes-models/policy/v1';
import { ConfigMap, Secret, Service } from 'kubernetes-models/v1';
import { describe, expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';

const DIR = path.resolve(import.meta.dirname, '../../deploy/kubernetes');
const KINDS = { ConfigMap, Secret, Deployment, Service, PodDisruptionBudget, Job, ScaledObject, NetworkPolicy };

// biome-ignore lint/suspicious/noExplicitAny: a manifest has any kind until it is validated.
type Manifest = any;

const manifests: { name: string; value: Manifest }[] = readdirSync(DIR)
  .filter((file) => file.endsWith('.yaml'))
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
    const named = manifests.flatMap(({ value }) => Object.keys(value.data ?? value.stringData ?? {}));
    expect(named.length).toBeGreaterThan(5);
    expect(named.filter((name) => !known.has(name))).toEqual([]);
  });
});
