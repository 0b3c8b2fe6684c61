/**
 * Frames between a worker and its engines, over a socket pair: `u32 length of the rest | u8 type | u32 id | body`,
 * little-endian. A run's rows and outputs are JSON texts joined by newlines, which JSON text never holds raw: so
 * neither side parses or copies row by row what it only passes on. docs/decisions/engine-transport.md has the measure.
 */

/** Worker to engine. */
export const LOAD = 1;
export const RUN = 2;
export const UNLOAD = 3;
export const PROBE = 4;
/** Engine to worker. */
export const READY = 11;
/** An answer in JSON: to LOAD, UNLOAD and PROBE. */
export const DONE = 12;
/** An answer to RUN: `f64 inference ms | f64 resident bytes | outputs joined by newlines`. */
export const OUTPUTS = 13;
/** JSON text of why it failed. */
export const FAILED = 14;

export const HEADER_BYTES = 9;
export const OUTPUTS_HEADER_BYTES = 16;

export interface Frame {
  type: number;
  id: number;
  body: Buffer;
}

/** A frame with `prefixBytes` left free before the text, for the caller to fill in from HEADER_BYTES on. */
export function textFrame(type: number, id: number, prefixBytes: number, text: string): Buffer {
  const start = HEADER_BYTES + prefixBytes;
  const frame = Buffer.allocUnsafe(start + Buffer.byteLength(text));
  frame.write(text, start);
  return header(frame, type, id);
}

export function bytesFrame(type: number, id: number, body: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(HEADER_BYTES + body.byteLength);
  frame.set(body, HEADER_BYTES);
  return header(frame, type, id);
}

function header(frame: Buffer, type: number, id: number): Buffer {
  frame.writeUInt32LE(frame.length - 4, 0);
  frame.writeUInt8(type, 4);
  frame.writeUInt32LE(id, 5);
  return frame;
}

/** Puts the frames of a byte stream together again, however it was cut; bodies are views of what came in. */
export class FrameReader {
  #chunks: Buffer[] = [];
  #bytes = 0;

  /** Takes the next bytes of the stream; gives back the frames that they complete, in order. */
  push(chunk: Buffer): Frame[] {
    const frames: Frame[] = [];
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    let needed = this.#needed();
    while (this.#bytes >= needed) {
      let all = this.#chunks.length === 1 ? this.#chunks[0]! : Buffer.concat(this.#chunks, this.#bytes);
      while (all.length >= 4 && all.length >= 4 + all.readUInt32LE(0)) {
        const end = 4 + all.readUInt32LE(0);
        frames.push({ type: all[4]!, id: all.readUInt32LE(5), body: all.subarray(HEADER_BYTES, end) });
        all = all.subarray(end);
      }
      this.#chunks = all.length === 0 ? [] : [all];
      this.#bytes = all.length;
      needed = this.#needed();
    }
    return frames;
  }

  /** Bytes that must be there before it is worth putting chunks together. */
  #needed(): number {
    const first = this.#chunks[0];
    return first === undefined || first.length < 4 ? 4 : 4 + first.readUInt32LE(0);
  }
}
