/**
 * The bodies of the Open Inference Protocol: JSON, or JSON followed by the raw bytes of tensors (Triton's binary tensor data
 * extension). `Inference-Header-Content-Length` is the length of the JSON. Numbers are little-endian, and tensors are
 * row-major. Each BYTES element follows its length in four bytes.
 */
import type { BytePieces } from '@millrace/shared/tensors/byte-pieces';
import { V2Error } from './errors.ts';

/** A short body is a Buffer, and a long body is in pieces. */
export type Bytes = Buffer | BytePieces;

/** The bytes from `from` up to, and without, `to`, as views. */
export const part = (bytes: Bytes, from: number, to: number = bytes.length): Bytes =>
  Buffer.isBuffer(bytes) ? bytes.subarray(from, to) : bytes.slice(from, to);

export const whole = (bytes: Bytes): Buffer => (Buffer.isBuffer(bytes) ? bytes : bytes.joined());

/** Splits a body into the bytes of the JSON and the bytes of tensors. Without the header, the whole body is JSON. */
export function splitBody(body: Bytes, headerLength: string | undefined): { json: Buffer; rest: Bytes } {
  if (headerLength === undefined) return { json: whole(body), rest: Buffer.alloc(0) };
  const length = Number(headerLength);
  if (!/^\d+$/.test(headerLength) || length > body.length)
    throw new V2Error(
      400,
      `Inference-Header-Content-Length must be a number up to the body's ${body.length} bytes, got '${headerLength.slice(0, 50)}'`,
    );
  return { json: whole(part(body, 0, length)), rest: part(body, length) };
}

const UTF8 = new TextDecoder('utf-8', { fatal: true });

/**
 * Returns the elements of a BYTES tensor. The limit is `max` elements, because an element costs far more than its bytes. ONNX
 * strings are text, so invalid UTF-8 is refused.
 */
export function readStrings(bytes: Buffer, name: string, max: number): string[] {
  const elements: string[] = [];
  for (let at = 0; at < bytes.length; ) {
    if (elements.length >= max) throw new V2Error(413, `input '${name}' has more than ${max} BYTES elements`);
    if (at + 4 > bytes.length) throw new V2Error(400, `input '${name}': the length of a BYTES element is incomplete`);
    const length = bytes.readUInt32LE(at);
    at += 4;
    if (at + length > bytes.length) throw new V2Error(400, `input '${name}': a BYTES element is longer than its data`);
    try {
      elements.push(UTF8.decode(bytes.subarray(at, at + length)));
    } catch {
      throw new V2Error(400, `input '${name}': a BYTES element is not UTF-8 text`);
    }
    at += length;
  }
  return elements;
}

export function writeStrings(elements: readonly string[]): Buffer {
  const parts: Buffer[] = [];
  for (const element of elements) {
    const text = Buffer.from(element);
    const length = Buffer.alloc(4);
    length.writeUInt32LE(text.length);
    parts.push(length, text);
  }
  return Buffer.concat(parts);
}
