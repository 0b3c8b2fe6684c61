/** Reads and writes the fields of protobuf messages in memory. */

export interface Field {
  number: number;
  /** Of a varint; 0 for others. */
  value: bigint;
  /** The content of a length-delimited field. */
  content: Buffer;
  /** The field with its tag. */
  whole: Buffer;
}

export function delimited(number: number, content: Buffer): Buffer {
  return Buffer.concat([varint(number * 8 + 2), varint(content.length), content]);
}

export const varintField = (number: number, value: number): Buffer =>
  Buffer.concat([varint(number * 8), varint(value)]);

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128);
  bytes.push(rest);
  return Buffer.from(bytes);
}

export const isDelimited = (whole: Buffer): boolean => ((whole[0] ?? 0) & 7) === 2;

export function packed(content: Buffer): bigint[] {
  const values: bigint[] = [];
  for (let at = 0; at < content.length; ) {
    const read = readVarint(content, at);
    values.push(BigInt.asIntN(64, read.value));
    at = read.end;
  }
  return values;
}

/** Throws RangeError for bytes that are not a message. */
export function* fieldsOf(bytes: Buffer): Generator<Field> {
  for (let at = 0; at < bytes.length; ) {
    const tag = readVarint(bytes, at);
    const wire = Number(tag.value & 7n);
    const field = { number: Number(tag.value >> 3n), value: 0n, content: bytes.subarray(0, 0) };
    let end = tag.end;
    if (wire === 0) ({ value: field.value, end } = readVarint(bytes, end));
    else if (wire === 1) end += 8;
    else if (wire === 5) end += 4;
    else if (wire === 2) {
      const length = readVarint(bytes, end);
      end = length.end + Number(length.value);
      field.content = bytes.subarray(length.end, end);
    } else throw new RangeError('not a message');
    if (end > bytes.length) throw new RangeError('the message ends too early');
    yield { ...field, whole: bytes.subarray(at, end) };
    at = end;
  }
}

function readVarint(bytes: Buffer, start: number): { value: bigint; end: number } {
  let value = 0n;
  for (let at = start; at < start + 10; at += 1) {
    const byte = bytes[at];
    if (byte === undefined) break;
    value |= BigInt(byte & 0x7f) << BigInt(7 * (at - start));
    if (byte < 0x80) return { value, end: at + 1 };
  }
  throw new RangeError('the message ends too early');
}
