/**
 * Long UTF-8 text as the pieces in which its bytes arrived. The pieces are never joined or decoded, so that no turn of the event
 * loop grows with the size of the text.
 */
import { BytePieces } from '../tensors/byte-pieces.ts';

/** Results above this size pass through a process in pieces. */
export const LONG_TEXT_BYTES = 131_072;
/** Strings up to this length share a piece with their neighbors. */
const PIECE_BYTES = 524_288;

export class LongText extends BytePieces {
  override slice(from: number, to: number = this.length): LongText {
    return new LongText(this.between(from, to));
  }

  /** The whole text, in a turn that grows with the text. Only for short text and for tests. */
  override toString(): string {
    return this.joined().toString();
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
