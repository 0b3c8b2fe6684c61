/** The key of a cached result: two inputs with the same key share one result. */
import { createHash, hash } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';

/** The bytes of a row in pieces (tensors/byte-pieces.ts). */
interface InPieces {
  pieces: readonly Buffer[];
  length: number;
}

export interface CacheKeyParts {
  /** The tenant, or `public` for a model whose results all tenants share. */
  scope: string;
  /** Digest of the model version. */
  digest: string;
  /** The canonical form of one row: canonical-json.ts for handler models, tensor-bytes.ts for raw tensors. */
  row: string | Buffer | InPieces;
}

/** A shorter row is copied behind its prefix. */
const COPIED_BYTES = 8_192;

/**
 * SHA-256 (hex) over the parts. Each part follows its length, so that the end of one part cannot be read as the start of the
 * next part. The row of a tensor is made from elements by type (little-endian bytes), never from parsed JSON numbers. The `b` before
 * the length of bytes separates bytes from text.
 */
export function cacheKey({ scope, digest, row }: CacheKeyParts): string {
  const before = `${scope.length}:${scope},${digest.length}:${digest},`;
  if (typeof row === 'string') return hash('sha256', `${before}${row.length}:${row}`, 'hex');
  const prefix = Buffer.from(`${before}b${row.length}:`);
  // One call for a short row: the object of createHash takes as long as the hash of the row.
  if (Buffer.isBuffer(row) && row.length <= COPIED_BYTES) return hash('sha256', Buffer.concat([prefix, row]), 'hex');
  const hashed = createHash('sha256').update(prefix);
  for (const piece of piecesOf(row)) hashed.update(piece);
  return hashed.digest('hex');
}

const piecesOf = (row: Buffer | InPieces): readonly Buffer[] => (Buffer.isBuffer(row) ? [row] : row.pieces);

/** Bytes that are hashed in one turn of the event loop: about 3 ms. */
const TURN_BYTES = 4_194_304;

/** The key of `cacheKey`. Other work of the event loop runs after each TURN_BYTES of a row of bytes. */
export async function cacheKeyInTurns({ scope, digest, row }: CacheKeyParts): Promise<string> {
  if (typeof row === 'string' || row.length <= TURN_BYTES) return cacheKey({ scope, digest, row });
  const hashed = createHash('sha256').update(`${scope.length}:${scope},${digest.length}:${digest},b${row.length}:`);
  let left = TURN_BYTES;
  for (const piece of piecesOf(row))
    for (let at = 0; at < piece.length; ) {
      const end = Math.min(piece.length, at + left);
      hashed.update(piece.subarray(at, end));
      left -= end - at;
      at = end;
      if (left > 0) continue;
      await nextTurn();
      left = TURN_BYTES;
    }
  return hashed.digest('hex');
}
