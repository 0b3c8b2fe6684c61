/** Renders the output of a prediction as an inference response: JSON, or JSON followed by the bytes of tensors. */
import type { ModelVersion } from '@millrace/shared/registry/registry-types';
import type { Dtype } from '@millrace/shared/tensors/tensor';
import { bytesOf } from '@millrace/shared/tensors/tensor-data';
import { parseTensor } from '@millrace/shared/tensors/tensor-json';
import { writeStrings } from './binary-tensors.ts';
import { datatypeOf } from './datatypes.ts';
import { HANDLER_OUTPUT, type Infer } from './request.ts';

interface TensorOutput {
  dtype: Dtype;
  shape: number[];
  data: unknown[];
}

/** The fields of the version and of the request that a response contains. */
export interface RenderedVersion extends Pick<ModelVersion, 'model' | 'version' | 'handlerDigest'> {
  /** The names of the outputs in the order of the model. A parsed output has numeric names in the order of numbers. */
  outputNames: readonly string[];
}
export type RenderedInfer = Pick<Infer, 'id' | 'outputs' | 'binary'>;

export interface InferReply {
  body: string | Buffer;
  /** The length of the JSON, if bytes follow the JSON. */
  headerLength: number | undefined;
}

/** `output` is the parsed output: tensors by name, or the handler's output for each input. */
export function renderInfer(version: RenderedVersion, infer: RenderedInfer, output: unknown): InferReply {
  const all = outputsOf(version, output);
  const wanted = infer.outputs ?? version.outputNames.map((name) => ({ name, binary: infer.binary }));
  const binaries: Buffer[] = [];
  const outputs = wanted.map(({ name, binary }) => {
    const { dtype, shape, data } = all[name] as TensorOutput;
    const head = { name, datatype: datatypeOf(dtype), shape };
    if (!binary) return { ...head, data };
    const bytes = dtype === 'string' ? writeStrings(data as string[]) : tensorBytes(dtype, shape, data);
    binaries.push(bytes);
    return { ...head, parameters: { binary_data_size: bytes.length } };
  });
  const json = JSON.stringify({
    model_name: version.model,
    model_version: version.version,
    ...(infer.id === undefined ? {} : { id: infer.id }),
    outputs,
  });
  if (binaries.length === 0) return { body: json, headerLength: undefined };
  const header = Buffer.from(json);
  return { body: Buffer.concat([header, ...binaries]), headerLength: header.length };
}

function outputsOf(version: RenderedVersion, output: unknown): Record<string, TensorOutput> {
  if (version.handlerDigest === null) return output as Record<string, TensorOutput>;
  const elements = output as unknown[];
  return {
    [HANDLER_OUTPUT]: {
      dtype: 'string',
      shape: [elements.length],
      data: elements.map((element) => JSON.stringify(element)),
    },
  };
}

function tensorBytes(dtype: Dtype, shape: number[], data: unknown[]): Buffer {
  const tensor = parseTensor({ name: '', dtype, shape }, { shape, data }, '');
  return bytesOf(tensor.data as Exclude<typeof tensor.data, string[]>);
}
