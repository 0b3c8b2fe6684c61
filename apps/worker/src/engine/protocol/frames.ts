/**
 * Frames between a worker and its engines, over a socket pair: `u32 length of the rest | u8 type | u32 id | body`,
 * little-endian. Rows of JSON text are sent as one JSON array, which the engine parses, and rows of bytes without a change.
 * Outputs are JSON texts separated by newlines. The JSON texts contain no newline, so the worker separates the outputs without a parser.
 * docs/decisions/0004-engines.md has the measurement.
 */
import { LONG_TEXT_BYTES, LongText, type Text } from '@millrace/shared/predictions/long-text';
import { parseSlot, slotText } from '@millrace/shared/predictions/slots';
import { isSlot, type Row } from '@millrace/shared/predictions/task';

/** Worker to engine. */
export const LOAD = 1;
export const RUN = 2;
export const UNLOAD = 3;
export const PROBE = 4;
/** As RUN, for rows of which some are bytes. */
export const RUN_ROWS = 5;
/** Tries a device. The body is a JSON text of a Device, and the response a JSON text of a DeviceTrial. */
export const DEVICE = 6;
/** Engine to worker. */
export const READY = 11;
/** The JSON response to LOAD, UNLOAD, PROBE and DEVICE. */
export const DONE = 12;
/** The response to RUN: `f64 inference ms | f64 resident bytes | f64 encode ms | f64 decode ms | outputs joined by newlines`. */
export const OUTPUTS = 13;
/** The reason of a failed request, as a JSON text. */
export const FAILED = 14;

export const HEADER_BYTES = 9;
/** RUN: `u32 session | u32 number of rows | JSON array of them`. */
export const RUN_HEADER_BYTES = 8;
/** RUN_ROWS: `u32 session | u32 number of rows`, for each row `u32 bytes, and two bits for its kind`, then the rows. */
const [TEXT_BIT, SLOT_BIT] = [0x8000_0000, 0x4000_0000];
/** Bytes before the outputs in OUTPUTS. */
export const OUTPUTS_HEADER_BYTES = 32;

export interface Frame {
  type: number;
  id: number;
  body: Buffer;
  /** The bytes after `body`, in the received pieces. Only long OUTPUTS have such pieces. */
  more?: readonly Buffer[];
}

type FrameHead = Pick<Frame, 'type' | 'id'>;

/** A frame with `prefixBytes` free bytes before the text. The caller fills the free bytes, which begin at HEADER_BYTES. */
export function textFrame({ type, id }: FrameHead, text: string, prefixBytes = 0): Buffer {
  const start = HEADER_BYTES + prefixBytes;
  const frame = Buffer.allocUnsafe(start + Buffer.byteLength(text));
  frame.write(text, start);
  return header(frame, type, id);
}

interface TextsLayout {
  /** Bytes that are left free before the texts. */
  prefixBytes: number;
  /** `before`, `between` and `after` have at most one ASCII character each. */
  before: string;
  between: string;
  after: string;
}

/**
 * A frame with `before`, the texts separated by `between`, and `after`. Each text is written directly into the frame: for a large batch,
 * a join of the texts would cost more than all other steps together.
 */
export function textsFrame(
  { type, id }: FrameHead,
  texts: readonly string[],
  { prefixBytes, before, between, after }: TextsLayout,
): Buffer {
  let room = HEADER_BYTES + prefixBytes + 2;
  for (const text of texts) room += text.length + 1;
  let frame: Buffer = Buffer.allocUnsafe(room);
  let at = HEADER_BYTES + prefixBytes;
  at += frame.write(before, at);
  for (let i = 0; i < texts.length; i++) {
    const text = texts[i]!;
    // The frame has room for ASCII. Other characters take up to three bytes a unit, and are counted only when the room can be too small.
    if (at + 3 * text.length + 3 > frame.length) frame = grown(frame, at, at + Buffer.byteLength(text) + 3);
    if (i > 0) at += frame.write(between, at);
    at += frame.write(text, at);
  }
  at += frame.write(after, at);
  return header(frame.subarray(0, at), type, id);
}

function grown(frame: Buffer, used: number, needed: number): Buffer {
  if (needed <= frame.length) return frame;
  const larger = Buffer.allocUnsafe(Math.max(needed, 2 * frame.length));
  frame.copy(larger, 0, 0, used);
  return larger;
}

/** Rows whose total size is larger are not copied into one buffer. */
const COPIED_BYTES = 65_536;
/** Each row begins at a multiple of 8 bytes of the frame, so that the engine can use its elements in place. */
const aligned = (bytes: number): number => Math.ceil(bytes / 8) * 8;

