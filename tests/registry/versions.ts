import type { ModelVersion } from '@millrace/shared/registry/registry-types';

/** A version, ready by default. */
export function modelVersion(given: Partial<ModelVersion> = {}): ModelVersion {
  return {
    tenant: 'default',
    model: 'm',
    version: '1',
    digest: 'a'.repeat(64),
    state: 'ready',
    reason: null,
    signature: { inputs: [{ name: 'x', dtype: 'float32', shape: ['n', 3] }], outputs: [] },
    config: {
      description: 'A model.',
      maxBatch: 8,
      rowIndependent: true,
      deterministic: true,
      cache: { ttlS: 60, scope: 'tenant', enabled: true },
      timeoutMs: 1_000,
      priority: 'normal',
      entities: [],
      examples: [],
      labels: {},
    },
    handlerDigest: null,
    inputSchema: { type: 'object', properties: { zebra: {}, a: {} } },
    outputSchema: null,
    entitySets: {},
    createdAt: 1_700_000_000_000,
    ...given,
  };
}
