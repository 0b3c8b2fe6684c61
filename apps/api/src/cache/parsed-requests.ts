/**
 * Requests whose very bytes were asked before and answered from the cache. Their body need not be parsed, checked and
 * turned into a cache key again: the same text gives the same plan as long as the model version is the same. Nothing
 * here is an answer, so nothing here can be stale.
 */
import type { NormalizedInput } from '../models/normalize-input.ts';

/** Two generations of this many texts each: when the younger is full the older goes. */
const TEXTS = 4_096;
const TEXT_MAX = 1_024;

interface Entry {
  text: string;
  body: object;
  schema: unknown;
  tenant: string;
  digest: string;
  plan: NormalizedInput;
}

export class ParsedRequests {
  #young = new Map<string, Entry>();
  #old = new Map<string, Entry>();
  readonly #byBody = new WeakMap<object, Entry>();

  /** The parsed body of a text; the same object each time, and frozen. */
  bodyOf(text: string): unknown {
    if (text.length > TEXT_MAX) return undefined;
    const entry = this.#young.get(text);
    if (entry) return entry.body;
    const old = this.#old.get(text);
    if (old) this.#keep(old);
    return old?.body;
  }

  /** Whether a body is one that met this schema before. */
  met(schema: unknown, body: unknown): boolean {
    return typeof body === 'object' && body !== null && this.#byBody.get(body)?.schema === schema;
  }

  /** Whether anything is remembered of a body. */
  knows(body: object): boolean {
    return this.#byBody.has(body);
  }

  normalizeInput(body: object, tenant: string, digest: string): NormalizedInput | undefined {
    const entry = this.#byBody.get(body);
    return entry?.digest === digest && entry.tenant === tenant ? entry.plan : undefined;
  }

  remember(entry: Entry): void {
    if (entry.text.length > TEXT_MAX || this.#byBody.get(entry.body)?.digest === entry.digest) return;
    freeze(entry.body);
    this.#byBody.set(entry.body, entry);
    this.#keep(entry);
  }

  #keep(entry: Entry): void {
    if (this.#young.size >= TEXTS) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(entry.text, entry);
  }
}

/** A shared body that a request could change would change the question of the next. */
function freeze(value: unknown): void {
  if (typeof value !== 'object' || value === null) return;
  Object.freeze(value);
  for (const member of Object.values(value)) freeze(member);
}
