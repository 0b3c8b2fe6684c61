/**
 * Requests whose exact text had a cached result before. The same text needs no parsing, no validation and no new cache key, as
 * long as the model version is the same. An entry holds no result, so no entry can be stale.
 */
import { NumberArray } from '@millrace/shared/tensors/number-array';
import { LRUCache } from 'lru-cache';
import type { NormalizedInput } from '../models/normalize-input.ts';
import { ownBytes } from './own-bytes.ts';

const TEXTS_MAX = 8_192;
const TEXT_MAX_LENGTH = 1_024;
/** How often `discardUnused` must be called. */
export const DISCARD_EVERY_MS = 30_000;

interface Entry {
  text: string;
  body: object;
  schema: unknown;
  tenant: string;
  digest: string;
  normalized: NormalizedInput;
}

interface Kept extends Entry {
  /** The number of calls of `discardUnused` before the last use. */
  usedIn: number;
}

export class ParsedRequests {
  readonly #byText = new LRUCache<string, Kept>({ max: TEXTS_MAX });
  readonly #byBody = new WeakMap<object, Entry>();
  #period = 0;

  /** The parsed and frozen body of a text: the same object each time. */
  bodyOf(text: string): unknown {
    const entry = text.length > TEXT_MAX_LENGTH ? undefined : this.#byText.get(text);
    if (entry === undefined) return undefined;
    entry.usedIn = this.#period;
    return entry.body;
  }

  /** Whether a body was validated against this schema before. */
  met(schema: unknown, body: unknown): boolean {
    return typeof body === 'object' && body !== null && this.#byBody.get(body)?.schema === schema;
  }

  /** Whether a body has an entry. */
  knows(body: object): boolean {
    return this.#byBody.has(body);
  }

  normalizeInput(body: object, tenant: string, digest: string): NormalizedInput | undefined {
    const entry = this.#byBody.get(body);
    return entry?.digest === digest && entry.tenant === tenant ? entry.normalized : undefined;
  }

  store(entry: Entry): void {
    // The text of a long body, and of a form, is not known. All such bodies would share the entry of the empty text.
    if (
      entry.text === '' ||
      entry.text.length > TEXT_MAX_LENGTH ||
      this.#byBody.get(entry.body)?.digest === entry.digest
    )
      return;
    freeze(entry.body);
    const kept = { ...entry, normalized: withOwnRows(entry.normalized), usedIn: this.#period };
    this.#byBody.set(entry.body, kept);
    this.#byText.set(entry.text, kept);
  }

  /** Discards the texts that no request has used since the previous call: after a load these texts would take megabytes for good. */
  discardUnused(): void {
    // The iteration starts at the entry that was not used for the longest time.
    for (const text of this.#byText.rkeys()) {
      const entry = this.#byText.peek(text);
      if (!entry || entry.usedIn >= this.#period) break;
      this.#byText.delete(text);
    }
    this.#period += 1;
  }
}

function withOwnRows(normalized: NormalizedInput): NormalizedInput {
  const { rows } = normalized;
  if (!rows.some(Buffer.isBuffer)) return normalized;
  return { ...normalized, rows: rows.map((row) => (Buffer.isBuffer(row) ? ownBytes(row) : row)) };
}

/** Requests share a body. If one request changed the body, the next request would have another input. */
function freeze(value: unknown): void {
  // JavaScript cannot freeze the elements of a typed array. Nobody changes the numbers of a NumberArray.
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return;
  if (value instanceof NumberArray) value.ownNumbers();
  Object.freeze(value);
  for (const member of Object.values(value)) freeze(member);
}
