/**
 * Operations on tensors inside Millrace: the canonical text of a row (for queue, cache key and engine), splitting and joining
 * rows, and the JSON text of outputs in responses.
 */
import type { Dtype, Tensor, TensorData, TensorMap } from './tensor.ts';
import {
  bytesOf,
  dataFromBytes,
  ELEMENT_BYTES,
  elementCount,
  elementsText,
  fromHalfBits,
  newData,
} from './tensor-data.ts';

/**
 * The canonical text of a row: `{"x":{"dtype":"float32","dims":[1,3],"data":"base64 of little-endian bytes"}}`, sorted by name,
 * with strings as arrays. Two rows have equal texts exactly when their tensors are equal.
 */
export function tensorRowText(tensors: TensorMap): string {
  let text = '';
  for (const name of Object.keys(tensors).sort()) {
    const { dtype, dims, data } = tensors[name]!;
    const body = Array.isArray(data) ? JSON.stringify(data) : `"${bytesOf(data).toString('base64')}"`;
    text += `${text === '' ? '{' : ','}${JSON.stringify(name)}:{"dtype":"${dtype}","dims":[${dims.join(',')}],"data":${body}}`;
  }
  return text === '' ? '{}' : `${text}}`;
}

/** The parsed text of `tensorRowText`. */
export type TensorRow = Record<string, { dtype: Dtype; dims: number[]; data: string | string[] }>;

/** Returns the tensors of a row from its parsed canonical text. Throws when the data does not fit the shape. */
export function tensorsOfRow(row: TensorRow): TensorMap {
  const tensors: TensorMap = Object.create(null);
  for (const [name, { dtype, dims, data }] of Object.entries(row)) {
    const count = elementCount(dims);
    const elements = elementsOf(dtype, data);
    if (elements.length !== count)
      throw new Error(`"${name}" has ${elements.length} elements: expected ${count} for its shape`);
    tensors[name] = { dtype, dims, data: elements };
  }
  return tensors;
}

function elementsOf(dtype: Dtype, data: string | string[]): TensorData {
  if (Array.isArray(data)) return data;
  if (dtype === 'string') throw new Error('the strings of a row must be an array');
  return dataFromBytes(dtype, Buffer.from(data, 'base64'));
}

/** The first dimension of all tensors. Returns undefined when the first dimensions differ or a tensor is a scalar. */
export function rowCount(tensors: TensorMap): number | undefined {
  let rows: number | undefined;
  // A list of the tensors would be two more objects for each request.
  for (const name in tensors) {
    const dims = tensors[name]?.dims ?? [];
    if (dims.length === 0 || (rows !== undefined && dims[0] !== rows)) return undefined;
    rows = dims[0];
  }
  return rows;
}

/**
 * Splits tensors [n, ...] with the same n into n rows [1, ...]. With n = 0 the result is the tensors themselves. Throws when the
 * first dimensions differ. The elements of rows are views, not copies.
 */
export function splitRows(tensors: TensorMap): TensorMap[] {
  const rows = rowCount(tensors);
  if (rows === undefined) throw new Error('the tensors cannot be split into rows: their first dimensions differ');
  return rows <= 1 ? [tensors] : splitInto(tensors, new Array<number>(rows).fill(1));
}

/** Splits tensors into parts of `counts` rows. The sum of the counts equals the first dimension of every tensor. */
export function splitInto(tensors: TensorMap, counts: readonly number[]): TensorMap[] {
  const total = counts.reduce((sum, count) => sum + count, 0);
  // An object without a prototype can have any name, also `__proto__`.
  const parts: TensorMap[] = counts.map(() => Object.create(null));
  for (const [name, tensor] of Object.entries(tensors)) {
    if (tensor.dims[0] !== total)
      throw new Error(`the output "${name}" has shape [${tensor.dims}]: expected ${total} rows in the first dimension`);
    const rest = tensor.dims.slice(1);
    const stride = elementCount(rest);
    let at = 0;
    counts.forEach((count, index) => {
      const end = at + count * stride;
      const data = Array.isArray(tensor.data) ? tensor.data.slice(at, end) : tensor.data.subarray(at, end);
      parts[index]![name] = { dtype: tensor.dtype, dims: [count, ...rest], data };
      at = end;
    });
  }
  return parts;
}

