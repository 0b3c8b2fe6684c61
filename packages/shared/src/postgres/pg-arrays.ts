/**
 * Arrays as Postgres reads them in binary: bulk statements pass one array a column. As text, node-postgres would quote
 * and Postgres unquote every element, which takes longer than the insert.
 */

import { LongText, type Text } from '../predictions/long-text.ts';

// Of pg_type; they never change.
const OID = { bool: 16, int4: 23, int8: 20, text: 25, float8: 701, uuid: 2950 } as const;

export type ArrayType = keyof typeof OID;
type Element = Text | number | boolean | null | undefined;

const FIXED: Readonly<Record<Exclude<ArrayType, 'text'>, number>> = { bool: 1, int4: 4, int8: 8, float8: 8, uuid: 16 };
const HEADER = 20;

/** A one-dimensional array; null and undefined become NULL. Text must not hold U+0000, which Postgres cannot store. */
export function pgArray(type: ArrayType, elements: readonly Element[]): Buffer {
  const buffer = Buffer.allocUnsafe(HEADER + capacity(type, elements));
  buffer.writeInt32BE(elements.length > 0 ? 1 : 0, 0);
  buffer.writeInt32BE(1, 4);
  buffer.writeInt32BE(OID[type], 8);
  // Without elements there is no dimension, and these two are cut off.
  buffer.writeInt32BE(elements.length, 12);
  buffer.writeInt32BE(1, 16);
  if (elements.length === 0) return buffer.subarray(0, 12);
  let at = HEADER;
  for (const element of elements) {
    if (element === null || element === undefined) {
      at = buffer.writeInt32BE(-1, at);
      continue;
    }
    const length = write(type, element, buffer, at + 4);
    buffer.writeInt32BE(length, at);
    at += 4 + length;
  }
  return buffer.subarray(0, at);
}

function capacity(type: ArrayType, elements: readonly Element[]): number {
  if (type !== 'text') return elements.length * (4 + FIXED[type]);
  let bytes = elements.length * 4;
  // UTF-8 takes at most three bytes for each UTF-16 unit: cheaper to reserve than to count.
  for (const element of elements)
    bytes += element instanceof LongText ? element.length : element ? 3 * (element as string).length : 0;
  return bytes;
}

function write(type: ArrayType, element: Text | number | boolean, buffer: Buffer, at: number): number {
  if (element instanceof LongText) return writePieces(element, buffer, at);
  switch (type) {
    case 'text':
      return buffer.write(element as string, at, 'utf8');
    case 'uuid':
      return writeUuid(element as string, buffer, at);
    case 'bool':
      buffer[at] = element ? 1 : 0;
      return 1;
    case 'int4':
      buffer.writeInt32BE(element as number, at);
      return 4;
    case 'int8': {
      const number = element as number;
      if (!Number.isSafeInteger(number)) throw new RangeError(`${number} is not a whole number.`);
      buffer.writeInt32BE(Math.floor(number / 0x1_0000_0000), at);
      buffer.writeUInt32BE(number >>> 0, at + 4);
      return 8;
    }
    case 'float8':
      buffer.writeDoubleBE(element as number, at);
      return 8;
  }
}

function writePieces(text: LongText, buffer: Buffer, at: number): number {
  let end = at;
  for (const piece of text.pieces) end += piece.copy(buffer, end);
  return end - at;
}

function writeUuid(text: string, buffer: Buffer, at: number): number {
  const written = buffer.write(text.replaceAll('-', ''), at, 16, 'hex');
  if (written !== 16) throw new RangeError(`'${text}' is not a UUID.`);
  return 16;
}
