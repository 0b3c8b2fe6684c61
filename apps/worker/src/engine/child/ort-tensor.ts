/** Converts Millrace's tensors to onnxruntime's tensors and back, without a copy of the elements. */
import { CPU, type Device } from '@millrace/shared/model-files/engine-settings';
import { DTYPES, type Dtype, type Tensor, type TensorMap } from '@millrace/shared/tensors/tensor';
import * as ort from 'onnxruntime-node';

// In Node 24 the JavaScript part of onnxruntime makes a Float16Array of every float16 tensor. Its native part does not accept a
// Float16Array ("not enough space: expected 8, got 0") and accepts the bits, so the bits are restored.
function toOrt({ dtype, dims, data }: Tensor): ort.Tensor {
  if (dtype === 'float16')
    return Object.assign(new ort.Tensor('float16', data as Uint16Array, dims), { cpuData: data });
  return new ort.Tensor(dtype as 'float32', data as Float32Array, dims);
}

/** Throws for a value that is not a tensor of a supported type. */
function fromOrt(name: string, value: ort.OnnxValue): Tensor {
  const tensor = value as ort.Tensor | undefined;
  if (tensor === undefined || !DTYPES.includes(tensor.type as Dtype))
    throw new Error(`the output "${name}" is ${tensor === undefined ? 'missing' : `of type ${tensor.type}`}`);
  const dtype = tensor.type as Dtype;
  const { dims } = tensor;
  const data: unknown = tensor.data;
  if (dtype === 'float16' && ArrayBuffer.isView(data))
    return { dtype, dims, data: new Uint16Array(data.buffer as ArrayBuffer, data.byteOffset, data.byteLength / 2) };
  return { dtype, dims, data: data as Tensor['data'] };
}

export async function runSession(session: ort.InferenceSession, tensors: TensorMap): Promise<TensorMap> {
  const feeds: Record<string, ort.Tensor> = Object.create(null);
  for (const name in tensors) feeds[name] = toOrt(tensors[name]!);
  const values = await session.run(feeds);
  const outputs: TensorMap = Object.create(null);
  for (const name of session.outputNames) outputs[name] = fromOrt(name, values[name]!);
  return outputs;
}

/** Additional options of an onnxruntime session. */
type MoreOptions = Pick<ort.InferenceSession.SessionOptions, 'extra'> & {
  /** Contents of external data by location. onnxruntime copies them. */
  externalData?: readonly { path: string; data: Uint8Array }[];
};

/** Where a session runs. */
export interface Place {
  threads: number;
  device: Device;
}

/** onnxruntime always has the provider `cpu`, also for the operators that another provider does not have. */
function providersOf({ provider, id }: Device): Pick<ort.InferenceSession.SessionOptions, 'executionProviders'> {
  if (provider === CPU) return {};
  // WebGPU itself selects the device of a process.
  return { executionProviders: [provider === 'webgpu' ? provider : { name: provider, deviceId: id }] };
}

/**
 * A session of a model: shares of the cores, no spinning, one thread per operator at a time. `model` is a path, or the
 * bytes of a model file.
 */
export function openSession(
  model: string | Uint8Array,
  { threads, device }: Place,
  more: MoreOptions = {},
): Promise<ort.InferenceSession> {
  const options: ort.InferenceSession.SessionOptions & MoreOptions = {
    ...more,
    ...providersOf(device),
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    executionMode: 'sequential',
    graphOptimizationLevel: 'all',
    // Errors only: an export that declares a wrong output shape would write a warning for each run.
    logSeverityLevel: 3,
    extra: {
      session: {
        // Spinning threads would take the cores that the worker and the other engines need.
        intra_op: { allow_spinning: '0' },
        inter_op: { allow_spinning: '0' },
        ...(more.extra?.session as object | undefined),
      },
    },
  };
  return typeof model === 'string'
    ? ort.InferenceSession.create(model, options)
    : ort.InferenceSession.create(model, options);
}
