/** Converts an inference request of the Open Inference Protocol to the body of a prediction. */
import type { ModelVersion } from '@millrace/shared/registry/registry-types';
import { withPlainArrays } from '@millrace/shared/tensors/number-array';
import { Type } from 'typebox';
import { Compile } from 'typebox/schema';
import { faultsOf, member, summary } from '../http/validation.ts';
import type { PredictionBody } from '../predictions/prediction-request.ts';
import { type Bytes, part, readStrings, whole } from './binary-tensors.ts';
import { DATATYPES, dtypeOf } from './datatypes.ts';
import { V2Error } from './errors.ts';

// An object with any members. A record would check the name of each member.
const Parameters = Type.Optional(Type.Unsafe<Record<string, unknown>>(Type.Object({})));
const Shape = Type.Array(Type.Integer({ minimum: 0 }), { maxItems: 64 });

/** Unknown members are ignored, as clients of the protocol expect for unsupported extensions. */
export const InferRequest = Type.Object(
  {
    id: Type.Optional(Type.String({ maxLength: 1_000 })),
    parameters: Parameters,
    inputs: Type.Array(
      Type.Object({
        name: Type.String(),
        shape: Shape,
        datatype: Type.String(),
        parameters: Parameters,
        data: Type.Optional(Type.Unknown()),
      }),
      // A model without inputs has an empty list.
      { maxItems: 10_000 },
    ),
    outputs: Type.Optional(
      Type.Array(Type.Object({ name: Type.String(), parameters: Parameters }), { maxItems: 10_000 }),
    ),
  },
  { $id: 'InferenceRequest' },
);

const compiled = Compile(InferRequest);
type Request = Type.Static<typeof InferRequest>;
type Input = Request['inputs'][number];

export interface Infer {
  id: string | undefined;
  body: PredictionBody;
  /** The requested outputs, and whether each is sent as bytes. If absent, all outputs in the order of the model. */
  outputs: { name: string; binary: boolean }[] | undefined;
  /** Whether the outputs are sent as bytes if `outputs` is absent. */
  binary: boolean;
  /** The seconds that the caller waits. */
  waitS: number;
}

/** The names of the only input and output of a model with a handler. The elements are JSON texts. */
export const HANDLER_INPUT = 'input';
export const HANDLER_OUTPUT = 'output';

const WAIT_S = 60;

export interface InferLimits {
  /** The most inputs of a model with a handler. */
  maxRows: number;
  /** The most strings of a binary tensor. */
  jsonItems: number;
}

export interface ParseInferParams {
  json: unknown;
  /** The bytes after the JSON. */
  rest: Bytes;
  version: ModelVersion;
  limits: InferLimits;
  /** Parses the JSON texts of one request within the limits of a JSON body; throws ApiError. */
  parseElements(texts: readonly string[]): unknown[];
}

export function parseInfer({ json, rest, version, limits, parseElements }: ParseInferParams): Infer {
  if (!compiled.Check(json)) {
    const faults = faultsOf(InferRequest, json, compiled.Errors(json)[1]);
    throw new V2Error(400, summary(faults));
  }
  for (const { name, parameters } of json.inputs) refuseExtensions('input', name, parameters);
  const tensors = tensorsOf(json.inputs, rest, limits.jsonItems);
  const known = outputNames(version);
  const requested = new Set<string>();
  for (const { name, parameters } of json.outputs ?? []) {
    refuseExtensions('output', name, parameters);
    // The response would contain the whole output twice.
    if (requested.has(name)) throw new V2Error(400, `output '${name.slice(0, 100)}' is requested twice`);
    requested.add(name);
    if (!known.includes(name))
      throw new V2Error(
        400,
        `unexpected inference output '${name.slice(0, 100)}' for model '${version.model}'; it has ${known.join(', ')}`,
      );
  }
  const binary = json.parameters?.binary_data_output === true;
  return {
    id: json.id,
    body: {
      ...(version.handlerDigest === null
        ? { input: tensors }
        : { inputs: parseElements(handlerTexts(tensors, limits.maxRows)) }),
      ...scheduling(json.parameters),
    },
    outputs: json.outputs?.map(({ name, parameters }) => ({
      name,
      binary: typeof parameters?.binary_data === 'boolean' ? parameters.binary_data : binary,
    })),
    binary,
    waitS: waitOf(json.parameters),
  };
}

/** Refuses the parameters of extensions that would change the response. Other unknown parameters are ignored. */
function refuseExtensions(kind: string, name: string, parameters: Request['parameters']): void {
  for (const extension of ['classification', 'shared_memory_region'])
    if (parameters?.[extension] !== undefined)
      throw new V2Error(
        400,
        `${kind} '${name}': the parameter '${extension}' belongs to an extension that this server does not support`,
      );
}

