/** The model called directly: a Fastify handler encodes, runs and decodes, with one run of the model per request. */
import Fastify from 'fastify';
import { openModel, type Pair, predictionsPath } from './model.ts';
import { Body, ResponseBody } from './schemas.ts';
import { serve } from './serve.ts';

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
await serve(app);
