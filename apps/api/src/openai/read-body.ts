/** Reads the members of a request. Both protocols have optional members that are null, and inputs of several forms. */
import { ApiError } from '@millrace/shared/errors';
import { withPlainArrays } from '@millrace/shared/tensors/number-array';
import { nearNames } from '@millrace/shared/text/near-names';

export class BodyReader {
  readonly #body: Record<string, unknown>;

  /** Throws ApiError for a body that is no object, and for a member that is not in `members`. */
  constructor(body: unknown, members: readonly string[]) {
    if (typeof body !== 'object' || body === null || Array.isArray(body))
      throw new ApiError('invalid_request', `The body is not an object: expected ${members.join(', ')}.`);
    // The body parser reads long lists of numbers as typed arrays.
    this.#body = withPlainArrays(body) as Record<string, unknown>;
    for (const name of Object.keys(this.#body)) {
      if (members.includes(name)) continue;
      const [near] = nearNames(name, members, 1);
      throw invalid(name, 'is not a member of this request', near === undefined ? members.join(', ') : near);
    }
  }

  /** The value of a member. Undefined for null. */
  #value(name: string): unknown {
    return this.#body[name] ?? undefined;
  }

  text(name: string): string | undefined {
    const value = this.#value(name);
    if (value === undefined || typeof value === 'string') return value;
    throw invalid(name, 'is not a text', 'a string');
  }

  requiredText(name: string): string {
    const value = this.text(name);
    if (value === undefined || value === '') throw invalid(name, 'is missing', 'a string');
    return value;
  }

  flag(name: string, otherwise: boolean): boolean {
    const value = this.#value(name) ?? otherwise;
    if (typeof value === 'boolean') return value;
    throw invalid(name, 'is neither true nor false', 'a boolean');
  }

  positive(name: string): number | undefined {
    const value = this.#value(name);
    if (value === undefined || (typeof value === 'number' && Number.isSafeInteger(value) && value > 0)) return value;
    throw invalid(name, 'is not a positive whole number', 'a whole number from 1');
  }

  oneOf<T extends string>(name: string, values: readonly T[], otherwise: T): T {
    const value = this.#value(name) ?? otherwise;
    const known = values.find((one) => one === value);
    if (known !== undefined) return known;
    throw invalid(name, 'has no known value', values.join(' or '));
  }

  /** Throws ApiError for a member that has a value. */
  refuse(name: string, reason: string): void {
    if (this.#value(name) !== undefined) throw invalid(name, reason, 'a request without this member');
  }

  texts(name: string, most: number): string[] {
    const value = this.#value(name);
    if (!Array.isArray(value) || value.length === 0) throw invalid(name, 'is not a list of texts', 'a list of strings');
    requireCount(name, value.length, most);
    return value.map((item: unknown, at) => {
      if (typeof item === 'string') return item;
      throw invalid(name, `has an element ${at} that is not a text`, 'a list of strings');
    });
  }

  /** A text, token ids, or a list of either. `listed` is false for a single text or a single list of token ids. */
  inputs(name: string, most: number): { items: (string | number[])[]; listed: boolean } {
    const list = this.#value(name);
    if (typeof list === 'string') return { items: [requireContent(name, list)], listed: false };
    if (list === undefined) throw invalid(name, 'is missing', INPUT_FORMS);
    if (!Array.isArray(list)) throw invalid(name, 'has a wrong type', INPUT_FORMS);
    if (list.length === 0) throw invalid(name, 'is an empty list', INPUT_FORMS);
    if (typeof list[0] === 'number') return { items: [tokensOf(name, list)], listed: false };
    requireCount(name, list.length, most);
    return { items: list.map((item: unknown) => itemOf(name, item)), listed: true };
  }
}

const INPUT_FORMS = 'a string, a list of strings, a list of token ids, or a list of such lists';

function itemOf(name: string, item: unknown): string | number[] {
  if (typeof item === 'string') return requireContent(name, item);
  if (Array.isArray(item)) return tokensOf(name, item);
  throw invalid(name, 'has an element that is neither a text nor a list of token ids', INPUT_FORMS);
}

function requireContent(name: string, text: string): string {
  if (text === '') throw invalid(name, 'has an empty text', 'texts with at least one character');
  return text;
}

/** The largest id of a token. */
const TOKEN_MAX = 2 ** 31 - 1;

function tokensOf(name: string, ids: readonly unknown[]): number[] {
  if (ids.length === 0) throw invalid(name, 'has an empty list of token ids', INPUT_FORMS);
  return ids.map((id) => {
    if (typeof id === 'number' && Number.isInteger(id) && id >= 0 && id <= TOKEN_MAX) return id;
    throw invalid(name, 'has a token id that is not a whole number', INPUT_FORMS);
  });
}

function requireCount(name: string, count: number, most: number): void {
  if (count > most) throw invalid(name, `has ${count} elements`, `at most ${most}`);
}

export const invalid = (name: string, message: string, expected: string): ApiError =>
  new ApiError('invalid_request', `'${name.slice(0, 100)}' ${message}: expected ${expected}.`, {
    faults: [{ pointer: `/${name.slice(0, 100)}`, message, expected }],
  });
