/** The model called directly: Fastify that encodes, runs and decodes in the request's own handler, one run a request. */
import Fastify from 'fastify';
import { openModel, type Pair, predictionsPath } from './model.ts';
import { Answer, Body } from './schemas.ts';
import { serve } from './serve.ts';

const model = await openModel();
const app = Fastify();
app.post<{ Body: { input: Pair } }>(
  predictionsPath,
  { schema: { body: Body, response: { 200: Answer } } },
  async ({ body }) => {
    const [output] = await model.answer([await model.canonicalize(body.input)]);
    return { output };
  },
);
await serve(app);
