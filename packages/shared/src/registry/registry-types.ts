/** The types of the registry of models in Postgres, shared by API, workers and tools. */
import type { ModelConfig } from '../model-files/model-config.ts';
import type { ModelSignature } from '../model-files/model-signature.ts';

export type VersionState = 'loading' | 'ready' | 'failed' | 'draining' | 'retired';

export interface ModelVersion {
  tenant: string;
  model: string;
  /** The name of the version's folder, such as `1`. */
  version: string;
  /** SHA-256 (hex) of all bytes that decide an output. */
  digest: string;
  state: VersionState;
  /** The reason of a failed version. */
  reason: string | null;
  signature: ModelSignature;
  config: ModelConfig;
  /** SHA-256 (hex) of handler.ts; null for a model of raw tensors. */
  handlerDigest: string | null;
  /** JSON Schemas of the handler's input and output; null for raw tensors. */
  inputSchema: unknown;
  outputSchema: unknown;
  /** Entity name → digest of the set of rows that this version reads. */
  entitySets: Readonly<Record<string, string>>;
  /** The digest of different files that a worker found under this name in its models folder. Null or absent without such files. */
  foundDigest?: string | null;
  /** Unix ms. */
  createdAt: number;
}

export interface RegisteredModel {
  model: string;
  versions: readonly ModelVersion[];
  /** alias → version. */
  aliases: Readonly<Record<string, string>>;
  /** The version of requests without a version: the alias `production`, else the highest ready version. Null without either. */
  defaultVersion: string | null;
  /** Incremented by a purge. Part of the Redis name of every cache key. */
  cacheEpoch: number;
}

/** The registry of a tenant in the form of the API's cache: the tenant's own models and the shared models of the default tenant. */
export interface RegistrySnapshot {
  models: readonly RegisteredModel[];
}
