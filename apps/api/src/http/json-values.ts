/** Checks the values of a parsed JSON text, and finds a member that the text has twice. */
import { ApiError, type Fault } from '@millrace/shared/errors';
import { escapePart } from '@millrace/shared/text/json-pointer';
import { endOfString, type JsonLimits, QUOTE } from './json-members.ts';

/** Throws on a value that differs from its text, such as a value with fewer members. */
export function checkValue(
  value: unknown,
  { text, written, limits }: { text: string; written: number; limits: JsonLimits },
): void {
  const parsed = new Walk(limits.stringLength).walk(value, '');
  if (parsed !== written) throw duplicate(text);
}

/** Returns `invalid_json` with one fault, whose received text is shortened. */
export const refuse = (detail: string, fault: Fault & { got: string }): ApiError =>
  new ApiError('invalid_json', detail, { faults: [{ ...fault, got: shortened(fault.got) }] });

const shortened = (text: string): string => (text.length > 60 ? `${text.slice(0, 60)}…` : text);

type Loose = Readonly<Record<string, unknown>>;

/** Checks every value once, and counts the members of objects. */
class Walk {
  readonly #maxString: number;
  /** The names and indices on the path to the current value. */
  readonly #path: (string | number)[] = [];

  constructor(maxString: number) {
    this.#maxString = maxString;
  }

  /** Returns the number of members inside a value, at every depth. */
  walk(value: unknown, name: string | number): number {
    if (typeof value === 'object' && value !== null) return this.#inside(value, name);
    this.#check(value, name);
    return 0;
  }

  #check(value: unknown, name: string | number): void {
    if (typeof value === 'number') {
      if (!Number.isFinite(value)) throw this.#fault(name, 'is beyond the range of a number', 'at most 1.8e308');
    } else if (typeof value === 'string' && value.length > this.#maxString) throw this.#tooLong(name, value.length);
  }

  #inside(value: object, name: string | number): number {
    this.#path.push(name);
    const members = Array.isArray(value) ? this.#insideArray(value) : this.#insideObject(value as Loose);
    this.#path.pop();
    return members;
  }

  #insideArray(items: readonly unknown[]): number {
    let members = 0;
    for (let at = 0; at < items.length; at += 1) {
      const item = items[at];
      if (typeof item === 'object' && item !== null) members += this.#inside(item, at);
      else this.#check(item, at);
    }
    return members;
  }

  #insideObject(object: Loose): number {
    const keys = Object.keys(object);
    let members = keys.length;
    for (const key of keys) {
      // JavaScript treats `__proto__` specially: the member would be lost or do harm later, and no input needs this name.
      if (key === '__proto__') throw this.#fault(key, 'is not allowed as a name', 'another name');
      if (key.length > this.#maxString) throw this.#tooLong(key.slice(0, 60), key.length);
      const value = object[key];
      if (typeof value === 'object' && value !== null) members += this.#inside(value, key);
      else this.#check(value, key);
    }
    return members;
  }

  #tooLong(name: string | number, length: number): ApiError {
    return this.#fault(name, `has ${length} characters`, `at most ${this.#maxString} characters`);
  }

  #fault(name: string | number, problem: string, expected: string): ApiError {
    // The first name on the path is the name of the body, which is empty.
    const parts = this.#path.length === 0 ? [] : [...this.#path.slice(1), name];
    const pointer = parts.map((part) => `/${escapePart(String(part))}`).join('');
    const where = pointer === '' ? 'The body' : `The value at ${pointer.slice(0, 200)}`;
    return refuse(`${where} ${problem}.`, {
      pointer: pointer.slice(0, 500),
      message: `It ${problem}`,
      expected,
      got: problem,
    });
  }
}

/** The refusal of a longer text does not name the member: the search takes longer than the parse. */
const SEARCHED_MAX = 262_144;

/** Finds the repeated member of a refused body, because JSON.parse does not report repeated members. The search is slow. */
function duplicate(text: string): ApiError {
  if (text.length > SEARCHED_MAX) return twice();
  const open: { names: Set<string> | null; pointer: string; name: string; index: number }[] = [];
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    const inside = open.at(-1);
    if (code === 123 || code === 91) {
      const part = inside === undefined ? '' : `/${inside.names ? escapePart(inside.name) : inside.index}`;
      const pointer = `${inside?.pointer ?? ''}${part}`;
      open.push({ names: code === 123 ? new Set() : null, pointer, name: '', index: 0 });
    } else if (code === 125 || code === 93) open.pop();
    else if (code === 44 && inside) inside.index += 1;
    else if (code === QUOTE) {
      const end = endOfString(text, at);
      const after = /\S/.exec(text.slice(end + 1, end + 100))?.[0];
      if (inside?.names && after === ':') {
        const name: string = JSON.parse(text.slice(at, end + 1));
        const pointer = `${inside.pointer}/${escapePart(name.slice(0, 200))}`;
        if (inside.names.has(name))
          return refuse(`The body has ${pointer} twice.`, {
            pointer,
            message: 'It is there twice',
            expected: 'once',
            got: name,
          });
        inside.names.add(name);
        inside.name = name;
      }
      at = end;
    }
  }
  return twice();
}

const twice = (): ApiError =>
  refuse('The body has a member twice.', {
    pointer: '',
    message: 'A member is there twice',
    expected: 'each name once',
    got: 'twice',
  });
