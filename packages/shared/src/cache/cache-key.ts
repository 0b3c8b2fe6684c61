/** The identity of a question: what two requests must share to share an answer. */
import { hash } from 'node:crypto';

export interface CacheKeyParts {
  /** The tenant, or `public` for models so marked. */
  scope: string;
  /** Digest of the model version. */
  digest: string;
  /** Canonical text of one row: canonical-json.ts for handler models, tensor-rows.ts for raw tensors. */
  row: string;
}

/**
 * SHA-256 (hex) over the parts, each after its length, so that no part can pass for the end of another. The row is
 * text that was made from elements by type (little-endian bytes for tensors), never from parsed JSON numbers.
 */
export function cacheKey({ scope, digest, row }: CacheKeyParts): string {
  return hash('sha256', `${scope.length}:${scope},${digest.length}:${digest},${row.length}:${row}`, 'hex');
}
