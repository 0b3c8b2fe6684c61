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
/** The most characters of scope and digest before a row that is copied. */
const NAMES_MAX = 300;
/** The prefix and the row of the last short key. The next row nearly always has the same prefix. A character has at most three bytes. */
const copied = Buffer.allocUnsafeSlow(3 * NAMES_MAX + 64 + COPIED_BYTES);
const last = { scope: '', digest: '', length: -1, start: 0 };

/**
 * SHA-256 (hex) over the parts. Each part follows its length, so that the end of one part cannot be read as the start of the
 * next part. The row of a tensor is made from elements by type (little-endian bytes), never from parsed JSON numbers. The `b` before
 * the length of bytes separates bytes from text.
 */
export function cacheKey({ scope, digest, row }: CacheKeyParts): string {
  if (typeof row === 'string') return hash('sha256', `${beforeOf(scope, digest)}${row.length}:${row}`, 'hex');
  // One call for a short row: the object of createHash takes as long as the hash of the row.
  if (Buffer.isBuffer(row) && row.length <= COPIED_BYTES && scope.length + digest.length <= NAMES_MAX) {
    const { length } = row;
    if (last.length !== length || last.digest !== digest || last.scope !== scope)
      Object.assign(last, { scope, digest, length, start: copied.write(`${beforeOf(scope, digest)}b${length}:`) });
    const end = last.start + row.copy(copied, last.start);
    return hash('sha256', copied.subarray(0, end), 'hex');
  }
  const hashed = createHash('sha256').update(`${beforeOf(scope, digest)}b${row.length}:`);
  for (const piece of piecesOf(row)) hashed.update(piece);
  return hashed.digest('hex');
}

const beforeOf = (scope: string, digest: string): string => `${scope.length}:${scope},${digest.length}:${digest},`;

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
