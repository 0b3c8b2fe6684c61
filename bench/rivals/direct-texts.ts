/** A text model in a Fastify handler: `@huggingface/transformers` tokenizes, runs and pools each text. */
import path from 'node:path';
import { env, pipeline } from '@huggingface/transformers';
import Fastify, { type FastifyInstance } from 'fastify';

/** Serves the version 1 of this model of MODELS_DIR. */
export async function textApp(name: string): Promise<FastifyInstance> {
  env.localModelPath = path.resolve(process.env.MODELS_DIR ?? '');
  env.allowRemoteModels = false;
  const session_options = { intraOpNumThreads: 1, interOpNumThreads: 1 };
  const extract = await pipeline('feature-extraction', `${name}/1`, { dtype: 'fp32', session_options });
  const app = Fastify();
  app.post<{ Body: { input: { text: string } } }>(`/v1/models/${name}/predictions`, async ({ body }) => {
    const { data } = await extract(body.input.text, { pooling: 'mean', normalize: true });
    return { output: { embedding: Array.from(data, Number) } };
  });
  return app;
}
