/** Text models in a Fastify handler: `@huggingface/transformers` tokenizes, runs and pools each text. */
import path from 'node:path';
import { env, pipeline } from '@huggingface/transformers';
import Fastify, { type FastifyInstance } from 'fastify';

/** Serves the version 1 of these models of MODELS_DIR. */
export async function textApp(names: readonly string[]): Promise<FastifyInstance> {
  env.localModelPath = path.resolve(process.env.MODELS_DIR ?? '');
  env.allowRemoteModels = false;
  const session_options = { intraOpNumThreads: 1, interOpNumThreads: 1 };
  const app = Fastify();
  for (const name of names) {
    const extract = await pipeline('feature-extraction', `${name}/1`, { dtype: 'fp32', session_options });
    app.post<{ Body: { input: { text: string } } }>(`/v1/models/${name}/predictions`, async ({ body }) => {
      const { data } = await extract(body.input.text, { pooling: 'mean', normalize: true });
      return { output: { embedding: Array.from(data, Number) } };
    });
  }
  return app;
}
