/** The key of a cached result: two inputs with the same key share one result. */
import { hash } from 'node:crypto';

export interface CacheKeyParts {
  /** The tenant, or `public` for a model whose results all tenants share. */
  scope: string;
  /** Digest of the model version. */
  digest: string;
  /** Canonical text of one row: canonical-json.ts for handler models, tensor-rows.ts for raw tensors. */
  row: string;
}

/**
 * SHA-256 (hex) over the parts. Each part follows its length, so that the end of one part cannot be read as the start of the
 * next part. The text of a row is made from elements by type (little-endian bytes for tensors), never from parsed JSON numbers.
 */
export function cacheKey({ scope, digest, row }: CacheKeyParts): string {
  return hash('sha256', `${scope.length}:${scope},${digest.length}:${digest},${row.length}:${row}`, 'hex');
}
