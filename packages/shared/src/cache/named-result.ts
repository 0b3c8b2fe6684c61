/**
 * A cached value that names the prediction which computed a long output, and does not have the output. The live state and the ledger
 * have the output anyway. The first hit reads the output there, and stores the whole result for further hits.
 *
 * The value is a cached result (result-value.ts) that was never fresh: a process without this file computes the result again.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Pieces } from '../redis/long-values.ts';
import { continueChecksum } from './checksum.ts';
import { type CachedResult, encodeResult } from './result-value.ts';

/**
 * A cached value names the prediction of an output of at least this many bytes. Of shorter outputs the default memory of a cache holds
 * hundreds, and a read from the ledger would take longer than most runs.
 */
export const NAMED_OUTPUT_BYTES = 1_048_576;

export interface NamedResult {
  /** The id of the prediction. */
  prediction: string;
  storedAt: number;
  freshUntil: number;
  /** The length and the checksum of the output: the ledger can have another output, or none. */
  bytes: number;
  checksum: number;
  /** Whether callers who share the result may see the whole prediction, and not the output alone. */
  isShown: boolean;
}

/** The first member of the JSON text. No output begins like this. */
const BEGINNING = '{"millrace_output_of":"';

export function encodeNamed(cacheKey: string, { prediction, ...others }: NamedResult): Buffer {
  const output = JSON.stringify({ millrace_output_of: prediction, ...others });
  return encodeResult({ cacheKey, storedAt: 0, freshUntil: 0, output, body: null });
}

/** Returns undefined for a cached result that has its output. */
export function namedIn({ freshUntil, body, output }: CachedResult): NamedResult | undefined {
  if (freshUntil !== 0 || body !== null || !Buffer.isBuffer(output)) return undefined;
  const text = output.toString();
  if (!text.startsWith(BEGINNING)) return undefined;
  // The checksum of the value was right, so a process of Millrace wrote the text.
  const { millrace_output_of: prediction, ...others } = JSON.parse(text);
  return { prediction, ...others };
}

/** Bytes that are summed in one turn of the event loop: about 2 ms. */
const TURN_BYTES = 4_194_304;

/** The checksum of an output. Other work of the event loop runs after each TURN_BYTES. */
export async function outputChecksum({ pieces }: Pick<Pieces, 'pieces'>): Promise<number> {
  let sum: number | undefined;
  let left = TURN_BYTES;
  for (const piece of pieces)
    for (let at = 0; at < piece.length; ) {
      const part = piece.subarray(at, at + left);
      sum = continueChecksum(part, sum);
      at += part.length;
      left -= part.length;
      if (left > 0) continue;
      await nextTurn();
      left = TURN_BYTES;
    }
  return sum ?? 0;
}
