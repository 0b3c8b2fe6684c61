/**
 * Raw tensors as callers write them in JSON. A tensor is a nested array (a plain value for a scalar), or an object
 * `{"shape": [2, 3], "data": [flat or nested]}`, or `{"shape": [2, 3], "base64": "little-endian bytes"}`; objects may
 * say their `dtype`, which must then be the model's. In place of the base64 text there may be a Buffer, from other than JSON. What goes on inside Millrace is in tensor-rows.ts.
 */

import { nearNames } from '../text/near-names.ts';
import { InputError } from './input-error.ts';
import type { Dtype, Tensor, TensorMap, TensorSpec } from './tensor.ts';
import { dataFromBytes, ELEMENT_BYTES, elementCount, newData } from './tensor-data.ts';
import { elementWriter, runWriter, shown } from './tensor-elements.ts';

// Arrays deeper than this are no tensor of anybody's; it bounds the recursion whatever came through the door.
const DEPTH_MAX = 64;

const escapePointer = (name: string): string => name.replaceAll('~', '~0').replaceAll('/', '~1');

/**
 * The tensors of one input object, in the order of `specs`. Throws InputError, which says where, what was expected and
 * what came. A free dimension takes any size; where all inputs begin with the same free dimension, it is the same for all.
 */
export function parseTensorInput(specs: readonly TensorSpec[], json: unknown): TensorMap {
  const names = specs.map((spec) => spec.name);
  if (!isObject(json))
    throw fault('', 'The input must be an object with a tensor for each name.', names.join(', '), json);
  for (const name of Object.keys(json)) {
    if (names.includes(name)) continue;
    const near = nearNames(name, names);
    throw new InputError({
      pointer: `/${escapePointer(name)}`,
      message: `The model has no input "${clip(name)}"; its inputs are ${names.join(', ')}.`,
      expected: names.join(', '),
      got: clip(name),
      suggestions: near.length > 0 ? near : names.slice(0, 5),
    });
  }
  const tensors: TensorMap = Object.create(null) as TensorMap;
  for (const spec of specs) {
    const pointer = `/${escapePointer(spec.name)}`;
    if (!Object.hasOwn(json, spec.name))
      throw fault(pointer, `The input "${spec.name}" is missing.`, describe(spec), undefined);
    tensors[spec.name] = parseTensor(spec, json[spec.name], pointer);
  }
  checkSharedRows(specs, tensors);
  return tensors;
}

/** One tensor of the given name, type and shape from its JSON; `pointer` is where it stands. Throws InputError. */
export function parseTensor(spec: TensorSpec, json: unknown, pointer: string): Tensor {
  if (isObject(json)) return parseShaped(spec, json, pointer);
  const dims = fillEmpty(spec, dimsOf(json, pointer));
  checkDims(spec, dims, json, pointer);
  return { dtype: spec.dtype, dims, data: fill(spec.dtype, dims, json, pointer, true) };
}

function parseShaped(spec: TensorSpec, json: Record<string, unknown>, pointer: string): Tensor {
  const form = 'an array, or {"shape": [...], "data": [...]}, or {"shape": [...], "base64": "..."}';
  for (const key of Object.keys(json))
    if (!['shape', 'data', 'dtype', 'base64'].includes(key))
      throw fault(`${pointer}/${escapePointer(key)}`, `A tensor has no field "${clip(key)}".`, form, json[key]);
  const { shape, data, dtype, base64 } = json;
  if (dtype !== undefined && dtype !== spec.dtype)
    throw fault(`${pointer}/dtype`, `"${spec.name}" is of type ${spec.dtype}.`, spec.dtype, dtype);
  const isDim = (dim: unknown) => Number.isInteger(dim) && (dim as number) >= 0 && (dim as number) <= 2 ** 31;
  if (!Array.isArray(shape) || shape.length > DEPTH_MAX || !shape.every(isDim))
    throw fault(`${pointer}/shape`, 'The shape must be an array of whole numbers.', describe(spec), shape);
  const dims = shape as number[];
  checkDims(spec, dims, json, `${pointer}/shape`);
  if ((data === undefined) === (base64 === undefined))
    throw fault(pointer, 'A tensor with a shape needs either "data" or "base64".', form, json);
  if (base64 === undefined)
    return { dtype: spec.dtype, dims, data: fill(spec.dtype, dims, data, `${pointer}/data`, false) };
  return { dtype: spec.dtype, dims, data: decodeBase64(spec, dims, base64, `${pointer}/base64`) };
}

function decodeBase64(spec: TensorSpec, dims: readonly number[], text: unknown, pointer: string): Tensor['data'] {
  const { dtype } = spec;
  if (dtype === 'string')
    throw fault(pointer, 'Strings have no fixed bytes: give them in "data".', 'an array of strings in "data"', text);
  const expected = elementCount(dims) * ELEMENT_BYTES[dtype];
  const wanted = `${expected} bytes in base64`;
  const bytes = Buffer.isBuffer(text) ? text : bytesOfText(text, wanted, pointer);
  if (bytes.length !== expected)
    throw fault(
      pointer,
      `A ${dtype} tensor of shape [${dims}] has ${expected} bytes.`,
      wanted,
      `${bytes.length} bytes`,
    );
  if (dtype === 'bool' && !bytes.every(isBit))
    throw fault(pointer, 'The bytes of a bool tensor are 0 and 1.', '0 and 1', 'other bytes');
  return dataFromBytes(dtype, bytes);
}

const isBit = (byte: number): boolean => byte <= 1;

function bytesOfText(text: unknown, wanted: string, pointer: string): Buffer {
  if (typeof text !== 'string') throw fault(pointer, 'The bytes must be a base64 string.', wanted, text);
  // Checked before decoding: Buffer skips what is not base64 without a word.
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(text)) throw fault(pointer, 'This is not base64.', wanted, text);
  return Buffer.from(text, 'base64');
}

