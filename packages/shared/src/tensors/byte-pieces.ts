/** Bytes in the pieces in which they arrived. Nothing joins the pieces unless a caller needs one Buffer. */
export class BytePieces {
  readonly #pieces: readonly Buffer[];
  /** Bytes of all pieces together. */
  readonly length: number;
  /** Where each piece begins. */
  readonly #starts: number[] = [];

  constructor(pieces: readonly Buffer[]) {
    this.#pieces = pieces;
    let length = 0;
    for (const piece of pieces) {
      this.#starts.push(length);
      length += piece.length;
    }
    this.length = length;
  }

  /** Throws after the release of the memory: a reader that is late must not take zeros for the bytes. */
  get pieces(): readonly Buffer[] {
    const isWhole = this.#pieces.every(
      ({ length }, at) => length === (this.#starts[at + 1] ?? this.length) - (this.#starts[at] ?? 0),
    );
    if (!isWhole) throw new Error('These bytes were read after the release of their memory.');
    return this.#pieces;
  }

  /** Calls `free` with each piece. Nobody may read the bytes afterwards. A second release changes nothing. */
  release(free: (piece: Buffer) => void): void {
    for (const piece of this.#pieces) free(piece);
  }

  /** The index of the piece that holds the byte at `at`; of the last piece where `at` is behind the end. */
  #pieceAt(at: number): number {
    let [low, high] = [0, this.#pieces.length - 1];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((this.#starts[middle] ?? 0) <= at) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  byteAt(at: number): number | undefined {
    const piece = this.#pieceAt(at);
    return this.#pieces[piece]?.[at - (this.#starts[piece] ?? 0)];
  }

  /** The pieces from `from` up to, and without, `to`, as views. */
  protected between(from: number, to: number): Buffer[] {
    const pieces: Buffer[] = [];
    const all = this.pieces;
    for (let n = this.#pieceAt(from); n < all.length; n += 1) {
      const start = this.#starts[n] ?? 0;
      const piece = all[n];
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
    const all = this.pieces;
    for (let n = this.#pieceAt(from); n < all.length; n += 1) {
      const start = this.#starts[n] ?? 0;
      const found = all[n]?.indexOf(byte, Math.max(0, from - start)) ?? -1;
      if (found !== -1) return start + found;
    }
    return -1;
  }

  /** All bytes in one Buffer: a copy unless there is one piece. */
  joined(): Buffer {
    const { pieces } = this;
    const [first] = pieces;
    return pieces.length === 1 && first ? first : Buffer.concat(pieces, this.length);
  }
}
