/**
 * The ids of the API: a prefix that names the kind of the resource, an underscore, and the 32 digits of the resource's UUID. The
 * prefix exists only at the edge of the API. Stores, keys and logs have the UUID.
 */

const KINDS = {
  pred: 'a prediction',
  we: 'a webhook endpoint',
  whd: 'a webhook delivery',
  evt: 'an event',
  file: 'a file',
} as const;
export type IdPrefix = keyof typeof KINDS;

// A response names its resource several times in a row.
const last = { prefix: '', uuid: '', id: '' };

export function publicId(prefix: IdPrefix, uuid: string): string {
  if (last.uuid !== uuid || last.prefix !== prefix) {
    last.id = `${prefix}_${uuid.slice(0, 8)}${uuid.slice(9, 13)}${uuid.slice(14, 18)}${uuid.slice(19, 23)}${uuid.slice(24)}`;
    last.prefix = prefix;
    last.uuid = uuid;
  }
  return last.id;
}

/** The length of the id of a prediction. */
export const PREDICTION_ID_LENGTH = 37;

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const DIGITS = /^[0-9a-f]{32}$/;

/** Returns the UUID of an id. Also takes a UUID, the id of 0.1.0. Returns undefined for every other text. */
export function uuidOf(prefix: IdPrefix, id: string): string | undefined {
  if (UUID.test(id)) return id;
  const digits = id.startsWith(`${prefix}_`) ? id.slice(prefix.length + 1) : '';
  if (!DIGITS.test(digits)) return undefined;
  return [digits.slice(0, 8), digits.slice(8, 12), digits.slice(12, 16), digits.slice(16, 20), digits.slice(20)].join(
    '-',
  );
}

/** Describes an id of another kind than `prefix`; undefined for every other text. */
export function otherKind(prefix: IdPrefix, id: string): string | undefined {
  const own = id.slice(0, id.indexOf('_'));
  for (const [other, kind] of Object.entries(KINDS)) if (other === own && other !== prefix) return kind;
  return undefined;
}