export const outputNames = (version: ModelVersion): string[] =>
  version.handlerDigest === null ? version.signature.outputs.map(({ name }) => name) : [HANDLER_OUTPUT];

type TensorInput = { dtype: string; shape: number[]; data?: unknown; base64?: Bytes };

function tensorsOf(inputs: readonly Input[], rest: Bytes, maxStrings: number): Record<string, TensorInput> {
  const tensors: Record<string, TensorInput> = Object.create(null);
  let at = 0;
  for (const { name, shape, datatype, data, parameters } of inputs) {
    const dtype = dtypeOf(datatype);
    if (dtype === undefined)
      throw new V2Error(
        400,
        `input '${name}': unknown datatype '${datatype.slice(0, 50)}'; known are ${DATATYPES.join(', ')}`,
      );
    if (Object.hasOwn(tensors, name)) throw new V2Error(400, `input '${name}' is given twice`);
    const size = parameters?.binary_data_size;
    if (size === undefined) {
      if (data === undefined) throw new V2Error(400, `input '${name}' has neither data nor binary_data_size`);
      tensors[name] = { dtype, shape, data };
      continue;
    }
    if (typeof size !== 'number' || !Number.isInteger(size) || size < 0 || at + size > rest.length)
      throw new V2Error(
        400,
        `input '${name}': binary_data_size is ${String(size)}, and ${rest.length - at} bytes are left`,
      );
    const bytes = part(rest, at, at + size);
    at += size;
    tensors[name] =
      dtype === 'string'
        ? { dtype, shape, data: readStrings(whole(bytes), name, maxStrings) }
        : { dtype, shape, base64: bytes };
  }
  if (at < rest.length) throw new V2Error(400, `${rest.length - at} bytes after the JSON belong to no input`);
  return tensors;
}

/** Returns the JSON text of each input of a model with a handler. */
function handlerTexts(tensors: Record<string, TensorInput>, maxRows: number): string[] {
  const names = Object.keys(tensors);
  const tensor = tensors[HANDLER_INPUT];
  if (names.length !== 1 || tensor?.dtype !== 'string')
    throw new V2Error(
      400,
      `this model has one input, '${HANDLER_INPUT}', of datatype BYTES: each element the JSON text of an input`,
    );
  const elements = [withPlainArrays(tensor.data)].flat(64);
  const count = tensor.shape.reduce((product, dim) => product * dim, 1);
  if (elements.length !== count || count === 0)
    throw new V2Error(400, `input '${HANDLER_INPUT}' has ${elements.length} elements, and its shape requires ${count}`);
  if (count > maxRows)
    throw new V2Error(400, `input '${HANDLER_INPUT}' has ${count} elements; a prediction has at most ${maxRows} rows`);
  return elements.map(String);
}

/** Triton's scheduling parameters: 1 is the highest priority, 0 the model's own; `timeout` is in microseconds. */
function scheduling(parameters: Request['parameters']): Pick<PredictionBody, 'priority' | 'expires_in'> {
  const { priority, timeout } = parameters ?? {};
  const level = Number(priority ?? 0);
  if (!Number.isInteger(level) || level < 0)
    throw new V2Error(400, `parameter 'priority' must be a whole number from 0, got ${String(priority)}`);
  const micros = Number(timeout ?? 0);
  if (!Number.isFinite(micros) || micros < 0)
    throw new V2Error(400, `parameter 'timeout' must be microseconds, got ${String(timeout)}`);
  return {
    ...(level === 0
      ? {}
      : { priority: level === 1 ? ('high' as const) : level === 2 ? ('normal' as const) : ('low' as const) }),
    ...(micros === 0 ? {} : { expires_in: Math.max(0.001, micros / 1e6) }),
  };
}

function waitOf(parameters: Request['parameters']): number {
  const micros = Number(parameters?.timeout ?? 0);
  return micros > 0 ? Math.min(WAIT_S, micros / 1e6) : WAIT_S;
}

/** Refuses a load with a configuration or files in the request, because models are loaded only from the models folder. */
export function refuseFiles(body: unknown): void {
  const other = Object.keys(Object(member(body, 'parameters'))).find(
    (name) => name === 'config' || name.startsWith('file:'),
  );
  if (other !== undefined)
    throw new V2Error(
      400,
      `the parameter '${other.slice(0, 100)}' is not supported: models are loaded from the models folder`,
    );
}
