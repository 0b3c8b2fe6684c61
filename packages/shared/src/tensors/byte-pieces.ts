/** Bytes in the pieces in which they arrived. Nothing joins the pieces unless a caller needs one Buffer. */
export class BytePieces {
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

  /** The pieces from `from` up to, and without, `to`, as views. */
  protected between(from: number, to: number): Buffer[] {
    const pieces: Buffer[] = [];
    for (let n = this.#pieceAt(from); n < this.pieces.length; n += 1) {
      const start = this.#starts[n] ?? 0;
      const piece = this.pieces[n];
      if (piece === undefined || start >= to) break;
      const view = piece.subarray(Math.max(0, from - start), Math.max(0, to - start));
      if (view.length > 0) pieces.push(view);
    }
    return pieces;
  }

  /** The bytes from `from` up to, and without, `to`, as views. */
  slice(from: number, to: number = this.length): BytePieces {
    return new BytePieces(this.between(from, to));
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

  /** All bytes in one Buffer: a copy unless there is one piece. */
  joined(): Buffer {
    const [first] = this.pieces;
    return this.pieces.length === 1 && first ? first : Buffer.concat(this.pieces, this.length);
  }
}
