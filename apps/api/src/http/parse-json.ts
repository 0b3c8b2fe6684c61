/** Parses JSON within limits, refuses every value that JavaScript would change, and states each fault exactly. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { ApiError } from '@millrace/shared/errors';
import { ARRAYS_OF_ITEM, countMembers, type JsonBudget, type JsonLimits } from './json-members.ts';
import { checkValue, refuse } from './json-values.ts';
import { NumberSplit, withArrays } from './number-bodies.ts';

/**
 * Throws ApiError: `json_too_deep`, `payload_too_large` for too many members, or `invalid_json`. Also invalid are values that
 * JavaScript would change silently: a repeated member (the first value would be lost), a number beyond the range of a double
 * (the value would be infinite), a member `__proto__`, and bytes that are not UTF-8.
 */
export function parseJson(text: string, limits: JsonLimits, budget: JsonBudget = { items: limits.items }): unknown {
  const written = scan(text, limits, budget);
  const value = build(text);
  checkValue(value, { text, written, limits });
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
  checkValue(value, { text, written, limits });
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

/** The limits of a process never change: one copy serves all bodies. */
const outside = new WeakMap<JsonLimits, JsonLimits>();

/** The limits of the text outside of its NumberArrays. */
function limitsOutside(limits: JsonLimits): JsonLimits {
  let own = outside.get(limits);
  if (own === undefined) {
    own = { ...limits, depth: limits.depth - ARRAY_LEVELS };
    outside.set(limits, own);
  }
  return own;
}

/**
 * Undefined for a body without arrays of numbers, and for a body that could be invalid: the caller then parses the whole text, and
 * its error names the place in the text.
 */
function parseSplit({ text, arrays }: NumberSplit, limits: JsonLimits): unknown {
  if (text === undefined) return undefined;
  const inArrays = arrays.reduce((sum, array) => sum + array.arrays, 0);
  const items = limits.items - Math.ceil(inArrays / ARRAYS_OF_ITEM);
  try {
    return withArrays(parseJson(text, limitsOutside(limits), { items }), arrays);
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

/** V8 states the place of a wrong token or the text around the token, but no place for a body that ends too early. */
const located = (message: string, text: string): string =>
  message === 'Unexpected end of JSON input' ? `${message} at position ${text.length}` : message;
