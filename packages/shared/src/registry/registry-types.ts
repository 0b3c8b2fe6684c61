/** What the registry (Postgres) knows of models, as API, workers and tools see it. */
import type { TensorSpec } from '../tensors/tensor.ts';

export type VersionState = 'loading' | 'ready' | 'failed' | 'draining' | 'retired';

/**
 * What the verification of a version found, by the rules of that time. Where model.json said it (`said`), nothing was tried.
 */
export interface Findings {
  /** Number of the rules (FINDING_RULES of model-config.ts): what was found by older rules is verified again. */
  rules: number;
  /** Whether rows of a batch leave each other's answers alone, and why it is thought so, in words. */
  rows: { independent: boolean; reason: string; said: boolean };
  /** Whether equal questions get equal answers, and why it is thought so, in words. */
  answers: { deterministic: boolean; reason: string; said: boolean };
}

/** model.json with its defaults filled in; the file's own schema is in model-config.ts. */
export interface ModelConfig {
  description: string;
  /** Most rows in one engine call. 1 where a batch cannot be formed. */
  maxBatch: number;
  /** Rows do not influence each other: they may be batched with strangers and cached one by one. */
  rowIndependent: boolean;
  /**
   * Equal questions get equal answers: only then is an answer cached, or shared with those who ask the same meanwhile. Not
   * there in versions that 0.1.0 registered, until a worker has verified these again.
   */
  deterministic?: boolean;
  findings?: Findings;
  cache: { ttlS: number; scope: 'tenant' | 'public'; enabled: boolean };
  timeoutMs: number;
  priority: 'low' | 'normal' | 'high';
  /** Entities that the handler reads. */
  entities: readonly string[];
  /** Inputs that OpenAPI shows and warm-up runs. */
  examples: readonly unknown[];
  /** Names for the elements of an output, by output name. */
  labels: Readonly<Record<string, readonly string[]>>;
}

/** Whether answers of a version may be kept in the cache, and one computation may answer several callers. */
export const mayShareAnswers = ({ cache, deterministic }: ModelConfig): boolean =>
  cache.enabled && deterministic === true;

export interface ModelVersion {
  tenant: string;
  model: string;
  /** The folder's name, such as `1`. */
  version: string;
  /** SHA-256 (hex) of all that decides an answer. */
  digest: string;
  state: VersionState;
  /** Why a version failed. */
  reason: string | null;
  signature: { inputs: readonly TensorSpec[]; outputs: readonly TensorSpec[] };
  config: ModelConfig;
  /** SHA-256 (hex) of handler.ts; null for a model of raw tensors. */
  handlerDigest: string | null;
  /** JSON Schemas of the handler's input and output; null for raw tensors. */
  inputSchema: unknown;
  outputSchema: unknown;
  /** Entity name → digest of the set of rows that this version reads. */
  entitySets: Readonly<Record<string, string>>;
  /** Digest of other content that a worker found in its models folder under this name; null or absent where none did. */
  foundDigest?: string | null;
  /** Unix ms. */
  createdAt: number;
}

export interface RegisteredModel {
  model: string;
  versions: readonly ModelVersion[];
  /** alias → version. */
  aliases: Readonly<Record<string, string>>;
  /** The version that a request without one gets: alias `production`, else the highest that is ready. Null if none. */
  defaultVersion: string | null;
  /** Raised by a purge; part of every cache key's Redis name. */
  cacheEpoch: number;
}

/** The whole registry of a tenant (its own and the default tenant's shared models), as the API caches it. */
export interface RegistrySnapshot {
  models: readonly RegisteredModel[];
}
