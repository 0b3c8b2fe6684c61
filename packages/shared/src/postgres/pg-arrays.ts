/**
 * Encodes arrays in the binary format of Postgres: bulk statements pass an array for each column. With the text format,
 * node-postgres quotes every element and Postgres unquotes it again, which takes longer than the insert.
 */

import { LongText, type Text } from '../predictions/long-text.ts';

// The type numbers of the catalogue pg_type, which never change.
const OID = { bool: 16, int4: 23, int8: 20, text: 25, float8: 701, uuid: 2950 } as const;

export type ArrayType = keyof typeof OID;
type Element = Text | number | boolean | null | undefined;

const FIXED: Readonly<Record<Exclude<ArrayType, 'text'>, number>> = { bool: 1, int4: 4, int8: 8, float8: 8, uuid: 16 };
const HEADER = 20;

/** Returns a one-dimensional array; null and undefined become NULL. Text must not contain U+0000, which Postgres cannot store. */
export function pgArray(type: ArrayType, elements: readonly Element[]): Buffer {
  const buffer = Buffer.allocUnsafe(HEADER + capacity(type, elements));
  buffer.writeInt32BE(elements.length > 0 ? 1 : 0, 0);
  buffer.writeInt32BE(1, 4);
  buffer.writeInt32BE(OID[type], 8);
  // An array without elements has no dimension: the next two fields are cut off.
  buffer.writeInt32BE(elements.length, 12);
  buffer.writeInt32BE(1, 16);
  if (elements.length === 0) return buffer.subarray(0, 12);
  const writer = new ElementWriter(type, buffer);
  // An index costs no object for each element, as `for of` does here.
  for (let at = 0; at < elements.length; at += 1) writer.write(elements[at]);
  return buffer.subarray(0, writer.end);
}

function capacity(type: ArrayType, elements: readonly Element[]): number {
  if (type !== 'text') return elements.length * (4 + FIXED[type]);
  let bytes = elements.length * 4;
  // UTF-8 takes at most three bytes for each UTF-16 unit: a larger buffer is cheaper than an exact count.
  for (let at = 0; at < elements.length; at += 1) {
    const element = elements[at];
    if (typeof element === 'string') bytes += 3 * element.length;
    else if (element instanceof LongText) bytes += element.length;
  }
  return bytes;
}

/** Writes elements into a buffer that has room for all of them. */
class ElementWriter {
  readonly #type: ArrayType;
  readonly #buffer: Buffer;
  #end = HEADER;

  constructor(type: ArrayType, buffer: Buffer) {
    this.#type = type;
    this.#buffer = buffer;
  }

  /** The position after the last element. */
  get end(): number {
    return this.#end;
  }

  write(element: Element): void {
    if (element === null || element === undefined) {
      this.#end = this.#buffer.writeInt32BE(-1, this.#end);
      return;
    }
    const length = this.#writeValue(element, this.#end + 4);
    this.#buffer.writeInt32BE(length, this.#end);
    this.#end += 4 + length;
  }

  #writeValue(value: Text | number | boolean, at: number): number {
    const buffer = this.#buffer;
    if (value instanceof LongText) return copyPieces(value, buffer, at);
    switch (this.#type) {
      case 'text':
        return buffer.write(textOf(value), at, 'utf8');
      case 'uuid':
        return writeUuid(textOf(value), buffer, at);
      case 'bool':
        buffer[at] = value ? 1 : 0;
        return 1;
      case 'int4':
        buffer.writeInt32BE(numberOf(value), at);
        return 4;
      case 'int8':
        writeInt8(numberOf(value), buffer, at);
        return 8;
      case 'float8':
        buffer.writeDoubleBE(numberOf(value), at);
        return 8;
    }
  }
}

function textOf(value: string | number | boolean): string {
  if (typeof value !== 'string') throw new TypeError(`${value} is not text.`);
  return value;
}

function numberOf(value: string | number | boolean): number {
  if (typeof value !== 'number') throw new TypeError(`'${value}' is not a number.`);
  return value;
}

function writeInt8(number: number, buffer: Buffer, at: number): void {
  if (!Number.isSafeInteger(number)) throw new RangeError(`${number} is not a whole number.`);
  buffer.writeInt32BE(Math.floor(number / 0x1_0000_0000), at);
  buffer.writeUInt32BE(number >>> 0, at + 4);
}

function copyPieces(text: LongText, buffer: Buffer, at: number): number {
  let end = at;
  for (const piece of text.pieces) end += piece.copy(buffer, end);
  return end - at;
}

function writeUuid(text: string, buffer: Buffer, at: number): number {
  const written = buffer.write(text.replaceAll('-', ''), at, 16, 'hex');
  if (written !== 16) throw new RangeError(`'${text}' is not a UUID.`);
  return 16;
}
