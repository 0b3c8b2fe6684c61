/** `POST /openai/v1/embeddings`, and the list of models for OpenAI's clients. */
import { ApiError } from '@millrace/shared/errors';
import type { ModelVersion } from '@millrace/shared/registry/registry-types';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { BodyReader, invalid } from './read-body.ts';
import { openAiRoutes } from './route-schemas.ts';
import { type ProtocolDeps, run, sendPieces } from './run-request.ts';
import { inputOf, textModel, textModels } from './text-models.ts';
import { base64Of, embeddingOf, shortened } from './vectors.ts';

/** As OpenAI's API. */
const INPUTS_MAX = 2_048;
const MEMBERS = ['input', 'model', 'encoding_format', 'dimensions', 'user'];

export function registerEmbeddings(app: FastifyInstance, deps: ProtocolDeps): void {
  app.post('/embeddings', { schema: openAiRoutes.embeddings }, (request, reply) => embed(deps, request, reply));
  app.get('/models', { schema: openAiRoutes.models }, async (request) => {
    const models = await textModels(deps.catalog, deps.tenantOf(request), 'embedding');
    return { object: 'list', data: models.map((version) => modelOf(version, version.model)) };
  });
  app.get<{ Params: { model: string } }>('/models/:model', { schema: openAiRoutes.model }, async (request) => {
    const { model } = request.params;
    return modelOf(await textModel(deps.catalog, deps.tenantOf(request), { name: model, use: 'embedding' }), model);
  });
}

const modelOf = ({ createdAt }: ModelVersion, id: string) => ({
  id,
  object: 'model',
  created: Math.floor(createdAt / 1_000),
  owned_by: 'millrace',
});

async function embed(deps: ProtocolDeps, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
  const body = new BodyReader(request.body, MEMBERS);
  const name = body.requiredText('model');
  const { items, listed } = body.inputs('input', Math.min(INPUTS_MAX, deps.limits.maxRows));
  const isBase64 = body.oneOf('encoding_format', ['float', 'base64'], 'float') === 'base64';
  const dimensions = body.positive('dimensions');
  body.text('user');
  const tenant = deps.tenantOf(request);
  const version = await textModel(deps.catalog, tenant, { name, use: 'embedding' });
  const inputs = items.map((item) => inputOf(version, item, 'input'));
  const rows = new Array<string>(items.length);
  let tokens = 0;
  const finished = await run(deps, { request, reply, tenant, version, inputs, listed }, (output, at) => {
    const { vector, tokens: own, isTruncated } = embeddingOf(output);
    if (isTruncated) throw invalid('input', `has more tokens in text ${at} than the model takes`, 'a shorter text');
    tokens += own;
    const sent = dimensions === undefined ? vector : ofDimensions(version, vector, dimensions);
    const embedding = isBase64 ? `"${base64Of(sent)}"` : JSON.stringify(sent);
    rows[at] = `{"object":"embedding","index":${at},"embedding":${embedding}}`;
  });
  if (!finished) return reply;
  const usage = JSON.stringify({ prompt_tokens: tokens, total_tokens: tokens });
  return sendPieces(reply, {
    begin: '{"object":"list","data":[',
    items: rows,
    end: `],"model":${JSON.stringify(name)},"usage":${usage}}`,
  });
}

/** Shorter embeddings are useful only if the model was trained for them. */
function ofDimensions(
  { model, config }: ModelVersion,
  vector: readonly number[],
  dimensions: number,
): readonly number[] {
  if (dimensions === vector.length || config.matryoshka === true) return shortened(vector, dimensions);
  const message = `has embeddings of ${vector.length} dimensions only`;
  throw new ApiError(
    'invalid_request',
    `The model '${model}' ${message}: send the request without dimensions, or set "matryoshka" in model.json for a model that was trained for shorter embeddings.`,
    { faults: [{ pointer: '/dimensions', message, expected: String(vector.length), got: String(dimensions) }] },
  );
}
