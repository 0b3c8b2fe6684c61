/** Parses JSON bodies: bounded in depth before anything walks them, and clear about what is wrong. */
import { ApiError } from '@millrace/shared/errors';

/** Throws ApiError: `invalid_json`, or `json_too_deep` beyond `maxDepth`. */
export function parseJson(text: string, maxDepth: number): unknown {
  // Each level takes two characters at least, so a short body cannot be too deep.
  if (text.length > 2 * maxDepth) checkDepth(text, maxDepth);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    const detail =
      text.trim() === ''
        ? 'The body is empty; JSON was expected.'
        : `The body is not JSON: ${(error as Error).message.slice(0, 200)}.`;
    throw new ApiError('invalid_json', detail, {
      faults: [{ pointer: '', message: 'The body cannot be parsed', expected: 'JSON', got: shortened(text) }],
    });
  }
  // A key that JavaScript treats apart would be lost or do harm further on; no input of ours needs one.
  if (text.includes('__proto__') && hasProto(value))
    throw new ApiError('invalid_json', 'The body has a member named __proto__, which is not allowed.');
  return value;
}

const shortened = (text: string): string => (text.length > 60 ? `${text.slice(0, 60)}…` : text);

const QUOTE = 34;
const BACKSLASH = 92;

function checkDepth(text: string, maxDepth: number): void {
  let depth = 0;
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) at = endOfString(text, at);
    else if (code === 91 || code === 123) {
      depth += 1;
      if (depth > maxDepth)
        throw new ApiError('json_too_deep', `The body is nested deeper than ${maxDepth} levels, at character ${at}.`, {
          faults: [{ pointer: '', message: 'Nested too deep', expected: `at most ${maxDepth} levels`, got: 'more' }],
        });
    } else if (code === 93 || code === 125) depth -= 1;
  }
}

function endOfString(text: string, open: number): number {
  for (let at = text.indexOf('"', open + 1); at !== -1; at = text.indexOf('"', at + 1)) {
    let slashes = 0;
    while (text.charCodeAt(at - 1 - slashes) === BACKSLASH) slashes += 1;
    if (slashes % 2 === 0) return at;
  }
  return text.length;
}

function hasProto(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  if (Object.hasOwn(value, '__proto__')) return true;
  return Object.values(value).some(hasProto);
}
