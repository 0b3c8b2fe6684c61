/** Models of raw tensors in a Fastify handler, in JSON, base64 and the JSON and binary forms of the Open Inference Protocol. */
import path from 'node:path';
import Fastify, { type FastifyInstance } from 'fastify';
import { InferenceSession, Tensor } from 'onnxruntime-node';

type Input = number[][] | { shape: number[]; data?: number[]; base64?: string };

interface V2Head {
  inputs: { shape: number[]; data?: number[] }[];
  outputs?: { parameters?: { binary_data?: boolean } }[];
}

const bodyLimit = 64 * 1_024 * 1_024;

/** Serves these models of MODELS_DIR. */
export async function tensorApp(names: readonly string[]): Promise<FastifyInstance> {
  const sessions = new Map<string, InferenceSession>();
  for (const name of names) {
    const file = path.join(process.env.MODELS_DIR ?? '', name, '1/model.onnx');
    sessions.set(name, await InferenceSession.create(file, { intraOpNumThreads: 1, interOpNumThreads: 1 }));
  }
  const run = async (name: string, tensor: Tensor): Promise<Tensor> => {
    const { y } = (await sessions.get(name)?.run({ x: tensor })) ?? {};
    if (!y) throw new Error(`there is no model ${name} with an output y`);
    return y;
  };
  const app = Fastify({ bodyLimit });
  app.addContentTypeParser('application/octet-stream', { parseAs: 'buffer' }, (_, body, done) => done(null, body));
  app.post<{ Params: { model: string }; Body: { input: { x: Input } } }>(
    '/v1/models/:model/predictions',
    async ({ params, body }) => {
      const { data, dims } = await run(params.model, tensorOf(body.input.x));
      return { output: { y: { dtype: 'float32', shape: dims, data: Array.from(data as Float32Array) } } };
    },
  );
  app.post<{ Params: { model: string }; Body: V2Head | Buffer }>(
    '/v2/models/:model/infer',
    async ({ params, body, headers }, reply) => {
      const length = Number(headers['inference-header-content-length'] ?? 0);
      const head = Buffer.isBuffer(body) ? (JSON.parse(body.toString('utf8', 0, length)) as V2Head) : body;
      const [input] = head.inputs;
      if (!input) throw new Error('the request has no input');
      const floats = Buffer.isBuffer(body) ? floatsOf(body.subarray(length)) : Float32Array.from(input.data ?? []);
      const y = await run(params.model, new Tensor('float32', floats, input.shape));
      const output = { name: 'y', datatype: 'FP32', shape: y.dims };
      const values = y.data as Float32Array;
      if (!head.outputs?.[0]?.parameters?.binary_data) return { outputs: [{ ...output, data: Array.from(values) }] };
      const bytes = Buffer.from(values.buffer, values.byteOffset, values.byteLength);
      const text = JSON.stringify({ outputs: [{ ...output, parameters: { binary_data_size: bytes.length } }] });
      reply.headers({ 'content-type': 'application/octet-stream', 'inference-header-content-length': text.length });
      return Buffer.concat([Buffer.from(text), bytes]);
    },
  );
  return app;
}

function tensorOf(input: Input): Tensor {
  if (Array.isArray(input)) {
    return new Tensor('float32', Float32Array.from(input.flat()), [input.length, input[0]?.length ?? 0]);
  }
  const { shape, data, base64 } = input;
  const floats = base64 === undefined ? Float32Array.from(data ?? []) : floatsOf(Buffer.from(base64, 'base64'));
  return new Tensor('float32', floats, shape);
}

/** The bytes as floats, without a copy where the bytes are aligned. */
function floatsOf(bytes: Buffer): Float32Array {
  if (bytes.byteOffset % 4 === 0) return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
  return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
}
