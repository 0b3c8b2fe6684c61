/**
 * The three protocols: /v1 in JSON, /v2 in JSON, and /v2 in Triton's binary form. Each function returns the received
 * tensors.
 */
import type { Tensor, TensorMap } from '@millrace/shared/tensors/tensor';
import { bytesOf, dataFromBytes, ELEMENT_BYTES, elementsText } from '@millrace/shared/tensors/tensor-data';
import { parseTensor } from '@millrace/shared/tensors/tensor-json';
import { part, readStrings, splitBody, whole, writeStrings } from '../../apps/api/src/open-inference/binary-tensors.ts';
import { datatypeOf, dtypeOf } from '../../apps/api/src/open-inference/datatypes.ts';

/** Millrace refused the request, with a reason. */
export class Refused extends Error {
  override name = 'Refused';
}

export type Infer = (url: string, model: string, inputs: TensorMap) => Promise<TensorMap>;

interface JsonTensor {
  name: string;
  datatype: string;
  shape: number[];
  data?: unknown[];
  parameters?: { binary_data_size?: number };
}

const jsonOf = ({ dtype, dims, data }: Tensor, head: string): string =>
  `{${head},"shape":[${dims}],"data":[${elementsText(dtype, data)}]}`;

const tensorOf = (dtype: Tensor['dtype'], shape: number[], data: unknown): Tensor =>
  parseTensor({ name: 'x', dtype, shape }, { shape, data }, '');

/** Computes without the cache. The other protocols then share a cached result or compute as well. */
async function v1(url: string, model: string, inputs: TensorMap): Promise<TensorMap> {
  const tensors = Object.entries(inputs).map(
    ([name, tensor]) => `${JSON.stringify(name)}:${jsonOf(tensor, `"dtype":"${tensor.dtype}"`)}`,
  );
  const response = await fetch(`${url}/v1/models/${model}/predictions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', prefer: 'wait=60', 'cache-control': 'no-store' },
    body: `{"input":{${tensors}}}`,
  });
  const body = (await response.json()) as {
    detail?: string;
    errors?: { message: string }[];
    error?: { detail: string } | null;
    status?: string;
    output?: Record<string, { dtype: Tensor['dtype']; shape: number[]; data: unknown }>;
  };
  if (body.status !== 'succeeded' || !body.output)
    throw new Refused(body.errors?.[0]?.message ?? body.error?.detail ?? body.detail ?? `status ${response.status}`);
  return Object.fromEntries(
    Object.entries(body.output).map(([name, { dtype, shape, data }]) => [name, tensorOf(dtype, shape, data)]),
  );
}

async function v2(url: string, model: string, inputs: TensorMap): Promise<TensorMap> {
  const tensors = Object.entries(inputs).map(([name, tensor]) =>
    jsonOf(tensor, `"name":${JSON.stringify(name)},"datatype":"${datatypeOf(tensor.dtype)}"`),
  );
  return infer(url, model, { 'content-type': 'application/json' }, `{"inputs":[${tensors}]}`);
}

async function v2Binary(url: string, model: string, inputs: TensorMap): Promise<TensorMap> {
  const parts: Buffer[] = [];
  const heads = Object.entries(inputs).map(([name, { dtype, dims, data }]) => {
    const bytes = Array.isArray(data) ? writeStrings(data) : bytesOf(data);
    parts.push(bytes);
    return { name, datatype: datatypeOf(dtype), shape: dims, parameters: { binary_data_size: bytes.length } };
  });
  const head = Buffer.from(JSON.stringify({ inputs: heads, parameters: { binary_data_output: true } }));
  const headers = {
    'content-type': 'application/octet-stream',
    'inference-header-content-length': String(head.length),
  };
  return infer(url, model, headers, Buffer.concat([head, ...parts]));
}

async function infer(
  url: string,
  model: string,
  headers: Record<string, string>,
  body: string | Buffer<ArrayBuffer>,
): Promise<TensorMap> {
  const response = await fetch(`${url}/v2/models/${model}/infer`, { method: 'POST', headers, body });
  const bytes = Buffer.from(await response.arrayBuffer());
  if (!response.ok) throw new Refused((JSON.parse(bytes.toString()) as { error: string }).error);
  const { json, rest } = splitBody(bytes, response.headers.get('inference-header-content-length') ?? undefined);
  const tensors: TensorMap = {};
  let at = 0;
  for (const { name, datatype, shape, data, parameters } of (JSON.parse(json.toString()) as { outputs: JsonTensor[] })
    .outputs) {
    const dtype = dtypeOf(datatype)!;
    const size = parameters?.binary_data_size;
    if (size === undefined) {
      tensors[name] = tensorOf(dtype, shape, data);
      continue;
    }
    const some = whole(part(rest, at, at + size));
    at += size;
    tensors[name] = {
      dtype,
      dims: shape,
      data:
        dtype === 'string'
          ? readStrings(some, name, Number.POSITIVE_INFINITY)
          : dataFromBytes(dtype, Uint8Array.from(some)),
    };
    if (dtype !== 'string' && size % ELEMENT_BYTES[dtype] !== 0) throw new Error(`${name} has ${size} bytes`);
  }
  return tensors;
}

export const protocols: Readonly<Record<string, Infer>> = { 'v1 JSON': v1, 'v2 JSON': v2, 'v2 binary': v2Binary };
