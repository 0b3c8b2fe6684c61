/** What finding models needs of the registry. The Postgres side is packages/shared/src/registry.ts. */
import type { Entity } from '@millrace/shared/entities/entity';
import type { ModelVersion, VersionState } from '@millrace/shared/registry/registry-types';

export interface RegistryPort {
  /** Every version of the default tenant, in any state. */
  list(): Promise<readonly ModelVersion[]>;
  /**
   * Registers a version, or finds the one that is there. `conflict`: the version exists with another digest, and stays
   * as it is; one that failed is replaced. `purge`: what is cached of the model is no longer valid under these settings.
   */
  register(version: ModelVersion, options?: { purge: boolean }): Promise<'registered' | 'known' | 'conflict'>;
  /** Changes state and reason of the version with that digest. */
  setState(version: ModelVersion, state: VersionState, reason: string | null): Promise<void>;
  /** Notes the digest of other content that stands under a version's name in the folder, or null where its own does. */
  setFound(version: Pick<ModelVersion, 'model' | 'version'>, digest: string | null): Promise<void>;
  /** Stores the rows of an entity under their digest, once. */
  storeEntities(entity: string, digest: string, rows: readonly Entity[]): Promise<void>;
}
