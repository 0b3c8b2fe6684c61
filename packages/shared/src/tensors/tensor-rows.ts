/**
 * Raw tensors inside Millrace: the canonical text of a row (queue, cache key, engine), rows apart and together, and
 * outputs as the JSON text that callers get.
 */
import type { Dtype, Tensor, TensorMap } from './tensor.ts';
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
 * The canonical text of a row: `{"x":{"dtype":"float32","dims":[1,3],"data":"base64 of little-endian bytes"}}` in name
 * order, strings as arrays. Equal tensors, and only those, have equal texts.
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

/** What `tensorRowText` parses to. */
export type TensorRow = Record<string, { dtype: Dtype; dims: number[]; data: string | string[] }>;

/** The tensors of a row's parsed canonical text. Throws on lengths that do not fit. */
export function tensorsOfRow(row: TensorRow): TensorMap {
  const tensors: TensorMap = {};
  for (const [name, { dtype, dims, data }] of Object.entries(row)) {
    const count = elementCount(dims);
    const elements =
      dtype === 'string' ? (data as string[]) : dataFromBytes(dtype, Buffer.from(data as string, 'base64'));
    if (elements.length !== count) throw new Error(`"${name}" has ${elements.length} elements, and its shape ${count}`);
    tensors[name] = { dtype, dims, data: elements };
  }
  return tensors;
}

/** The first dimension that all tensors share; undefined where they share none. */
export function rowCount(tensors: TensorMap): number | undefined {
  let rows: number | undefined;
  for (const { dims } of Object.values(tensors)) {
    if (dims.length === 0 || (rows !== undefined && dims[0] !== rows)) return undefined;
    rows = dims[0];
  }
  return rows;
}

/**
 * Rows [1, ...] of tensors [n, ...] that share n. With n = 0 there is no row to take, and the tensors stay whole.
 * Throws where the tensors share no first dimension. Elements are views, not copies.
 */
export function splitRows(tensors: TensorMap): TensorMap[] {
  const rows = rowCount(tensors);
  if (rows === undefined) throw new Error('the tensors share no first dimension');
  return rows <= 1 ? [tensors] : splitInto(tensors, new Array<number>(rows).fill(1));
}

/** Tensors apart again, `counts` rows for each part; the counts sum up to the first dimension of every tensor. */
export function splitInto(tensors: TensorMap, counts: readonly number[]): TensorMap[] {
  const total = counts.reduce((sum, count) => sum + count, 0);
  const parts: TensorMap[] = counts.map(() => ({}));
  for (const [name, tensor] of Object.entries(tensors)) {
    if (tensor.dims[0] !== total)
      throw new Error(
        `the output "${name}" has shape [${tensor.dims}], and its first dimension is not the ${total} rows`,
      );
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

/** Tensors [n1, ...], [n2, ...] to [n1 + n2, ...], name by name. All must have the same names, types and other dimensions. */
export function joinRows(parts: readonly TensorMap[]): TensorMap {
  const first = parts[0];
  if (first === undefined) throw new Error('no rows to join');
  if (parts.length === 1) return first;
  const joined: TensorMap = {};
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

/** Whether rows can go into one tensor: same names, types and dimensions but the first. Equal texts can. */
export function shapeKey(tensors: TensorMap): string {
  let key = '';
  for (const name of Object.keys(tensors).sort()) {
    const { dtype, dims } = tensors[name]!;
    key += `${name.length}:${name}${dtype}${dims.length === 0 ? '.' : dims.slice(1)};`;
  }
  return key;
}

/** Bytes that the elements take; strings by their UTF-16 length. */
export function tensorBytes({ dtype, data }: Tensor): number {
  if (dtype !== 'string') return data.length * ELEMENT_BYTES[dtype];
  return (data as string[]).reduce((sum, text) => sum + 2 * text.length, 0);
}

/** Names for the elements of an output, by output name: model.json's `labels`. */
export type Labels = Readonly<Record<string, readonly string[]>>;

/**
 * The JSON text that callers get: `{"y":{"dtype":"float32","shape":[1,3],"data":[0.1,0.7,0.2]}}`, in the model's order,
 * nothing lost (see tensor-data.ts). An output with labels has `"label":["dog"]` beside its data: for each row of its
 * last dimension the name of its greatest element, or of the element itself where the output is of integers.
 */
export function tensorsToJson(tensors: TensorMap, labels: Labels = {}): string {
  let text = '';
  for (const [name, { dtype, dims, data }] of Object.entries(tensors)) {
    const named = Object.hasOwn(labels, name) ? labelsText({ dtype, dims, data }, labels[name]!) : '';
    text +=
      `${text === '' ? '{' : ','}${JSON.stringify(name)}:{"dtype":"${dtype}","shape":[${dims.join(',')}],` +
      `"data":[${elementsText(dtype, data)}]${named}}`;
  }
  return text === '' ? '{}' : `${text}}`;
}

function labelsText({ dtype, dims, data }: Tensor, names: readonly string[]): string {
  const width = dims.at(-1) ?? 1;
  const found: (string | null)[] = [];
  if (dtype.startsWith('int') || dtype.startsWith('uint')) {
    for (let i = 0; i < data.length; i++) found.push(names[Number(data[i])] ?? null);
  } else if (dtype.startsWith('float') && width === names.length) {
    const values = dtype === 'float16' ? Float64Array.from(data as Uint16Array, fromHalfBits) : (data as Float64Array);
    for (let row = 0; row < values.length; row += width) {
      let best = row;
      for (let i = row + 1; i < row + width; i++) if (values[i]! > values[best]!) best = i;
      found.push(names[best - row]!);
    }
  } else return '';
  return `,"label":${JSON.stringify(found)}`;
}
