/** Examples of the responses of the model routes, for the OpenAPI document. */

export const model = {
  name: 'drug-interaction',
  description: 'Predicts whether two drugs interact.',
  task: null,
  default_version: '1',
  version_counts: { ready: 1 },
  providers: ['cpu'],
  aliases: { production: '1' },
  problem: null,
  urls: {
    self: '/v1/models/drug-interaction',
    versions: '/v1/models/drug-interaction/versions',
    entities: '/v1/models/drug-interaction/entities',
    predictions: '/v1/models/drug-interaction/predictions',
  },
};

export const alias = {
  model: 'drug-interaction',
  name: 'production',
  version: '1',
  urls: {
    self: '/v1/models/drug-interaction/aliases/production',
    model: '/v1/models/drug-interaction',
    version: '/v1/models/drug-interaction/versions/1',
  },
};

const string = { type: 'string' };

export const version = {
  model: 'drug-interaction',
  version: '1',
  status: 'ready',
  reason: null,
  digest: '0f9a1c52b7e84d1d9a6f0c3e5b7a8d21c4e6f8091a2b3c4d5e6f708192a3b4c5',
  description: model.description,
  task: null,
  created_at: '2026-12-01T08:00:00.000Z',
  inputs: [{ name: 'features', dtype: 'float32', shape: ['batch', 4096] }],
  outputs: [{ name: 'probability', dtype: 'float32', shape: ['batch', 1] }],
  input_schema: { type: 'object', required: ['drug_a', 'drug_b'], properties: { drug_a: string, drug_b: string } },
  output_schema: { type: 'object', properties: { interaction: { type: 'boolean' }, probability: { type: 'number' } } },
  examples: [{ drug_a: 'Warfarin', drug_b: 'Fluconazole' }],
  max_run_rows: 64,
  row_independent: true,
  row_independent_reason: 'The worker compared rows alone and in batches.',
  deterministic: true,
  deterministic_reason: 'The worker compared equal runs.',
  timeout_ms: 30_000,
  priority: 'normal',
  engine: { providers: ['cpu'], threads: null, instances: null },
  providers: ['cpu'],
  cache: { enabled: true, ttl_s: 86_400, scope: 'public' },
};

export const card = {
  model: 'drug-interaction',
  version: '1',
  readme: '# drug-interaction\n\nThe probability that two drugs are known to interact.',
  images: {},
  figures: { roc_auc: 0.992 },
};

/** A list with one item and without a next page. */
export const page = (item: unknown) => ({ data: [item], next: null, has_more: false });
