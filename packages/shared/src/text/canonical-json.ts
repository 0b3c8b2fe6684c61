/**
 * Canonical JSON (RFC 8785): members sorted by UTF-16 code units, no white space, numbers as in ECMAScript (1.0 is 1, -0 is 0).
 * Lone surrogates are escaped, so that different values have different bytes.
 */

/** The canonical text of a JSON value. Skips members with the value undefined. Throws TypeError for any other value outside JSON. */
export function canonicalJson(value: unknown): string {
  switch (typeof value) {
    case 'string':
      return JSON.stringify(value);
    case 'number':
      if (!Number.isFinite(value)) throw new TypeError(`${value} is not JSON`);
      return JSON.stringify(value);
    case 'boolean':
      return value ? 'true' : 'false';
    case 'object':
      if (value === null) return 'null';
      return Array.isArray(value) ? arrayText(value) : objectText(value as Record<string, unknown>);
    default:
      throw new TypeError(`a value of type ${typeof value} is not JSON`);
  }
}

function arrayText(items: readonly unknown[]): string {
  // JSON.stringify writes the same text for plain values, such as the numbers of a tensor, in a tenth of the time.
  if (items.every(isPlain)) return JSON.stringify(items);
  let text = '[';
  for (let i = 0; i < items.length; i++) text += i === 0 ? canonicalJson(items[i]) : `,${canonicalJson(items[i])}`;
  return `${text}]`;
}

const isPlain = (item: unknown): boolean =>
  typeof item === 'number'
    ? Number.isFinite(item)
    : typeof item === 'string' || typeof item === 'boolean' || item === null;

function objectText(members: Record<string, unknown>): string {
  let text = '{';
  for (const key of Object.keys(members).sort()) {
    const value = members[key];
    if (value === undefined) continue;
    text += `${text === '{' ? '' : ','}${JSON.stringify(key)}:${canonicalJson(value)}`;
  }
  return `${text}}`;
}
