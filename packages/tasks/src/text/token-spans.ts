/** Finds the characters of a text to which each token belongs. The tokenizers library for JavaScript reports no places. */
import type { TextTokenizer } from './tokens.ts';

/** Start and end of tokens in a text in UTF-16 units, one after the other. */
type Spans = number[];

/** The places of the first `most` tokens of a text. */
export function tokenSpans(text: string, tokenizer: TextTokenizer, most: number): Spans {
  const pieces = tokenizer.pieces(text).slice(0, Math.max(0, most));
  return byBytes(text, pieces) ?? new SurfaceSpans(text, tokenizer).of(pieces);
}

/** The bytes of the characters in the tokens of byte-level tokenizers, such as `Ġ` for a space. */
const BYTES: ReadonlyMap<string, number> = (() => {
  const bytes = new Map<string, number>();
  const isShown = (byte: number) => (byte > 32 && byte < 127) || (byte > 160 && byte < 256 && byte !== 173);
  let next = 256;
  for (let byte = 0; byte < 256; byte++) bytes.set(String.fromCodePoint(isShown(byte) ? byte : next++), byte);
  return bytes;
})();
const SPACE = 32;

/** The places of the tokens of a byte-level tokenizer. Undefined if the tokens are not the bytes of the text. */
function byBytes(text: string, pieces: readonly string[]): Spans | undefined {
  const units = unitsOfBytes(text);
  const bytes = Buffer.from(text);
  const hasPrefix = pieces[0]?.startsWith('Ġ') === true && bytes[0] !== SPACE;
  const spans: Spans = [];
  // A tokenizer can put a space before the text.
  let at = hasPrefix ? -1 : 0;
  for (const piece of pieces) {
    let start = at;
    for (const character of piece) {
      const byte = BYTES.get(character);
      if (byte === undefined || (at < 0 ? byte !== SPACE : byte !== bytes[at])) return undefined;
      at += 1;
    }
    while (start < at && (start < 0 || bytes[start] === SPACE)) start += 1;
    spans.push(units[start] ?? 0, at <= 0 ? 0 : endUnit(units, at));
  }
  return spans;
}

/** For each byte of the text in UTF-8, the UTF-16 unit of its character; and the length of the text at the end. */
function unitsOfBytes(text: string): number[] {
  const units: number[] = [];
  let unit = 0;
  for (const character of text) {
    for (let count = Buffer.byteLength(character); count > 0; count--) units.push(unit);
    unit += character.length;
  }
  units.push(unit);
  return units;
}

/** The unit after the character of the last byte before `at`. */
function endUnit(units: readonly number[], at: number): number {
  const last = units[at - 1] ?? 0;
  let end = at;
  while (end < units.length - 1 && units[end] === last) end += 1;
  return units[end] ?? last;
}

