/** Joins rows of bytes into the tensors of a run. The elements are copied once, from the row or from its slot into the batch. */
import type { Dtype, TensorData, TensorMap } from './tensor.ts';
import {
  aligned,
  checked,
  elementsOf,
  type Head,
  LONG_ROW_BYTES,
  type PlacedPart,
  readHead,
  stringsOf,
} from './tensor-bytes.ts';
import { dataFromBytes, ELEMENT_BYTES, elementCount } from './tensor-data.ts';

/** A row that is not in the memory of this process: predictions/slots.ts has one. */
export interface RowReader {
  /** The length of the row. */
  readonly bytes: number;
  /** Fills `target` with the bytes of the row from `from` on. */
  read(target: Uint8Array, from: number): void;
}

/** Rows of equal shape, with the tensors of all rows together. */
export interface RowGroup {
  /** The places of the rows in the list of all rows. */
  places: number[];
  /** The first dimension of each row. */
  rowsEach: number;
  tensors: TensorMap;
}

/** The memory that is kept from one run to the next. */
const KEPT_BYTES = 8 * 1_048_576;

/**
 * Memory for the elements of a run. The next run uses the same memory, since new memory takes longer to fill, and lets the collector
 * run. Nobody may read the tensors of a run after the start of the next.
 */
export class RunMemory {
  #memory = new ArrayBuffer(0);
  #used = 0;

  /** Starts a run: the memory of the last run may be overwritten. */
  start(): void {
    if (this.#used > this.#memory.byteLength && this.#used <= KEPT_BYTES) this.#memory = new ArrayBuffer(this.#used);
    this.#used = 0;
  }

  /** Memory at an address that every type of elements can use. */
  take(bytes: number): Uint8Array<ArrayBuffer> {
    const from = this.#used;
    this.#used += aligned(bytes);
    return this.#used <= this.#memory.byteLength ? new Uint8Array(this.#memory, from, bytes) : new Uint8Array(bytes);
  }
}

interface Source {
  row: Buffer | RowReader;
  head: Head;
}

/**
 * Joins rows of equal names, types and dimensions along their first dimension. `memory`: for long elements, see RunMemory. Throws for
 * bytes that are not a row.
 */
export function joinRowBytes(rows: readonly (Buffer | RowReader)[], memory?: RunMemory): RowGroup[] {
  memory?.start();
  const groups = new Map<string, { places: number[]; sources: Source[] }>();
  for (const [place, row] of rows.entries()) {
    const source = { row, head: Buffer.isBuffer(row) ? readHead(row, row.length) : headOf(row) };
    const key = groupKey(source.head, place);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, { places: [place], sources: [source] });
    else {
      group.places.push(place);
      group.sources.push(source);
    }
  }
  return Array.from(groups.values(), ({ places, sources }) => ({
    places,
    rowsEach: sources[0]?.head.parts[0]?.dims[0] ?? 0,
    tensors: joined(sources, memory),
  }));
}

/** Bytes that hold the header of nearly every row. */
const HEADER_BYTES = 1_024;

function headOf(row: RowReader): Head {
  for (let bytes = Math.min(HEADER_BYTES, row.bytes); ; bytes = Math.min(4 * bytes, row.bytes)) {
    const beginning = Buffer.allocUnsafe(bytes);
    row.read(beginning, 0);
    try {
      return readHead(beginning, row.bytes);
    } catch (error) {
      if (!(error instanceof RangeError) || bytes === row.bytes) throw error;
    }
  }
}

/** A row with a scalar cannot be joined. The lengths of strings are in the header, and do not separate rows. */
function groupKey({ parts, header }: Head, place: number): string {
  if (parts.some(({ dims }) => dims.length === 0)) return String(place);
  if (parts.some(({ dtype }) => dtype === 'string'))
    return parts.map(({ name, dtype, dims }) => `${name.length}:${name}${dtype}${dims}`).join(';');
  return header.toString('latin1');
}

function joined(sources: readonly Source[], memory: RunMemory | undefined): TensorMap {
  const tensors: TensorMap = {};
  for (const [at, part] of (sources[0]?.head.parts ?? []).entries()) {
    const { name, dtype, dims } = part;
    const [first, ...rest] = dims;
    const single = sources.length === 1 || first === undefined ? sources[0] : undefined;
    if (single !== undefined) {
      tensors[name] = checked(name, { dtype, dims, data: elementsOf(dtype, bytesIn(single.row, part, memory)) });
      continue;
    }
    const shape = [(first ?? 0) * sources.length, ...rest];
    const all = sources.flatMap(({ row, head }) => (head.parts[at] ? [{ row, part: head.parts[at] }] : []));
    tensors[name] = checked(name, { dtype, dims: shape, data: together(dtype, { all, shape, memory }) });
  }
  return tensors;
}

/** The bytes of the elements: a view of a row in memory, and a copy of a row outside of it. */
function bytesIn(row: Buffer | RowReader, { at, length }: PlacedPart, memory?: RunMemory): Uint8Array {
  if (Buffer.isBuffer(row)) return row.subarray(at, at + length);
  const bytes = memory?.take(length) ?? new Uint8Array(length);
  row.read(bytes, at);
  return bytes;
}

interface Together {
  all: readonly { row: Buffer | RowReader; part: PlacedPart }[];
  shape: readonly number[];
  memory: RunMemory | undefined;
}

function together(dtype: Dtype, { all, shape, memory }: Together): TensorData {
  if (dtype === 'string') return all.flatMap(({ row, part }) => stringsOf(bytesIn(row, part)));
  const bytes = elementCount(shape) * ELEMENT_BYTES[dtype];
  const target = bytes < LONG_ROW_BYTES ? new Uint8Array(bytes) : (memory?.take(bytes) ?? new Uint8Array(bytes));
  let to = 0;
  for (const { row, part } of all) {
    const place = target.subarray(to, to + part.length);
    if (Buffer.isBuffer(row)) place.set(row.subarray(part.at, part.at + part.length));
    else row.read(place, part.at);
    to += part.length;
  }
  return dataFromBytes(dtype, target);
}
