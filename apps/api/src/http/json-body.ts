/** Parses JSON bodies within limits, refuses every value that JavaScript would change, and states each fault exactly. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { ApiError, type Fault } from '@millrace/shared/errors';
import type { Config } from '@millrace/shared/process/config';
import { escapePart } from '@millrace/shared/text/json-pointer';
import type { FastifyInstance } from 'fastify';
import { isOptionalBody } from './action-body.ts';
import { wrongType } from './error-handler.ts';
import { NumberSplit, withArrays } from './number-bodies.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** A short body as received; '' for a longer body, and where the request has no body. */
    bodyText: string;
  }
  interface FastifyContextConfig {
    /** Large arrays of numbers inside `input` and `inputs` of the body are NumberArrays. */
    numberArrays?: boolean;
  }
  interface FastifyInstance {
    /** The most bytes of a JSON body. */
    jsonLimit: number;
  }
}

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

export function jsonLimitsOf(config: Config): JsonLimits {
  const { jsonDepth: depth, maxStringLength: stringLength, jsonMembers: members, jsonItems: items } = config;
  return { depth, stringLength, members, items };
}

export interface JsonBodyParams {
  limits: JsonLimits;
  /** The most bytes of a body. */
  bodyLimit: number;
  /** The body that the same text gave before, or undefined. */
  parsedBefore(text: string): unknown;
}

/** Makes JSON the only type of bodies. */
export function registerJsonBody(app: FastifyInstance, { limits, bodyLimit, parsedBefore }: JsonBodyParams): void {
  app.removeAllContentTypeParsers();
  app.decorateRequest('bodyText', '');
  app.decorate('jsonLimit', bodyLimit);
  refuseOtherTypes(app);
  app.addContentTypeParser<Buffer>('application/json', { parseAs: 'buffer', bodyLimit }, (request, bytes, done) => {
    try {
      const { schema, config } = request.routeOptions;
      // Many clients always send the header. An empty body of a route without a body is no body.
      if (bytes.length === 0 && (schema?.body === undefined || isOptionalBody(schema.body)))
        return done(null, undefined);
      const hasArrays = config.numberArrays === true;
      if (bytes.length > LONG_TEXT) {
        // With setImmediate, an exception of `done` is not a rejection of the parser.
        (hasArrays ? parseLongBody(bytes, limits) : parseLongJson(bytes.toString(), limits)).then(
          (body) => setImmediate(done, null, body),
          (error: Error) => setImmediate(done, error),
        );
        return;
      }
      if (bytes.length > SHORT_BYTES)
        return done(null, hasArrays ? parseBody(bytes, limits) : parseJson(bytes.toString(), limits));
      const text = bytes.toString();
      request.bodyText = text;
      const parse = () => (hasArrays && text.includes('[') ? parseBody(bytes, limits, text) : parseJson(text, limits));
      done(null, parsedBefore(text) ?? parse());
    } catch (error) {
      done(error instanceof Error ? error : new Error(String(error)));
    }
  });
}

/** A body of another type, or without a type: an empty body in chunks is no body, and any other body is refused. */
function refuseOtherTypes(app: FastifyInstance): void {
  app.addContentTypeParser('*', (request, payload, done) => {
    // The handler of unknown routes reads no body.
    if (request.is404) return done(null);
    const { headers } = request;
    if (headers['content-length'] !== undefined) return done(wrongType(request));
    payload.once('data', () => {
      payload.pause();
      done(wrongType(request));
    });
    payload.once('end', () => done(null));
    payload.once('error', done);
  });
}

/** The text of a longer body is not kept: see cache/parsed-requests.ts. */
const SHORT_BYTES = 1_024;

/** The number of items that the texts of one request may still have. */
export interface JsonBudget {
  items: number;
}

/**
 * Throws ApiError: `json_too_deep`, `payload_too_large` for too many members, or `invalid_json`. Also invalid are values that
 * JavaScript would change silently: a repeated member (the first value would be lost), a number beyond the range of a double
 * (the value would be infinite), a member `__proto__`, and bytes that are not UTF-8.
 */
export function parseJson(text: string, limits: JsonLimits, budget: JsonBudget = { items: limits.items }): unknown {
  const written = scan(text, limits, budget);
  const value = build(text);
  check(value, { text, written, limits });
  return value;
}

/** From this number of characters on, each pass over a text, and the use of the value, has its own turn of the event loop. */
export const LONG_TEXT = 262_144;

/** Parses a long text like `parseJson`. Other requests run between the three passes and before the value is used. */
export async function parseLongJson(text: string, limits: JsonLimits): Promise<unknown> {
  const written = scan(text, limits, { items: limits.items });
  await nextTurn();
  const value = build(text);
  await nextTurn();
  check(value, { text, written, limits });
  await nextTurn();
  return value;
}

