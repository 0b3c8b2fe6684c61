/**
 * Releases the memory of a large Buffer at once. The collector counts this memory late: without the release, hundreds of megabytes of
 * requests add up under load. The Buffer then has no bytes, so that nobody may read the Buffer afterwards. A Buffer that shares
 * its memory with others, such as a view, is left to the collector.
 */
export function freeBytes({ buffer, byteOffset, byteLength }: Buffer): void {
  const isWhole = byteOffset === 0 && byteLength > 0 && buffer.byteLength === byteLength;
  if (isWhole && buffer instanceof ArrayBuffer) buffer.transfer(0);
}
