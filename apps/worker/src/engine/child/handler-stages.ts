/** Runs `encode` and `decode` of a handler, and compares what they return with the model. An error names its stage. */
import type { Handler, HandlerContext, Json } from '@millrace/shared/model-files/handler';
import type { HandlerStage } from '@millrace/shared/model-files/handler-fault';
import type { Tensor, TensorMap } from '@millrace/shared/tensors/tensor';
import type { RawSpec } from '../protocol/loaded-version.ts';

/** An error of a stage. The cause is the value that the handler has thrown, or the mismatch. */
export class StageError extends Error {
  override name = 'StageError';
  readonly stage: HandlerStage;
  constructor(stage: HandlerStage, cause: unknown) {
    super(cause instanceof Error ? cause.message : String(cause), { cause });
    this.stage = stage;
  }
}

/** Calls a stage. Throws StageError. */
export async function inStage<T>(stage: HandlerStage, call: () => T | Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    throw error instanceof StageError ? error : new StageError(stage, error);
  }
}

/** The tensors of rows. Throws StageError, also for tensors that the model does not take. */
export function encodeRows(
  { handler, context, inputs }: { handler: Handler; context: HandlerContext; inputs: readonly RawSpec[] },
  rows: readonly Json[],
): Promise<TensorMap> {
  return inStage('encode', async () => {
    const tensors: unknown = await handler.encode(rows, context);
    const fault = mismatchOf(tensors, inputs);
    if (fault !== undefined) throw new TypeError(fault);
    return tensors as TensorMap;
  });
}

/** The outputs of the rows, in their order. Throws StageError. */
export function decodeRows(
  { handler, context, tensors }: { handler: Handler; context: HandlerContext; tensors: TensorMap },
  rows: readonly Json[],
): Promise<unknown[]> {
  return inStage('decode', async () => {
    const decoded: unknown = await handler.decode(tensors, rows, context);
    if (!Array.isArray(decoded)) throw new TypeError(`it returned ${kindOf(decoded)}; expected an array of outputs`);
    if (decoded.length !== rows.length)
      throw new TypeError(`it returned ${decoded.length} outputs; expected ${rows.length}, one for each row`);
    return decoded;
  });
}

/** What is wrong with the tensors of `encode`, in words. Undefined for tensors that the model takes. */
export function mismatchOf(tensors: unknown, inputs: readonly RawSpec[]): string | undefined {
  if (typeof tensors !== 'object' || tensors === null || Array.isArray(tensors))
    return `it returned ${kindOf(tensors)}; expected an object with a tensor for each input of the model (${namesOf(inputs)})`;
  const given = tensors as Record<string, unknown>;
  for (const input of inputs) {
    const tensor = Object.hasOwn(given, input.name) ? given[input.name] : undefined;
    if (tensor === undefined)
      return `it returned no tensor "${input.name}", which the model takes (${specText(input)}), but ${Object.keys(given).join(', ') || 'no tensor'}`;
    const fault = tensorFault(tensor, input);
    if (fault !== undefined) return `the tensor "${input.name}" ${fault}`;
  }
  return undefined;
}

function tensorFault(value: unknown, input: RawSpec): string | undefined {
  const { dtype, dims, data } = value as Partial<Tensor>;
  if (typeof value !== 'object' || value === null || !Array.isArray(dims) || data?.length === undefined)
    return `is ${kindOf(value)}; expected {dtype, dims, data}`;
  if (input.type !== undefined && dtype !== input.type)
    return `has the type ${dtype}; the model expects ${specText(input)}`;
  const fits = input.shape.length === 0 || (dims.length === input.shape.length && input.shape.every(isSize(dims)));
  if (!fits) return `has the shape [${dims.join(', ')}]; the model expects ${specText(input)}`;
  const elements = dims.reduce((product, size) => product * size, 1);
  if (data.length !== elements) return `has ${data.length} elements; its shape [${dims.join(', ')}] needs ${elements}`;
  return undefined;
}

const isSize = (dims: readonly number[]) => (size: number | string, at: number) =>
  typeof size !== 'number' || size < 0 || size === dims[at];

const namesOf = (inputs: readonly RawSpec[]): string => inputs.map(specText).join('; ');

/** Such as `x float32[n, 3]`. */
export const specText = ({ name, type, shape }: RawSpec): string =>
  `${name} ${type ?? 'no tensor'}[${shape.map((size) => (typeof size === 'number' && size < 0 ? '?' : size || '?')).join(', ')}]`;

function kindOf(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (value === null) return 'null';
  if (Array.isArray(value)) return `an array of ${value.length}`;
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}
