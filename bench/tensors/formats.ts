/** The wire formats in which clients send a raw tensor to a model. */
import type { Fresh } from '../load/load.ts';
import type { BenchResponse } from '../requests.ts';

export type Format = 'json' | 'base64' | 'v2-json' | 'v2-binary' | 'x' | 'inputs' | 'raw';

export interface Row {
  floats: Float32Array;
  /** The floats in decimal, as 0. and seven digits. */
  text: string;
}

interface FormatPlan {
  /** The body before and after the floats. */
  around(dims: readonly number[], bytes: number): [string, string];
  /** The floats as the format writes them. The first digits, characters or bytes are the fresh part of a body. */
  write(row: Row): Buffer;
  fresh: Fresh['kind'];
  headers(head: number): Record<string, string>;
  first(response: BenchResponse): number;
}

const noHeaders = (): Record<string, string> => ({});
const binary = (): Record<string, string> => ({ 'content-type': 'application/octet-stream' });
const bytesOf = ({ floats }: Row): Buffer => Buffer.from(floats.buffer, floats.byteOffset, floats.byteLength);
const decimals = ({ text }: Row): Buffer => Buffer.from(text);
const firstOfJson = ({ body }: BenchResponse): number => firstNumber(JSON.parse(body.toString('utf8'))) ?? Number.NaN;

/** Nested arrays of JSON around the floats: a row, and the dimensions of size 1 that a batch of one row adds. */
const nested = (depth: number): [string, string] => ['['.repeat(depth), ']'.repeat(depth)];

export const formats: Readonly<Record<Format, FormatPlan>> = {
  json: {
    around: (dims) => {
      // A row of several dimensions is sent flat, which is the shorter form.
      if (dims.length > 1) return [`{"input":{"x":{"shape":[1,${dims}],"data":[`, ']}}}'];
      const [open, close] = nested(2);
      return [`{"input":{"x":${open}`, `${close}}}`];
    },
    write: decimals,
    fresh: 'decimal',
    headers: noHeaders,
    first: firstOfJson,
  },
  base64: {
    around: (dims) => [`{"input":{"x":{"shape":[1,${dims}],"base64":"`, '"}}}'],
    write: (row) => Buffer.from(bytesOf(row).toString('base64')),
    fresh: 'base64',
    headers: noHeaders,
    first: firstOfJson,
  },
  'v2-json': {
    around: (dims) => [`{"inputs":[{"name":"x","datatype":"FP32","shape":[1,${dims}],"data":[`, ']}]}'],
    write: decimals,
    fresh: 'decimal',
    headers: noHeaders,
    first: firstOfJson,
  },
  'v2-binary': {
    around: (dims, bytes) => [
      `{"inputs":[{"name":"x","datatype":"FP32","shape":[1,${dims}],"parameters":{"binary_data_size":${bytes}}}],` +
        '"outputs":[{"name":"y","parameters":{"binary_data":true}}]}',
      '',
    ],
    write: bytesOf,
    fresh: 'float',
    headers: (head) => ({ ...binary(), 'inference-header-content-length': String(head) }),
    first: ({ headers, body }) =>
      headers.has('inference-header-content-length') ? body.readFloatLE(body.length - 4) : Number.NaN,
  },
  x: {
    around: () => ['{"x":[', ']}'],
    write: decimals,
    fresh: 'decimal',
    headers: noHeaders,
    first: firstOfJson,
  },
  inputs: {
    around: () => ['{"inputs":[[', ']]}'],
    write: decimals,
    fresh: 'decimal',
    headers: noHeaders,
    first: firstOfJson,
  },
  raw: {
    around: () => ['', ''],
    write: bytesOf,
    fresh: 'float',
    headers: binary,
    first: ({ body }) => (body.length === 4 ? body.readFloatLE(0) : Number.NaN),
  },
};

const OUTPUT_MEMBERS = ['y', 'output', 'outputs', 'data'];

/** The number in the output of a response, in whatever objects and arrays a server puts the number. */
export function firstNumber(value: unknown): number | undefined {
  if (typeof value === 'number') return value;
  if (Array.isArray(value)) return firstNumber(value[0]);
  if (typeof value !== 'object' || value === null) return undefined;
  const entry = Object.entries(value).find(([name]) => OUTPUT_MEMBERS.includes(name));
  return entry && firstNumber(entry[1]);
}
