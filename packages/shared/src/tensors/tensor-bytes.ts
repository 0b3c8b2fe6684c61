/**
 * The bytes of a row of raw tensors, for the queue, the cache key and the engine: a header, and the little-endian elements as they are
 * in memory. Two rows have equal bytes exactly when their tensors are equal.
 *
 * `u8 version | u8 0 | u16 tensors`, then for each tensor, sorted by name: `u16 bytes of the name | name | u8 type | u8 dimensions | u32
 * of each dimension | u32 bytes of the elements`. Then the elements of each tensor, at the next multiple of 8 bytes. A string is
 * `u32 bytes | UTF-8`.
 */
import { BytePieces } from './byte-pieces.ts';
import { DTYPES, type Dtype, type Tensor, type TensorData, type TensorMap } from './tensor.ts';
import { bytesOf, dataFromBytes, ELEMENT_BYTES, elementCount } from './tensor-data.ts';
import { TensorInPieces } from './tensor-in-pieces.ts';

const VERSION = 1;
const HEAD_BYTES = 4;
const ALIGNMENT = 8;

/** The next multiple of 8. */
export const aligned = (bytes: number): number => Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;

/** A row of this many bytes is not copied: the row has the pieces of its elements. */
export const LONG_ROW_BYTES = 65_536;

/** One tensor of a row, before and after its elements are read. */
interface Part {
  name: string;
  dtype: Dtype;
  dims: readonly number[];
  bytes: Uint8Array;
}

type WrittenPart = Omit<Part, 'bytes'> & { bytes: Uint8Array | BytePieces };

/** The parts of a row in their order, with the bytes of the head and of all elements. */
function partsOf(tensors: TensorMap): { parts: WrittenPart[]; head: number; elements: number } {
  const parts: WrittenPart[] = [];
  let head = HEAD_BYTES;
  let elements = 0;
  const names = Object.keys(tensors);
  if (names.length > 1) names.sort();
  for (const name of names) {
    const tensor = tensors[name];
    if (tensor === undefined) continue;
    const { dtype, dims } = tensor;
    const bytes = elementBytes(tensor);
    parts.push({ name, dtype, dims, bytes });
    head += 2 + Buffer.byteLength(name) + 2 + 4 * dims.length + 4;
    elements += aligned(bytes.length);
  }
  return { parts, head, elements };
}

function elementBytes(tensor: Tensor): Uint8Array | BytePieces {
  if (tensor instanceof TensorInPieces) return tensor.bytes;
  return Array.isArray(tensor.data) ? stringBytes(tensor.data) : bytesOf(tensor.data);
}

const piecesOf = (bytes: Uint8Array | BytePieces): readonly Uint8Array[] =>
  bytes instanceof BytePieces ? bytes.pieces : [bytes];

export const tensorRowBytes = (tensors: TensorMap): Buffer => rowBytes(partsOf(tensors));

function rowBytes({ parts, head, elements }: ReturnType<typeof partsOf>): Buffer {
  const row = Buffer.allocUnsafe(aligned(head) + elements);
  let at = aligned(writeHead(row, parts));
  row.fill(0, head, at);
  for (const { bytes } of parts) {
    const end = at + bytes.length;
    if (bytes instanceof BytePieces) copyPieces(bytes, row, at);
    else row.set(bytes, at);
    at += aligned(bytes.length);
    if (end < at) row.fill(0, end, at);
  }
  return row;
}

function copyPieces({ pieces }: BytePieces, row: Buffer, at: number): void {
  let to = at;
  for (const piece of pieces) {
    row.set(piece, to);
    to += piece.length;
  }
}

const bufferOf = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** The bytes of `tensorRowBytes`. A long row has views of the elements in place of copies: nobody may change the tensors. */
export function tensorRow(tensors: TensorMap): Buffer | BytePieces {
  const written = partsOf(tensors);
  if (written.elements < LONG_ROW_BYTES) return rowBytes(written);
  const head = Buffer.alloc(aligned(written.head));
  writeHead(head, written.parts);
  const pieces: Buffer[] = [head];
  for (const { bytes } of written.parts) {
    for (const piece of piecesOf(bytes)) pieces.push(bufferOf(piece));
    const padding = aligned(bytes.length) - bytes.length;
    if (padding > 0) pieces.push(Buffer.alloc(padding));
  }
  return new BytePieces(pieces);
}

