/** Parses the request headers `Prefer` (RFC 7240) and `Cache-Control` (RFC 9111). */
import { ApiError } from '@millrace/shared/errors';

export const WAIT_MAX_S = 60;

/** Clients send the same few headers again and again, so the parsed values of this many short headers are kept. */
const TEXTS = 64;
const TEXT_MAX = 200;

class ParsedTexts<T extends object> {
  readonly #known = new Map<string, T>();
  readonly #read: (text: string) => T;

  /** `read` throws on an invalid text. */
  constructor(read: (text: string) => T) {
    this.#read = read;
  }

  get(text: string): T {
    const known = this.#known.get(text);
    if (known) return known;
    const value = Object.freeze(this.#read(text));
    if (this.#known.size >= TEXTS) this.#known.clear();
    if (text.length <= TEXT_MAX) this.#known.set(text, value);
    return value;
  }
}

export interface Prefer {
  /** The seconds that the caller waits, 1 to 60; null for no wait. */
  waitS: number | null;
  respondAsync: boolean;
}

const NO_PREFERENCE: Prefer = Object.freeze({ waitS: null, respondAsync: false });

/** Ignores unknown preferences and a `wait` that is no whole number, as RFC 7240 requires. A longer `wait` becomes 60 s; Preference-Applied states the value. */
export function parsePrefer(header: string | string[] | undefined): Prefer {
  if (header === undefined) return NO_PREFERENCE;
  return typeof header === 'string' ? prefers.get(header) : readPrefer(header.join(','));
}

function readPrefer(header: string): Prefer {
  let wait: string | undefined;
  let respondAsync = false;
  for (const part of header.split(',')) {
    const [name = '', value = ''] = (part.split(';')[0] ?? '').split('=').map((piece) => piece.trim());
    if (name.toLowerCase() === 'respond-async') respondAsync = true;
    // The first of several counts.
    if (name.toLowerCase() === 'wait') wait ??= value.replace(/^"(.*)"$/, '$1');
  }
  const waitS = wait !== undefined && WHOLE.test(wait) ? Math.min(Number(wait), WAIT_MAX_S) : 0;
  return { waitS: waitS === 0 ? null : waitS, respondAsync };
}

const WHOLE = /^\d+$/;

const prefers = new ParsedTexts(readPrefer);

export interface CacheControl {
  noCache: boolean;
  noStore: boolean;
  onlyIfCached: boolean;
  /** Seconds; null for any age. */
  maxAgeS: number | null;
}

const ANY: CacheControl = Object.freeze({ noCache: false, noStore: false, onlyIfCached: false, maxAgeS: null });

/** Ignores unknown directives, as RFC 9111 requires. */
export function parseCacheControl(header: string | undefined): CacheControl {
  return header === undefined ? ANY : cacheControls.get(header);
}

function readCacheControl(header: string): CacheControl {
  const out = { ...ANY };
  for (const part of header.split(',')) {
    const [name = '', value] = part.split('=').map((piece) => piece.trim());
    switch (name.toLowerCase()) {
      case 'no-cache':
        out.noCache = true;
        break;
      case 'no-store':
        out.noStore = true;
        break;
      case 'only-if-cached':
        out.onlyIfCached = true;
        break;
      case 'max-age': {
        const seconds = Number(value?.replace(/^"(.*)"$/, '$1'));
        if (value === undefined || !Number.isInteger(seconds) || seconds < 0)
          throw new ApiError('invalid_header', 'The directive max-age takes a whole number of seconds.', {
            faults: [
              {
                in: 'header',
                pointer: 'Cache-Control',
                message: 'max-age is not a number of seconds',
                expected: 'max-age=N',
                got: part.trim(),
              },
            ],
          });
        out.maxAgeS = seconds;
      }
    }
  }
  return out;
}

const cacheControls = new ParsedTexts(readCacheControl);
