/** The approximate size of a parsed JSON value in memory. */

const ITEM_BYTES = 16;

/** Two bytes for each character of a text, and ITEM_BYTES for each value and each member. The depth is the depth of a body. */
export function approximateBytes(value: unknown): number {
  if (typeof value === 'string') return ITEM_BYTES + 2 * value.length;
  if (typeof value !== 'object' || value === null) return ITEM_BYTES;
  let bytes = ITEM_BYTES;
  if (Array.isArray(value)) for (const item of value) bytes += approximateBytes(item);
  else for (const [name, member] of Object.entries(value)) bytes += 2 * name.length + approximateBytes(member);
  return bytes;
}