/** The shape of nested arrays, by their first elements; `fill` finds what is ragged. */
function dimsOf(json: unknown, pointer: string): number[] {
  const dims: number[] = [];
  for (let level = json; Array.isArray(level); level = level[0]) {
    dims.push(level.length);
    if (dims.length > DEPTH_MAX)
      throw fault(pointer, 'The arrays nest too deep.', `at most ${DEPTH_MAX} levels`, 'more');
    if (level.length === 0) break;
  }
  return dims;
}

/** `[]` can be an empty tensor of any rank: what its shape leaves open comes from the model. */
function fillEmpty(spec: TensorSpec, dims: number[]): number[] {
  if (dims.at(-1) !== 0 || dims.length >= spec.shape.length) return dims;
  return spec.shape.map((dim, axis) => dims[axis] ?? (typeof dim === 'number' ? dim : 0));
}

function checkDims(spec: TensorSpec, dims: readonly number[], json: unknown, pointer: string): void {
  const fits =
    dims.length === spec.shape.length && spec.shape.every((dim, i) => typeof dim === 'string' || dim === dims[i]);
  if (fits || isAnyRank(spec)) return;
  const got = dims.length === 0 && !isObject(json) ? shown(json) : `shape [${dims.join(', ')}]`;
  throw new InputError({
    pointer,
    message: `"${spec.name}" must be ${describe(spec)}, and is ${got}.`,
    expected: describe(spec),
    got,
  });
}

/** A model may leave even the rank of an input open; such a shape is written ['...']. */
const isAnyRank = (spec: TensorSpec): boolean => spec.shape.length === 1 && spec.shape[0] === '...';

function fill(dtype: Dtype, dims: readonly number[], json: unknown, pointer: string, strict: boolean): Tensor['data'] {
  const count = elementCount(dims);
  const given = strict ? count : countLeaves(json, count, 0);
  const wanted = `${count} ${dtype} elements`;
  if (given !== count)
    throw fault(
      pointer,
      `Shape [${dims}] has ${count} elements.`,
      wanted,
      given > count ? 'more' : `${given} elements`,
    );
  const data = newData(dtype, count);
  const write = elementWriter(dtype, data, pointer);
  const writeRun = runWriter(dtype, data);
  let at = 0;
  const walk = (value: unknown, axis: number, path: string): void => {
    if (strict && axis === dims.length) {
      write(value, at++, path);
      return;
    }
    if (!strict && !Array.isArray(value)) {
      write(value, at++, path);
      return;
    }
    if (!Array.isArray(value) || (strict && value.length !== dims[axis]))
      throw fault(
        pointer + path,
        'The arrays are ragged: all of one level must be as long.',
        `${dims[axis]} elements`,
        value,
      );
    const leaves = strict ? axis === dims.length - 1 : false;
    for (let i = 0; i < value.length; i++) {
      if (leaves || !strict) {
        const run = writeRun(value, i, at);
        at += run;
        i += run;
        if (i === value.length) break;
      }
      if (leaves || (!strict && !Array.isArray(value[i]))) at = writeLeaf(write, value[i], at, path, i);
      else walk(value[i], axis + 1, `${path}/${i}`);
    }
  };
  walk(json, 0, '');
  return data;
}

type Write = ReturnType<typeof elementWriter>;

/** Writes without making the path's text, which only a fault needs. */
function writeLeaf(write: Write, value: unknown, at: number, path: string, index: number): number {
  write(value, at, path, index);
  return at + 1;
}

/** Elements in arrays of any nesting, counted up to limit + 1. */
function countLeaves(json: unknown, limit: number, depth: number): number {
  if (!Array.isArray(json) || depth > DEPTH_MAX) return 1;
  let count = 0;
  // With an index: an iterator takes six times as long.
  for (let i = 0; i < json.length && count <= limit; i++) {
    const item: unknown = json[i];
    count += typeof item === 'object' && Array.isArray(item) ? countLeaves(item, limit - count, depth + 1) : 1;
  }
  return count;
}

function checkSharedRows(specs: readonly TensorSpec[], tensors: TensorMap): void {
  const first = specs[0];
  const name = first?.shape[0];
  if (first === undefined || typeof name !== 'string' || name === '' || isAnyRank(first)) return;
  if (!specs.every((spec) => spec.shape[0] === name)) return;
  const rows = tensors[first.name]!.dims[0];
  for (const spec of specs) {
    const own = tensors[spec.name]!.dims[0];
    if (own !== rows)
      throw new InputError({
        pointer: `/${escapePointer(spec.name)}`,
        message: `"${spec.name}" has ${own} rows where "${first.name}" has ${rows}; both begin with ${name}.`,
        expected: `${rows} rows`,
        got: `${own} rows`,
      });
  }
}

/** Such as `float32[batch, 3]`; a dimension without a name is `?`. */
export function describe(spec: TensorSpec): string {
  return spec.shape.length === 0
    ? `one ${spec.dtype} value (no array)`
    : `${spec.dtype}[${spec.shape.map((dim) => (dim === '' ? '?' : dim)).join(', ')}]`;
}

function isObject(json: unknown): json is Record<string, unknown> {
  return typeof json === 'object' && json !== null && !Array.isArray(json);
}

const clip = (text: string): string => (text.length > 60 ? `${text.slice(0, 60)}…` : text);

function fault(pointer: string, message: string, expected: string, got: unknown): InputError {
  const seen = got === undefined ? 'nothing' : typeof got === 'string' ? clip(got) : shown(got);
  return new InputError({ pointer, message, expected, got: seen });
}
