/**
 * Long UTF-8 text as the pieces in which its bytes arrived. The pieces are never joined or decoded, so that no turn of the event
 * loop grows with the size of the text.
 */

/** Results above this size pass through a process in pieces. */
export const LONG_TEXT_BYTES = 131_072;
/** Strings up to this length share a piece with their neighbors. */
const PIECE_BYTES = 524_288;

export class LongText {
  readonly pieces: readonly Buffer[];
  /** Bytes of all pieces together. */
  readonly length: number;
  /** Where each piece begins. */
  readonly #starts: number[] = [];

  constructor(pieces: readonly Buffer[]) {
    this.pieces = pieces;
    let length = 0;
    for (const piece of pieces) {
      this.#starts.push(length);
      length += piece.length;
    }
    this.length = length;
  }

  /** The index of the piece that holds the byte at `at`; of the last piece where `at` is behind the end. */
  #pieceAt(at: number): number {
    let [low, high] = [0, this.pieces.length - 1];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((this.#starts[middle] ?? 0) <= at) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  byteAt(at: number): number | undefined {
    const piece = this.#pieceAt(at);
    return this.pieces[piece]?.[at - (this.#starts[piece] ?? 0)];
  }

  /** The bytes from `from` up to, and without, `to`, as views. */
  slice(from: number, to: number = this.length): LongText {
    const pieces: Buffer[] = [];
    for (let n = this.#pieceAt(from); n < this.pieces.length; n += 1) {
      const start = this.#starts[n] ?? 0;
      const piece = this.pieces[n];
      if (piece === undefined || start >= to) break;
      pieces.push(piece.subarray(Math.max(0, from - start), Math.max(0, to - start)));
    }
    return new LongText(pieces);
  }

  /** The position of the first byte `byte` at or after `from`; -1 if there is none. */
  indexOf(byte: number, from = 0): number {
    for (let n = this.#pieceAt(from); n < this.pieces.length; n += 1) {
      const start = this.#starts[n] ?? 0;
      const found = this.pieces[n]?.indexOf(byte, Math.max(0, from - start)) ?? -1;
      if (found !== -1) return start + found;
    }
    return -1;
  }

  /** The whole text, in a turn that grows with the text. Only for short text and for tests. */
  toString(): string {
    return Buffer.concat(this.pieces, this.length).toString();
  }
}

/** Text that may be long. The `length` of a string counts characters, and the `length` of a LongText counts bytes. */
export type Text = string | LongText;

/** Bytes of a text as UTF-8. */
export const textBytes = (text: Text): number => (typeof text === 'string' ? Buffer.byteLength(text) : text.length);

/** Concatenates texts. Only strings are copied. */
export function joinTexts(texts: readonly Text[]): LongText {
  const pieces: Buffer[] = [];
  let short = '';
  for (const text of texts) {
    if (typeof text === 'string' && text.length <= PIECE_BYTES) {
      short += text;
      continue;
    }
    if (short !== '') pieces.push(Buffer.from(short));
    short = '';
    pieces.push(...piecesOf(text));
  }
  if (short !== '') pieces.push(Buffer.from(short));
  return new LongText(pieces);
}

/** The bytes of a text. A string becomes one piece. */
export const piecesOf = (text: Text): readonly Buffer[] =>
  typeof text === 'string' ? [Buffer.from(text)] : text.pieces;