/** Joins tensors [n1, ...] and [n2, ...] to [n1 + n2, ...]. Names, types and other dimensions must be equal. */
export function joinRows(parts: readonly TensorMap[]): TensorMap {
  const first = parts[0];
  if (first === undefined) throw new Error('no rows to join');
  if (parts.length === 1) return first;
  const joined: TensorMap = Object.create(null);
  for (const [name, { dtype, dims }] of Object.entries(first)) {
    const rest = dims.slice(1);
    const rows = parts.reduce((sum, part) => sum + (part[name]?.dims[0] ?? 0), 0);
    const data = newData(dtype, rows * elementCount(rest));
    let at = 0;
    for (const part of parts) {
      const tensor = part[name];
      if (tensor === undefined || tensor.dtype !== dtype || String(tensor.dims.slice(1)) !== String(rest))
        throw new Error(`the rows of "${name}" differ in type or shape`);
      if (Array.isArray(data)) for (const item of tensor.data as string[]) data[at++] = item;
      else {
        (data as Uint8Array).set(tensor.data as Uint8Array, at);
        at += tensor.data.length;
      }
    }
    joined[name] = { dtype, dims: [rows, ...rest], data };
  }
  return joined;
}

/** A text of names, types and all dimensions except the first. Rows with equal texts can be joined. */
export function shapeKey(tensors: TensorMap): string {
  let key = '';
  for (const name of Object.keys(tensors).sort()) {
    const { dtype, dims } = tensors[name]!;
    key += `${name.length}:${name}${dtype}${dims.length === 0 ? '.' : dims.slice(1)};`;
  }
  return key;
}

/** The size of the elements in bytes. A string counts with its UTF-16 length. */
export function tensorBytes({ dtype, data }: Tensor): number {
  if (Array.isArray(data)) return data.reduce((sum, text) => sum + 2 * text.length, 0);
  return data.length * ELEMENT_BYTES[dtype];
}

/** Names for the elements of outputs, by output name: `labels` of model.json. */
export type Labels = Readonly<Record<string, readonly string[]>>;

/**
 * The JSON text of outputs in responses: `{"y":{"dtype":"float32","shape":[1,3],"data":[0.1,0.7,0.2]}}`, without loss (see
 * tensor-data.ts). `names` has the order of the model: an object has names such as "45" and "448" in the order of numbers. An output with labels also has `"label":["dog"]`. For floats the label is the
 * name of the greatest element in each row of the last dimension. For integers each element has a label.
 */
export function tensorsToJson(
  tensors: TensorMap,
  labels: Labels = {},
  names: readonly string[] = Object.keys(tensors),
): string {
  let text = '';
  for (const name of names) {
    const { dtype, dims, data } = tensors[name]!;
    const named = Object.hasOwn(labels, name) ? labelsText({ dtype, dims, data }, labels[name]!) : '';
    text +=
      `${text === '' ? '{' : ','}${JSON.stringify(name)}:{"dtype":"${dtype}","shape":[${dims.join(',')}],` +
      `"data":[${elementsText(dtype, data)}]${named}}`;
  }
  return text === '' ? '{}' : `${text}}`;
}

function labelsText({ dtype, dims, data }: Tensor, names: readonly string[]): string {
  if (Array.isArray(data) || dtype === 'bool') return '';
  if (!dtype.startsWith('float')) {
    const labels: (string | null)[] = [];
    for (const element of data) labels.push(names[Number(element)] ?? null);
    return labelText(labels);
  }
  const width = dims.at(-1) ?? 1;
  if (width !== names.length) return '';
  const values = dtype === 'float16' ? halfValues(data) : data;
  const labels: (string | null)[] = [];
  for (let row = 0; row < values.length; row += width) {
    let best = row;
    for (let i = row + 1; i < row + width; i++) if (values[i]! > values[best]!) best = i;
    labels.push(names[best - row]!);
  }
  return labelText(labels);
}

const labelText = (labels: readonly (string | null)[]): string => `,"label":${JSON.stringify(labels)}`;

function halfValues(data: Iterable<number | bigint>): Float64Array {
  return Float64Array.from(data, (bits) => fromHalfBits(Number(bits)));
}
