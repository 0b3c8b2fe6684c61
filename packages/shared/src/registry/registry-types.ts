/** What the registry (Postgres) knows of models, as API, workers and tools see it. */
import type { ModelConfig } from '../model-files/model-config.ts';
import type { ModelSignature } from '../model-files/model-signature.ts';

export type VersionState = 'loading' | 'ready' | 'failed' | 'draining' | 'retired';

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
  signature: ModelSignature;
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