/**
 * Parses a body like `parseJson`, but large arrays of numbers inside `input` and `inputs` become NumberArrays. `text` is the body as
 * text, if the caller has the text.
 */
export function parseBody(bytes: Buffer, limits: JsonLimits, text?: string): unknown {
  const split = new NumberSplit(bytes);
  while (!split.step());
  return parseSplit(split, limits) ?? parseJson(text ?? bytes.toString(), limits);
}

/** Steps of a NumberSplit in one turn of the event loop: half a megabyte at most. */
const STEPS_AT_ONCE = 8;

/** Parses a long body like `parseBody`. Other requests run meanwhile. */
export async function parseLongBody(bytes: Buffer, limits: JsonLimits): Promise<unknown> {
  const split = new NumberSplit(bytes);
  for (let steps = 1; !split.step(); steps += 1) if (steps % STEPS_AT_ONCE === 0) await nextTurn();
  await nextTurn();
  // The text without its arrays is nearly always short.
  const body = (split.text?.length ?? 0) > LONG_TEXT ? undefined : parseSplit(split, limits);
  return body === undefined ? parseLongJson(bytes.toString(), limits) : nextTurn(body);
}

/** The deepest NumberArray. */
const ARRAY_LEVELS = 8;

/**
 * Undefined for a body without arrays of numbers, and for a body that could be invalid: the caller then parses the whole text, and
 * its error names the place in the text.
 */
function parseSplit({ text, arrays }: NumberSplit, limits: JsonLimits): unknown {
  if (text === undefined) return undefined;
  const inArrays = arrays.reduce((sum, array) => sum + array.arrays, 0);
  const items = limits.items - Math.ceil(inArrays / ARRAYS_OF_ITEM);
  try {
    return withArrays(parseJson(text, { ...limits, depth: limits.depth - ARRAY_LEVELS }, { items }), arrays);
  } catch (error) {
    if (error instanceof ApiError) return undefined;
    throw error;
  }
}

/** Returns the number of members in the text. Throws on too many members. */
function scan(text: string, limits: JsonLimits, budget: JsonBudget): number {
  // Invalid UTF-8 was decoded to U+FFFD, which makes different bodies equal. An intended U+FFFD can be sent as an escape.
  const strange = text.indexOf('\ufffd');
  if (strange !== -1)
    throw refuse(`The body is not UTF-8, or holds U+FFFD, at character ${strange}.`, {
      pointer: '',
      message: 'The body cannot be read',
      expected: 'UTF-8, with U+FFFD as the escape \\ufffd',
      got: text.slice(Math.max(0, strange - 30), strange + 30),
    });
  return countMembers(text, limits, budget);
}

function build(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    const detail =
      text.trim() === ''
        ? 'The body is empty; JSON was expected.'
        : `The body is not JSON: ${located(error instanceof Error ? error.message : String(error), text).slice(0, 200)}.`;
    throw refuse(detail, { pointer: '', message: 'The body cannot be parsed', expected: 'JSON', got: text });
  }
}

/** Throws on a value that differs from its text, such as a value with fewer members. */
function check(value: unknown, { text, written, limits }: { text: string; written: number; limits: JsonLimits }): void {
  const parsed = new Walk(limits.stringLength).walk(value, '');
  if (parsed !== written) throw duplicate(text);
}

const refuse = (detail: string, fault: Fault & { got: string }): ApiError =>
  new ApiError('invalid_json', detail, { faults: [{ ...fault, got: shortened(fault.got) }] });

/** V8 states the place of a wrong token or the text around the token, but no place for a body that ends too early. */
const located = (message: string, text: string): string =>
  message === 'Unexpected end of JSON input' ? `${message} at position ${text.length}` : message;

const shortened = (text: string): string => (text.length > 60 ? `${text.slice(0, 60)}…` : text);

const QUOTE = 34;
const COLON = 58;
const BACKSLASH = 92;
const OBJECT = 123;

/** Arrays, and repeated members, that count as one item. */
const ARRAYS_OF_ITEM = 4;
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
function countMembers(text: string, limits: JsonLimits, budget: JsonBudget): number {
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

function endOfString(text: string, open: number): number {
  for (let at = text.indexOf('"', open + 1); at !== -1; at = text.indexOf('"', at + 1)) {
    let slashes = 0;
    while (text.charCodeAt(at - 1 - slashes) === BACKSLASH) slashes += 1;
    if (slashes % 2 === 0) return at;
  }
  return text.length;
}

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
