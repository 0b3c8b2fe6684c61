/**
 * Memory for short arrays of numbers. A typed array with memory of its own costs two calls of the allocator of the system, and work in
 * each collection. Short arrays therefore share blocks.
 */

const BLOCK_BYTES = 16_384;
/** Longer arrays have memory of their own: a block stays in memory as long as one of its arrays. */
const SHORT_BYTES = 2_048;
/** The block that has room. Arrays never return their memory to the block. */
const open = { buffer: new ArrayBuffer(0), used: 0 };

/** The place of `bytes` bytes with any content, at a multiple of 8. */
function take(bytes: number): number {
  if (open.used + bytes > open.buffer.byteLength) {
    open.buffer = Buffer.allocUnsafeSlow(BLOCK_BYTES).buffer;
    open.used = 0;
  }
  const at = open.used;
  open.used += Math.ceil(bytes / 8) * 8;
  return at;
}

/** A copy of the first `length` numbers. */
export function doublesOf(numbers: Float64Array, length: number): Float64Array {
  const bytes = length * 8;
  if (bytes > SHORT_BYTES) return numbers.slice(0, length);
  const at = take(bytes);
  const doubles = new Float64Array(open.buffer, at, length);
  for (let index = 0; index < length; index += 1) doubles[index] = numbers[index] ?? 0;
  return doubles;
}

/** The numbers rounded to float32. */
export function floatsOf(numbers: Float64Array): Float32Array {
  const bytes = numbers.length * 4;
  if (bytes > SHORT_BYTES) return new Float32Array(numbers);
  const at = take(bytes);
  const floats = new Float32Array(open.buffer, at, numbers.length);
  floats.set(numbers);
  return floats;
}