const CODE_POINT = /./gsu;
/** A character with its combining marks. */
const CHARACTER = /\P{M}\p{M}*|\p{M}+/gsu;
/** Signs of word starts, which tokenizers add to tokens. */
const SPACES = /[\s▁]+/gu;
/** The pre-tokenizers of BERT and its relatives cut a text at these characters. */
const BREAK = /[\p{P}$+<=>^`|~\p{Script=Han}]/u;
/** How far the next token can be after characters that belong to no token. */
const REACH = 256;

/** Finds tokens by their texts in the normalized text without spaces. */
class SurfaceSpans {
  readonly #text: string;
  readonly #tokenizer: TextTokenizer;
  /** The normalized text without spaces, and for each of its units the start and the end of its character in the text. */
  #normalized = '';
  readonly #starts: number[] = [];
  readonly #ends: number[] = [];
  readonly #known = new Map<string, string>();
  #at = 0;

  constructor(text: string, tokenizer: TextTokenizer) {
    this.#text = text;
    this.#tokenizer = tokenizer;
  }

  of(pieces: readonly string[]): Spans {
    this.#normalize(pieces.length);
    const spans: Spans = [];
    for (const [place, piece] of pieces.entries()) {
      const [from, to] = this.#next(piece, pieces[place + 1]);
      if (to > from) spans.push(this.#starts[from] ?? 0, this.#ends[to - 1] ?? 0);
      else spans.push(this.#starts[from] ?? 0, this.#starts[from] ?? 0);
    }
    return spans;
  }

  /** Normalizes each code point singly; or each character with its marks, if the normalizer joins the two. */
  #normalize(tokens: number): void {
    const most = (tokens + 1) * REACH;
    for (const parts of [CODE_POINT, CHARACTER]) {
      const end = this.#normalizeParts(parts, most);
      const whole = this.#tokenizer.normalized(this.#text.slice(0, end)).replace(SPACES, '');
      if (whole === this.#normalized) return;
    }
  }

  /** Returns the end of the normalized part of the text. The start of a long text suffices for its first tokens. */
  #normalizeParts(parts: RegExp, most: number): number {
    this.#normalized = '';
    this.#starts.length = 0;
    this.#ends.length = 0;
    for (const { 0: part, index } of this.#text.matchAll(parts)) {
      if (this.#normalized.length > most) return index;
      let normal = this.#known.get(part);
      if (normal === undefined) {
        normal = this.#tokenizer.normalized(part).replace(SPACES, '');
        this.#known.set(part, normal);
      }
      this.#normalized += normal;
      for (let unit = 0; unit < normal.length; unit++) {
        this.#starts.push(index);
        this.#ends.push(index + part.length);
      }
    }
    return this.#text.length;
  }

  /** The place of a token in the normalized text. */
  #next(piece: string, following: string | undefined): readonly [number, number] {
    const from = this.#at;
    const byte = /^<0x([0-9A-F]{2})>$/.exec(piece)?.[1];
    if (byte !== undefined) return this.#byte(Number.parseInt(byte, 16));
    for (const surface of surfacesOf(piece)) {
      if (!this.#normalized.startsWith(surface, from)) continue;
      this.#at += surface.length;
      return [from, this.#at];
    }
    if (piece === this.#tokenizer.unknownToken) {
      this.#at = this.#unknownEnd(from, following);
      return [from, this.#at];
    }
    const [surface = ''] = surfacesOf(piece);
    const found = surface === '' ? -1 : this.#normalized.slice(from, from + REACH).indexOf(surface);
    if (found < 0) return [from, from];
    this.#at = from + found + surface.length;
    return [from + found, this.#at];
  }

  /** The first byte of a character takes the character, and the other bytes have the same place. */
  #byte(byte: number): readonly [number, number] {
    const isFirst = byte < 0x80 || byte >= 0xc0;
    if (!isFirst) return [this.#characterStart(this.#at - 1), this.#at];
    const from = this.#at;
    this.#at = Math.min(this.#normalized.length, from + ((this.#normalized.codePointAt(from) ?? 0) > 0xffff ? 2 : 1));
    return [from, this.#at];
  }

  #characterStart(at: number): number {
    const code = this.#normalized.charCodeAt(at);
    return Math.max(0, code >= 0xdc00 && code <= 0xdfff ? at - 1 : at);
  }

  /** An unknown word ends at a space, at a sign, or before the next token. */
  #unknownEnd(from: number, following: string | undefined): number {
    const text = this.#normalized;
    if (from >= text.length) return from;
    let at = from + ((text.codePointAt(from) ?? 0) > 0xffff ? 2 : 1);
    if (BREAK.test(text.slice(from, at))) return at;
    while (at < text.length) {
      const hasSpace = (this.#starts[at] ?? 0) > (this.#ends[at - 1] ?? 0);
      const character = String.fromCodePoint(text.codePointAt(at) ?? 0);
      if (hasSpace || BREAK.test(character)) return at;
      if (following?.startsWith('##') && text.startsWith(following.slice(2), at)) return at;
      at += character.length;
    }
    return at;
  }
}

/** The texts that a token can have in the normalized text: as written, and without the signs of word parts. */
function surfacesOf(piece: string): string[] {
  const plain = piece.replace(SPACES, '').replace(/<\/w>$/, '');
  return (plain.startsWith('##') ? [plain.slice(2), plain] : [plain]).filter((surface) => surface !== '');
}