/** The frame of a run, with RUN_HEADER_BYTES free bytes. The buffers are sent in their order. */
export function rowsFrame(id: number, rows: readonly Row[]): Buffer[] {
  const first = HEADER_BYTES + RUN_HEADER_BYTES + 4 * rows.length;
  const bytes = rows.map(contentOf);
  const size = bytes.reduce((sum, { length }) => sum + aligned(length), aligned(first));
  const isCopied = size <= COPIED_BYTES;
  const head = Buffer.alloc(isCopied ? size : aligned(first));
  const buffers: Buffer[] = [head];
  let at = aligned(first);
  for (let index = 0; index < bytes.length; index += 1) {
    const row = bytes[index] as Buffer;
    head.writeUInt32LE(row.length + kindOf(rows[index] ?? row), HEADER_BYTES + RUN_HEADER_BYTES + 4 * index);
    if (isCopied) at += row.copy(head, at) + aligned(row.length) - row.length;
    else buffers.push(row, Buffer.alloc(aligned(row.length) - row.length));
  }
  header(head, RUN_ROWS, id);
  head.writeUInt32LE(size - 4, 0);
  return buffers;
}

function contentOf(row: Row): Buffer {
  if (Buffer.isBuffer(row)) return row;
  return Buffer.from(isSlot(row) ? slotText(row) : row);
}

const kindOf = (row: Row): number => (isSlot(row) ? SLOT_BIT : typeof row === 'string' ? TEXT_BIT : 0);

/** The rows of a RUN_ROWS frame. Bytes are views of the body. */
export function rowsOf(body: Buffer): Row[] {
  const count = body.readUInt32LE(4);
  let at = aligned(HEADER_BYTES + RUN_HEADER_BYTES + 4 * count) - HEADER_BYTES;
  return Array.from({ length: count }, (_, index) => {
    const word = body.readUInt32LE(RUN_HEADER_BYTES + 4 * index);
    const kind = word >= TEXT_BIT ? TEXT_BIT : word >= SLOT_BIT ? SLOT_BIT : 0;
    const length = word - kind;
    const row = body.subarray(at, at + length);
    at += aligned(length);
    if (kind === 0) return row;
    const slot = kind === SLOT_BIT ? parseSlot(row.toString()) : undefined;
    return slot ?? row.toString();
  });
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

/** Assembles the frames of a byte stream from chunks of any size. The bodies are views of the received chunks. */
export class FrameReader {
  #chunks: Buffer[] = [];
  #bytes = 0;

  /** Takes the next bytes of the stream. Returns the frames that are complete now, in order. */
  push(chunk: Buffer): Frame[] {
    const frames: Frame[] = [];
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    let needed = this.#needed();
    while (this.#bytes >= needed) {
      if (needed > LONG_TEXT_BYTES) {
        frames.push(this.#takeLong(needed));
        needed = this.#needed();
        continue;
      }
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

  /** Removes the first frame, of `bytes` bytes. Long outputs stay in pieces, because joining the pieces would block the event loop. */
  #takeLong(bytes: number): Frame {
    const pieces: Buffer[] = [];
    for (let left = bytes; left > 0; ) {
      const chunk = this.#chunks.shift() as Buffer;
      const piece = chunk.subarray(0, left);
      pieces.push(piece);
      if (piece.length < chunk.length) this.#chunks.unshift(chunk.subarray(piece.length));
      left -= piece.length;
    }
    this.#bytes -= bytes;
    let [first, ...more] = pieces as [Buffer, ...Buffer[]];
    while (first.length < HEADER_BYTES + OUTPUTS_HEADER_BYTES) first = Buffer.concat([first, ...more.splice(0, 1)]);
    if (first[4] !== OUTPUTS) [first, more] = [Buffer.concat([first, ...more], bytes), []];
    return { type: first[4] as number, id: first.readUInt32LE(5), body: first.subarray(HEADER_BYTES), more };
  }

  /** Number of bytes that must have arrived before the chunks are joined. */
  #needed(): number {
    const first = this.#chunks[0];
    return first === undefined || first.length < 4 ? 4 : 4 + first.readUInt32LE(0);
  }
}

const NEWLINE = 0x0a;
/** An output of a long frame becomes a string up to this many bytes. A longer output stays in pieces. */
const DECODED_BYTES = 4_096;

/** The outputs of an OUTPUTS frame. */
export function outputsOf({ body, more = [] }: Frame): Text[] {
  if (more.length === 0) return body.toString('utf8', OUTPUTS_HEADER_BYTES).split('\n');
  const all = new LongText([body.subarray(OUTPUTS_HEADER_BYTES), ...more]);
  const outputs: Text[] = [];
  for (let from = 0; from <= all.length; ) {
    const newline = all.indexOf(NEWLINE, from);
    const end = newline === -1 ? all.length : newline;
    const output = all.slice(from, end);
    outputs.push(output.length > DECODED_BYTES ? output : output.toString());
    from = end + 1;
  }
  return outputs;
}
