/** Counts the members, objects and arrays of a JSON text before the text is parsed, and refuses a text with too many. */
import { ApiError } from '@millrace/shared/errors';

export interface JsonLimits {
  /** The deepest nesting. */
  depth: number;
  /** The longest string or member name, in UTF-16 units. */
  stringLength: number;
  /** The most members of one object. A large object costs far more to build and to check than many small objects. */
  members: number;
  /**
   * The most items of a body. The number of items, not of bytes, decides how long a body holds the event loop. A member and
   * an object are one item each. An array counts as a quarter, because an array costs less than a quarter of an object, and
   * an image in nested arrays has 50,000 arrays. A member with the same name as in the previous object also counts as a
   * quarter: the rows of a batch have the same members.
   */
  items: number;
}

/** The number of items that the texts of one request may still have. */
export interface JsonBudget {
  items: number;
}

export const QUOTE = 34;
const BACKSLASH = 92;
const COLON = 58;
const OBJECT = 123;

/** Arrays, and repeated members, that count as one item. */
export const ARRAYS_OF_ITEM = 4;
/** Shorter texts cannot exceed the default limit of items. */
const REPEATS_FROM = 65_536;
const PLACES = 64;
const NAME_MAX = 64;

/**
 * Recognizes a member with the same name as the member at the same place in the previous object of the same depth.
 * JSON.parse takes a tenth of the time for such objects if they have few members, so only the first 64 members count.
 */
class RepeatedNames {
  readonly #text: string;
  /** For each depth, the start and the end of the name at each place. */
  readonly #names: Int32Array[] = [];
  /** The depth of the open object. The caller keeps it. */
  depth = 0;

  constructor(text: string) {
    this.#text = text;
  }

  /** Whether the name from `start` to `end` is repeated. Keeps the name for the next object. */
  met(place: number, start: number, end: number): boolean {
    if (place >= PLACES || end - start > NAME_MAX) return false;
    this.#names[this.depth] ??= new Int32Array(2 * PLACES);
    const names = this.#names[this.depth] as Int32Array;
    const before = names[2 * place] ?? 0;
    const same = before > 0 && (names[2 * place + 1] ?? 0) - before === end - start && this.#same(before, start, end);
    names[2 * place] = start;
    names[2 * place + 1] = end;
    return same;
  }

  #same(before: number, start: number, end: number): boolean {
    for (let at = start; at < end; at += 1)
      if (this.#text.charCodeAt(at) !== this.#text.charCodeAt(before + at - start)) return false;
    return true;
  }
}

/** Members so far of the open object at each depth. One array for all texts: an allocation takes longer than a short count. */
let ofObject = new Int32Array(0);

/** Counts the members of all objects by their colons. The count of a text that is not JSON has no meaning. */
export function countMembers(text: string, limits: JsonLimits, budget: JsonBudget): number {
  if (ofObject.length <= limits.depth) ofObject = new Int32Array(limits.depth + 1);
  ofObject[0] = 0;
  let depth = 0;
  let members = 0;
  let objects = 0;
  let arrays = 0;
  let repeated = 0;
  let nameAt = 0;
  let nameEnd = 0;
  const names = text.length >= REPEATS_FROM ? new RepeatedNames(text) : undefined;
  const items = () => members - repeated + objects + Math.floor((arrays + repeated) / ARRAYS_OF_ITEM);
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) {
      nameAt = at;
      at = endOfString(text, at);
      nameEnd = at;
    } else if (code === COLON) {
      members += 1;
      const own = (ofObject[depth] ?? 0) + 1;
      if (names?.met(own - 1, nameAt, nameEnd)) repeated += 1;
      ofObject[depth] = own;
      if (own > limits.members) throw tooMany(`An object has more than ${limits.members} members`, limits.members, at);
      if (items() > budget.items) throw tooManyItems(limits.items, at);
    } else if (code === 91 || code === OBJECT) {
      depth += 1;
      if (names) names.depth = depth;
      if (code === OBJECT) objects += 1;
      else arrays += 1;
      if (depth > limits.depth) throw tooDeep(limits.depth, at);
      ofObject[depth] = 0;
      if (items() > budget.items) throw tooManyItems(limits.items, at);
    } else if (code === 93 || code === 125) {
      depth = Math.max(0, depth - 1);
      if (names) names.depth = depth;
    }
  }
  budget.items -= items();
  return members;
}

const tooDeep = (maxDepth: number, at: number): ApiError =>
  new ApiError('json_too_deep', `The body is nested deeper than ${maxDepth} levels, at character ${at}.`, {
    faults: [{ pointer: '', message: 'Nested too deep', expected: `at most ${maxDepth} levels`, got: 'more' }],
  });

const tooManyItems = (max: number, at: number): ApiError =>
  tooMany(
    `The body has more than ${max} members and objects in all, ${ARRAYS_OF_ITEM} arrays or repeated members counted as one`,
    max,
    at,
  );

const tooMany = (problem: string, max: number, at: number): ApiError =>
  new ApiError(
    'payload_too_large',
    `${problem}, at character ${at}. Send fewer inputs in one request, or a tensor as {"shape": [...], "data": [...]} with flat data.`,
    { faults: [{ pointer: '', message: problem, expected: `at most ${max}`, got: 'more' }] },
  );

/** Returns the position of the closing quote of the string that opens at `open`; the length of the text without one. */
export function endOfString(text: string, open: number): number {
  for (let at = text.indexOf('"', open + 1); at !== -1; at = text.indexOf('"', at + 1)) {
    let slashes = 0;
    while (text.charCodeAt(at - 1 - slashes) === BACKSLASH) slashes += 1;
    if (slashes % 2 === 0) return at;
  }
  return text.length;
}
