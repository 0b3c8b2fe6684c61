/** The fingerprint of a request with an idempotency key: a repeated request must have the same content. */
import { createHash } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { NumberArray } from '@millrace/shared/tensors/number-array';
import { canonicalJson } from '@millrace/shared/text/canonical-json';

/** Characters of a fingerprint. */
const FINGERPRINT_LENGTH = 32;

/** Work of one turn of the event loop: the characters, and the pieces. A piece may be a few characters long. */
const TURN_CHARACTERS = 262_144;
const TURN_PIECES = 4_096;

/**
 * The fingerprint of a request: equal for the same model, version and body, in every spelling of the JSON. The fingerprint is the
 * SHA-256 of canonical JSON, as in 0.1.0, because both versions compare their claims. A long body takes several turns of the event
 * loop. `version` is undefined for a request without a version.
 */
export async function fingerprintOf(model: string, version: string | undefined, body: unknown): Promise<string> {
  const hash = createHash('sha256').update(`${model}\n${version ?? ''}\n`);
  let text = '';
  let pieces = 0;
  for (const piece of canonicalPieces(body)) {
    text += piece;
    pieces += 1;
    if (text.length < TURN_CHARACTERS && pieces < TURN_PIECES) continue;
    hash.update(text);
    text = '';
    pieces = 0;
    await nextTurn();
  }
  return hash.update(text).digest('hex').slice(0, FINGERPRINT_LENGTH);
}

/** Characters of a text that are one piece, and the items of an array. */
const TEXT_MAX = 262_144;
const ITEMS_MAX = 8_192;

/** The text of `canonicalJson` in pieces, with nested arrays in place of each NumberArray. */
function* canonicalPieces(value: unknown): Generator<string> {
  if (value instanceof NumberArray) yield* value.jsonPieces();
  else if (Array.isArray(value)) yield* arrayPieces(value);
  else if (typeof value === 'object' && value !== null) yield* objectPieces(Object.entries(value));
  else yield canonicalJson(value);
}

function* arrayPieces(items: readonly unknown[]): Generator<string> {
  if (items.length <= ITEMS_MAX && items.every(isShort)) return yield canonicalJson(items);
  yield '[';
  for (const [at, item] of items.entries()) {
    if (at > 0) yield ',';
    yield* canonicalPieces(item);
  }
  yield ']';
}

function* objectPieces(members: [string, unknown][]): Generator<string> {
  const known = members.filter(([, value]) => value !== undefined);
  // The order of UTF-16 code units, as in canonicalJson.
  known.sort(([one], [other]) => (one < other ? -1 : 1));
  let before = '{';
  for (const [name, value] of known) {
    const start = `${before}${JSON.stringify(name)}:`;
    if (isShort(value)) yield start + canonicalJson(value);
    else {
      yield start;
      yield* canonicalPieces(value);
    }
    before = ',';
  }
  yield known.length === 0 ? '{}' : '}';
}

/** Whether a value has no members or items, and a short text. */
const isShort = (value: unknown): boolean =>
  typeof value === 'string' ? value.length <= TEXT_MAX : typeof value !== 'object' || value === null;
