/**
 * Parses the raw tensors of requests. A tensor is a nested array (a plain value for a scalar), or an object
 * `{"shape": [2, 3], "data": [flat or nested]}` or `{"shape": [2, 3], "base64": "little-endian bytes"}`. An object may have a
 * `dtype`, which must equal the model's. Callers inside Millrace may pass a Buffer or BytePieces in place of the base64 text. tensor-rows.ts
 * has the internal format.
 */

import { escapePart } from '../text/json-pointer.ts';
import { nearNames } from '../text/near-names.ts';
import { BytePieces } from './byte-pieces.ts';
import { InputError } from './input-error.ts';
import { NumberArray } from './number-array.ts';
import { elementsOf } from './number-elements.ts';
import type { Tensor, TensorData, TensorMap, TensorSpec } from './tensor.ts';
import { dataFromBytes, ELEMENT_BYTES, elementCount } from './tensor-data.ts';
import { elementWriter, shown } from './tensor-elements.ts';
import { isUnchecked, TensorInPieces } from './tensor-in-pieces.ts';

// No real tensor nests deeper. The limit bounds every recursion over a request.
const DEPTH_MAX = 64;

/** A tensor of a request: its specification, and the JSON pointer of its place. */
interface TensorPlace {
  spec: TensorSpec;
  pointer: string;
}

/**
 * Parses the tensors of one input object, in the order of `specs`. Throws InputError with the place, the expected value and the
 * received value. A free dimension accepts any size. When all inputs begin with the same free dimension, the size must be equal.
 */
export function parseTensorInput(specs: readonly TensorSpec[], json: unknown): TensorMap {
  if (!isObject(json)) {
    const message = 'The input must be an object with a tensor for each name.';
    throw fault({ pointer: '', message, expected: namesOf(specs).join(', '), got: json });
  }
  for (const name of Object.keys(json)) if (!specs.some((spec) => spec.name === name)) throw unknownInput(specs, name);
  const table = specs.length > 1 && specs.every(isColumn);
  const tensors: TensorMap = Object.create(null);
  for (const spec of specs) {
    const pointer = `/${escapePart(spec.name)}`;
    if (!Object.hasOwn(json, spec.name)) {
      const message = `The input "${spec.name}" is missing.`;
      throw fault({ pointer, message, expected: describe(spec), got: undefined });
    }
    tensors[spec.name] = table
      ? parseColumn(spec, json[spec.name], pointer)
      : parseTensor(spec, json[spec.name], pointer);
  }
  checkSharedRows(specs, tensors);
  return tensors;
}

const namesOf = (specs: readonly TensorSpec[]): string[] => specs.map((spec) => spec.name);

function unknownInput(specs: readonly TensorSpec[], name: string): InputError {
  const names = namesOf(specs);
  const expected = names.join(', ');
  const near = nearNames(name, names);
  return new InputError({
    pointer: `/${escapePart(name)}`,
    message: `The model has no input "${clip(name)}". The inputs are ${expected}.`,
    expected,
    got: clip(name),
    suggestions: near.length > 0 ? near : names.slice(0, 5),
  });
}

/** A tensor with one element for each row: [n] or [n, 1]. */
const isColumn = ({ shape: [rows, ...rest] }: TensorSpec): boolean =>
  typeof rows === 'string' && rows !== '...' && rest.length <= 1 && rest.every((dim) => dim === 1);

/**
 * Parses an input of a model whose inputs are the columns of a table. In addition to the forms of a tensor, a plain value is the column
 * of one row, and a list of values is the column of many rows. A missing number (null) is NaN, as in pandas.
 */
function parseColumn(spec: TensorSpec, json: unknown, pointer: string): Tensor {
  const rank = spec.shape.length;
  const isMissing = (value: unknown) => value === null && spec.dtype.startsWith('float');
  if (Array.isArray(json)) {
    const values = json.some(isMissing) ? json.map((value) => (isMissing(value) ? 'NaN' : value)) : json;
    return rank === 2 && !Array.isArray(json[0])
      ? asColumn(parseTensor(flat(spec), values, pointer))
      : parseTensor(spec, values, pointer);
  }
  if (json instanceof NumberArray)
    return rank === 2 && json.dims.length === 1
      ? asColumn(parseTensor(flat(spec), json, pointer))
      : parseTensor(spec, json, pointer);
  if (isObject(json)) return parseTensor(spec, json, pointer);
  const data = parseNested({ spec, pointer }, [], isMissing(json) ? 'NaN' : json);
  return { dtype: spec.dtype, dims: spec.shape.map(() => 1), data };
}

