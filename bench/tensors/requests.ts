/** Requests with random rows for a model of raw tensors, in a wire format, and the check of the responses. */
import { InferenceSession, Tensor } from 'onnxruntime-node';
import type { Requests } from '../requests.ts';
import { type Format, formats, type Row } from './formats.ts';
import { modelFile } from './models.ts';

// A row that runs in another batch, or is converted by another parser, may differ in its last bits.
const tolerance = 1e-5;

const paths: Readonly<Partial<Record<Format, (model: string) => string>>> = {
  'v2-json': (model) => `/v2/models/${model}/infer`,
  'v2-binary': (model) => `/v2/models/${model}/infer`,
};
const predictions = (model: string): string => `/v1/models/${model}/predictions`;

export function randomRows(count: number, floats: number): Row[] {
  return Array.from({ length: count }, () => {
    const digits = Array.from({ length: floats }, () => String(Math.floor(Math.random() * 1e7)).padStart(7, '0'));
    return { floats: Float32Array.from(digits, (text) => Number(`0.${text}`)), text: `0.${digits.join(',0.')}` };
  });
}

export interface TensorRequestsParams {
  modelsDir: string;
  model: string;
  /** Dimensions of a row. */
  dims: readonly number[];
  rows: readonly Row[];
  headers: Readonly<Record<string, string>>;
  /** Whether a counter in each request makes all requests different. */
  fresh: boolean;
  /** The path of a server that has other paths than Millrace. */
  path?: string;
}

export function tensorRequests(format: Format, params: TensorRequestsParams): Requests {
  const { modelsDir, model, dims, rows, headers, fresh, path = (paths[format] ?? predictions)(model) } = params;
  const plan = formats[format];
  const [before, after] = plan
    .around(
      dims,
      dims.reduce((product, dim) => product * dim, 4),
    )
    .map((text) => Buffer.from(text));
  const head = before?.length ?? 0;
  // The digits after `0.` are fresh, so that the decimal stays below 1.
  const at = head + (plan.fresh === 'decimal' ? 2 : 0);
  let session: Promise<InferenceSession> | undefined;
  return {
    path,
    headers: { ...plan.headers(head), ...headers },
    bodies: rows.map((row) =>
      Buffer.concat([before ?? '', plan.write(row), after ?? ''].map((part) => Buffer.from(part))),
    ),
    ...(fresh ? { fresh: { kind: plan.fresh, at } } : {}),
    fault: async (index, response) => {
      session ??= InferenceSession.create(modelFile(modelsDir, model), { intraOpNumThreads: 1, interOpNumThreads: 1 });
      const floats = rows[index]?.floats ?? new Float32Array();
      const { y } = await (await session).run({ x: new Tensor('float32', floats, [1, ...dims]) });
      const right = Number(y?.data[0]);
      const given = plan.first(response);
      return Math.abs(given - right) <= tolerance ? undefined : `expected ${right}, got ${given}`;
    },
  };
}
