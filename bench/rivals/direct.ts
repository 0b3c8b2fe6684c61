/**
 * The model called directly: a Fastify handler encodes, runs and decodes, with one run of the model per request.
 * TENSOR_MODELS names models of raw tensors, and TEXT_MODELS Hugging Face folders, which the program then serves in place of the
 * bundled model.
 */
import Fastify from 'fastify';
import { tensorApp } from './direct-tensors.ts';
import { textApp } from './direct-texts.ts';
import { openModel, type Pair, predictionsPath } from './model.ts';
import { Body, ResponseBody } from './schemas.ts';
import { serve } from './serve.ts';

async function pairApp() {
  const model = await openModel();
  const app = Fastify();
  app.post<{ Body: { input: Pair } }>(
    predictionsPath,
    { schema: { body: Body, response: { 200: ResponseBody } } },
    async ({ body }) => {
      const [output] = await model.predict([await model.canonicalize(body.input)]);
      return { output };
    },
  );
  return app;
}

const { TENSOR_MODELS, TEXT_MODELS } = process.env;
if (TEXT_MODELS) await serve(await textApp(TEXT_MODELS.split(',')));
else await serve(await (TENSOR_MODELS ? tensorApp(TENSOR_MODELS.split(',')) : pairApp()));