const flat = (spec: TensorSpec): TensorSpec => ({ ...spec, shape: spec.shape.slice(0, 1) });
const asColumn = (tensor: Tensor): Tensor => ({ ...tensor, dims: [...tensor.dims, 1] });

/** Parses one tensor. `pointer` is the JSON pointer of the tensor. Throws InputError. */
export function parseTensor(spec: TensorSpec, json: unknown, pointer: string): Tensor {
  const place = { spec, pointer };
  if (json instanceof NumberArray) {
    // The text of an error comes from the nested arrays, as for any other array.
    const data = fits(spec, json.dims) ? elementsOf(spec.dtype, json.values) : undefined;
    return data ? { dtype: spec.dtype, dims: json.dims, data } : parseTensor(spec, json.toJSON(), pointer);
  }
  if (isObject(json)) return parseShaped(place, json);
  const dims = fillEmpty(spec, dimsOf(json, pointer));
  checkDims(place, dims, json);
  return { dtype: spec.dtype, dims, data: parseNested(place, dims, json) };
}

function parseShaped({ spec, pointer }: TensorPlace, json: Record<string, unknown>): Tensor {
  const form = 'an array, or {"shape": [...], "data": [...]}, or {"shape": [...], "base64": "..."}';
  for (const key of Object.keys(json)) {
    if (['shape', 'data', 'dtype', 'base64'].includes(key)) continue;
    const message = `A tensor has no field "${clip(key)}".`;
    throw fault({ pointer: `${pointer}/${escapePart(key)}`, message, expected: form, got: json[key] });
  }
  const { shape, data, dtype, base64 } = json;
  if (dtype !== undefined && dtype !== spec.dtype) {
    const message = `"${spec.name}" is of type ${spec.dtype}.`;
    throw fault({ pointer: `${pointer}/dtype`, message, expected: spec.dtype, got: dtype });
  }
  if (!Array.isArray(shape) || shape.length > DEPTH_MAX || !shape.every(isDim)) {
    const message = 'The shape must be an array of whole numbers.';
    throw fault({ pointer: `${pointer}/shape`, message, expected: describe(spec), got: shape });
  }
  checkDims({ spec, pointer: `${pointer}/shape` }, shape, json);
  if ((data === undefined) === (base64 === undefined)) {
    const message = 'A tensor with a shape needs either "data" or "base64".';
    throw fault({ pointer, message, expected: form, got: json });
  }
  if (base64 !== undefined) return tensorOfBytes({ spec, pointer: `${pointer}/base64` }, shape, base64);
  return { dtype: spec.dtype, dims: shape, data: parseFlat({ spec, pointer: `${pointer}/data` }, shape, data) };
}

const isDim = (dim: unknown): dim is number =>
  typeof dim === 'number' && Number.isInteger(dim) && dim >= 0 && dim <= 2 ** 31;

/** `given`: base64 text, or bytes of a caller inside Millrace. */
function tensorOfBytes({ spec, pointer }: TensorPlace, dims: readonly number[], given: unknown): Tensor {
  const { dtype } = spec;
  if (dtype === 'string') {
    const message = 'Strings have no fixed size in bytes. Pass the strings in "data".';
    throw fault({ pointer, message, expected: 'an array of strings in "data"', got: given });
  }
  const length = elementCount(dims) * ELEMENT_BYTES[dtype];
  const expected = `${length} bytes in base64`;
  const isBytes = Buffer.isBuffer(given) || given instanceof BytePieces;
  const bytes = isBytes ? given : bytesOfText(given, expected, pointer);
  if (bytes.length !== length) {
    const message = `A ${dtype} tensor of shape [${dims}] has ${length} bytes.`;
    throw fault({ pointer, message, expected, got: `${bytes.length} bytes` });
  }
  if (bytes instanceof BytePieces && isUnchecked(dtype)) return new TensorInPieces(dtype, dims, bytes);
  const whole = bytes instanceof BytePieces ? bytes.joined() : bytes;
  if (dtype === 'bool' && !whole.every(isBit))
    throw fault({
      pointer,
      message: 'The bytes of a bool tensor are 0 and 1.',
      expected: '0 and 1',
      got: 'other bytes',
    });
  return { dtype, dims, data: dataFromBytes(dtype, whole) };
}

