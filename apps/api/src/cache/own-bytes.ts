/**
 * Short Buffers share blocks of 64 KiB. A Buffer that stays in memory keeps its whole block: a hundred bytes of one request among ten would
 * keep the memory of all ten.
 */

/** A copy with memory of its own. Returns a Buffer that shares no memory unchanged. */
export function ownBytes(bytes: Buffer): Buffer {
  if (bytes.buffer.byteLength === bytes.length) return bytes;
  const own = Buffer.allocUnsafeSlow(bytes.length);
  bytes.copy(own);
  return own;
}