function writeHead(row: Buffer, parts: readonly WrittenPart[]): number {
  row.writeUInt16LE(VERSION, 0);
  let at = row.writeUInt16LE(parts.length, 2);
  for (const { name, dtype, dims, bytes } of parts) {
    const length = row.write(name, at + 2);
    at = row.writeUInt16LE(length, at) + length;
    at = row.writeUInt8(DTYPES.indexOf(dtype), at);
    at = row.writeUInt8(dims.length, at);
    for (const dim of dims) at = row.writeUInt32LE(dim, at);
    at = row.writeUInt32LE(bytes.length, at);
  }
  return at;
}

/** A tensor of a row, with the place of its elements in the row. */
export interface PlacedPart extends Omit<Part, 'bytes'> {
  at: number;
  length: number;
}

export interface Head {
  parts: PlacedPart[];
  /** The bytes of the header. Rows with equal headers can be joined. */
  header: Buffer;
}

/**
 * Reads the header of a row of `length` bytes from its first bytes. Throws RangeError if the header is longer than `row`, and another
 * Error for bytes that are cut, damaged, or of another version.
 */
export function readHead(row: Buffer, length: number): Head {
  if (row.length < HEAD_BYTES || row.readUInt16LE(0) !== VERSION) throw new Error('the bytes of a row cannot be read');
  const places: Omit<PlacedPart, 'at'>[] = [];
  let at = HEAD_BYTES;
  for (let left = row.readUInt16LE(2); left > 0; left -= 1) {
    const nameEnd = at + 2 + row.readUInt16LE(at);
    const name = row.toString('utf8', at + 2, nameEnd);
    const dtype = DTYPES[row.readUInt8(nameEnd)];
    if (dtype === undefined) throw new Error(`the type of "${name}" is unknown`);
    const rank = row.readUInt8(nameEnd + 1);
    at = nameEnd + 2;
    const dims = Array.from({ length: rank }, (_, axis) => row.readUInt32LE(at + 4 * axis));
    at += 4 * rank;
    places.push({ name, dtype, dims, length: row.readUInt32LE(at) });
    at += 4;
  }
  const header = row.subarray(0, at);
  at = aligned(at);
  const parts = places.map((part) => {
    const placed = { ...part, at };
    const { name, dtype, dims } = part;
    if (at + part.length > length) throw new Error(`the elements of "${name}" are cut`);
    if (dtype !== 'string' && part.length !== elementCount(dims) * ELEMENT_BYTES[dtype])
      throw new Error(`"${name}" has ${part.length} bytes, and its shape [${dims}] needs another number`);
    at += aligned(part.length);
    return placed;
  });
  return { parts, header };
}

/** The tensors of a row. Elements that are aligned in memory are views. Throws for bytes that are not a row. */
export function tensorsOfBytes(row: Buffer): TensorMap {
  const tensors: TensorMap = {};
  for (const { name, dtype, dims, at, length } of readHead(row, row.length).parts)
    tensors[name] = checked(name, { dtype, dims, data: elementsOf(dtype, row.subarray(at, at + length)) });
  return tensors;
}

export function elementsOf(dtype: Dtype, bytes: Uint8Array): TensorData {
  return dtype === 'string' ? stringsOf(bytes) : dataFromBytes(dtype, bytes);
}

/** Throws if the tensor does not have the elements of its shape. */
export function checked(name: string, tensor: Tensor): Tensor {
  const count = elementCount(tensor.dims);
  if (tensor.data.length === count) return tensor;
  throw new Error(`"${name}" has ${tensor.data.length} elements: expected ${count} for its shape`);
}

function stringBytes(strings: readonly string[]): Buffer {
  const bytes = Buffer.allocUnsafe(strings.reduce((sum, text) => sum + 4 + Buffer.byteLength(text), 0));
  let at = 0;
  for (const text of strings) {
    const length = bytes.write(text, at + 4);
    bytes.writeUInt32LE(length, at);
    at += 4 + length;
  }
  return bytes;
}

export function stringsOf(bytes: Uint8Array): string[] {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const strings: string[] = [];
  for (let at = 0; at < buffer.length; ) {
    const end = at + 4 + buffer.readUInt32LE(at);
    strings.push(buffer.toString('utf8', at + 4, end));
    at = end;
  }
  return strings;
}