const isBit = (byte: number): boolean => byte <= 1;

function bytesOfText(text: unknown, expected: string, pointer: string): Buffer {
  if (typeof text !== 'string')
    throw fault({ pointer, message: 'The bytes must be a base64 string.', expected, got: text });
  const bytes = Buffer.from(text, 'base64');
  if (!isBase64(text, bytes.length)) throw fault({ pointer, message: 'The text is not base64.', expected, got: text });
  return bytes;
}

/**
 * Whether the text is base64. `decoded` is the number of bytes that Buffer read from the text. Buffer skips every character that is not base64,
 * so such a text has fewer bytes than its length implies. A regular expression over the text would take longer than to decode and hash the text.
 */
function isBase64(text: string, decoded: number): boolean {
  const padding = text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0;
  const digits = text.length - padding;
  // A single digit after the last group of four adds no byte, so the number of bytes does not show whether the character is base64.
  if (digits % 4 === 1) return /^[A-Za-z0-9+/]*={0,2}$/.test(text);
  const isAscii = Buffer.byteLength(text) === text.length;
  // Buffer reads - and _ as + and /.
  return isAscii && decoded === Math.floor((digits * 3) / 4) && !text.includes('-') && !text.includes('_');
}

/** The shape of nested arrays according to their first elements. `parseNested` rejects ragged arrays. */
function dimsOf(json: unknown, pointer: string): number[] {
  const dims: number[] = [];
  for (let level = json; Array.isArray(level); level = level[0]) {
    dims.push(level.length);
    if (dims.length > DEPTH_MAX) {
      const expected = `at most ${DEPTH_MAX} levels`;
      throw fault({ pointer, message: 'The arrays nest too deep.', expected, got: 'more' });
    }
    if (level.length === 0) break;
  }
  return dims;
}

/** `[]` can be an empty tensor of any rank. Dimensions that the array does not show come from the model. */
function fillEmpty(spec: TensorSpec, dims: number[]): number[] {
  if (dims.at(-1) !== 0 || dims.length >= spec.shape.length) return dims;
  return spec.shape.map((dim, axis) => dims[axis] ?? (typeof dim === 'number' ? dim : 0));
}

function checkDims({ spec, pointer }: TensorPlace, dims: readonly number[], json: unknown): void {
  if (fits(spec, dims)) return;
  const expected = describe(spec);
  const got = dims.length === 0 && !isObject(json) ? shown(json) : `shape [${dims.join(', ')}]`;
  throw new InputError({ pointer, message: `"${spec.name}" must be ${expected}, but is ${got}.`, expected, got });
}

const fits = (spec: TensorSpec, dims: readonly number[]): boolean =>
  (dims.length === spec.shape.length && spec.shape.every((dim, i) => typeof dim === 'string' || dim === dims[i])) ||
  isAnyRank(spec);

/** A model may also leave the rank of an input free. The shape is then ['...']. */
const isAnyRank = (spec: TensorSpec): boolean => spec.shape.length === 1 && spec.shape[0] === '...';

/** Parses nested arrays whose levels have exactly the sizes `dims`. */
function parseNested({ spec, pointer }: TensorPlace, dims: readonly number[], json: unknown): TensorData {
  const writer = elementWriter(spec.dtype, elementCount(dims), pointer);
  let at = 0;
  const walk = (value: unknown, axis: number, path: string): void => {
    if (!Array.isArray(value) || value.length !== dims[axis]) {
      const message = 'The arrays are ragged: all arrays of a level must have the same length.';
      throw fault({ pointer: pointer + path, message, expected: `${dims[axis]} elements`, got: value });
    }
    if (axis < dims.length - 1) {
      for (let i = 0; i < value.length; i++) walk(value[i], axis + 1, `${path}/${i}`);
    } else {
      writer.path = path;
      for (let i = 0; i < value.length; i++) {
        const run = writer.writeRun(value, i, at);
        at += run;
        i += run;
        if (i < value.length) writer.write(value[i], at++, i);
      }
    }
  };
  if (dims.length === 0) writer.write(json, 0);
  else walk(json, 0, '');
  return writer.data;
}

/** Parses the elements of arrays with any nesting, in their order. Their number must fit the shape. */
function parseFlat(place: TensorPlace, dims: readonly number[], json: unknown): TensorData {
  const { spec, pointer } = place;
  const count = elementCount(dims);
  if (json instanceof NumberArray) {
    const data = json.values.length === count ? elementsOf(spec.dtype, json.values) : undefined;
    return data ?? parseFlat(place, dims, json.toJSON());
  }
  const given = countLeaves(json, count, 0);
  if (given !== count) {
    const message = `Shape [${dims}] has ${count} elements.`;
    const got = given > count ? 'more' : `${given} elements`;
    throw fault({ pointer, message, expected: `${count} ${spec.dtype} elements`, got });
  }
  const writer = elementWriter(spec.dtype, count, pointer);
  let at = 0;
  const walk = (values: readonly unknown[], depth: number, path: string): void => {
    for (let i = 0; i < values.length; i++) {
      const run = writer.writeRun(values, i, at);
      at += run;
      i += run;
      if (i === values.length) break;
      const value = values[i];
      if (Array.isArray(value) && depth < DEPTH_MAX) {
        walk(value, depth + 1, `${path}/${i}`);
      } else {
        writer.path = path;
        writer.write(value, at++, i);
      }
    }
  };
  if (Array.isArray(json)) walk(json, 0, '');
  else writer.write(json, at++);
  return writer.data;
}

/** Counts elements of nested arrays, up to limit + 1. Arrays deeper than DEPTH_MAX count as elements, which every type rejects. */
function countLeaves(json: unknown, limit: number, depth: number): number {
  if (!Array.isArray(json) || depth > DEPTH_MAX) return 1;
  let count = 0;
  // A loop with an index: an iterator takes six times as long.
  for (let i = 0; i < json.length && count <= limit; i++) {
    const item: unknown = json[i];
    count += typeof item === 'object' && Array.isArray(item) ? countLeaves(item, limit - count, depth + 1) : 1;
  }
  return count;
}

function checkSharedRows(specs: readonly TensorSpec[], tensors: TensorMap): void {
  if (specs.length < 2) return;
  const first = specs[0];
  const name = first?.shape[0];
  if (first === undefined || typeof name !== 'string' || name === '' || isAnyRank(first)) return;
  if (!specs.every((spec) => spec.shape[0] === name)) return;
  const rows = tensors[first.name]!.dims[0];
  for (const spec of specs) {
    const own = tensors[spec.name]!.dims[0];
    if (own !== rows)
      throw new InputError({
        pointer: `/${escapePart(spec.name)}`,
        message: `"${spec.name}" has ${own} rows, but "${first.name}" has ${rows}. Both begin with the dimension ${name}.`,
        expected: `${rows} rows`,
        got: `${own} rows`,
      });
  }
}

/** A text such as `float32[batch, 3]`. A dimension without a name is `?`. */
export function describe(spec: TensorSpec): string {
  return spec.shape.length === 0
    ? `one ${spec.dtype} value (no array)`
    : `${spec.dtype}[${spec.shape.map((dim) => (dim === '' ? '?' : dim)).join(', ')}]`;
}

function isObject(json: unknown): json is Record<string, unknown> {
  return typeof json === 'object' && json !== null && !Array.isArray(json) && !(json instanceof NumberArray);
}

const clip = (text: string): string => (text.length > 60 ? `${text.slice(0, 60)}…` : text);

function fault(problem: { pointer: string; message: string; expected: string; got: unknown }): InputError {
  const { got } = problem;
  const seen = got === undefined ? 'nothing' : typeof got === 'string' ? clip(got) : shown(got);
  return new InputError({ ...problem, got: seen });
}
