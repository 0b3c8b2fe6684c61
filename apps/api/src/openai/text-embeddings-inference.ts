/** `POST /embed` and `POST /rerank` of text-embeddings-inference, for all models and below `/tei/{model}` for one model. */
import { ApiError } from '@millrace/shared/errors';
import type { ModelVersion } from '@millrace/shared/registry/registry-types';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { BodyReader, invalid } from './read-body.ts';
import { teiRoute } from './route-schemas.ts';
import { type ProtocolDeps, run, sendPieces } from './run-request.ts';
import { inputOf, onlyTextModel, type TextUse, textModel } from './text-models.ts';
import { embeddingOf, shortened, withLengthOne } from './vectors.ts';

type TeiRequest = FastifyRequest<{ Params: { model?: string } }>;

const TRUNCATION = ['truncate', 'truncation_direction'];
const EMBED_MEMBERS = ['inputs', 'normalize', 'dimensions', 'prompt_name', ...TRUNCATION];
const RERANK_MEMBERS = ['query', 'texts', 'raw_scores', 'return_text', ...TRUNCATION];

/** The folders of the routes. The server of text-embeddings-inference has one model, so its requests name no model. */
const PLACES = ['', '/tei/:model'] as const;

export function registerTei(app: FastifyInstance, deps: ProtocolDeps): void {
  for (const place of PLACES) {
    const schema = (name: 'embed' | 'rerank') => ({ schema: teiRoute(name, place !== '') });
    app.post(`${place}/embed`, schema('embed'), (request: TeiRequest, reply) => embed(deps, request, reply));
    app.post(`${place}/rerank`, schema('rerank'), (request: TeiRequest, reply) => rerank(deps, request, reply));
  }
}

function modelOf({ catalog, tenantOf }: ProtocolDeps, request: TeiRequest, use: TextUse): Promise<ModelVersion> {
  const { model } = request.params;
  const tenant = tenantOf(request);
  return model === undefined ? onlyTextModel(catalog, tenant, use) : textModel(catalog, tenant, { name: model, use });
}

/** Whether a text may be cut at the end. The tokenizers of the tasks cut no text at the beginning. */
function mayTruncate(body: BodyReader): boolean {
  body.oneOf('truncation_direction', ['Right', 'right'], 'Right');
  return body.flag('truncate', false);
}

async function embed(deps: ProtocolDeps, request: TeiRequest, reply: FastifyReply): Promise<FastifyReply> {
  const body = new BodyReader(request.body, EMBED_MEMBERS);
  const { items, listed } = body.inputs('inputs', deps.limits.maxRows);
  const truncates = mayTruncate(body);
  const normalizes = body.flag('normalize', true);
  const dimensions = body.positive('dimensions');
  body.refuse('prompt_name', 'is not supported: write the prompt before each text');
  const version = await modelOf(deps, request, 'embedding');
  const inputs = items.map((item) => inputOf(version, item, 'inputs'));
  const rows = new Array<string>(items.length);
  const tenant = deps.tenantOf(request);
  const finished = await run(deps, { request, reply, tenant, version, inputs, listed }, (output, at) => {
    const { vector, isTruncated } = embeddingOf(output);
    if (isTruncated && !truncates) throw tooLong(at);
    const sent = dimensions === undefined ? vector : shortened(vector, dimensions);
    rows[at] = JSON.stringify(normalizes ? withLengthOne(sent) : sent);
  });
  return finished ? sendPieces(reply, { begin: '[', items: rows, end: ']' }) : reply;
}

const tooLong = (at: number): ApiError =>
  new ApiError(
    'payload_too_large',
    `Input ${at} has more tokens than the model takes: send a shorter text, or "truncate": true.`,
  );

async function rerank(deps: ProtocolDeps, request: TeiRequest, reply: FastifyReply): Promise<FastifyReply> {
  const body = new BodyReader(request.body, RERANK_MEMBERS);
  const query = body.requiredText('query');
  const texts = body.texts('texts', deps.limits.maxRows);
  const isRaw = body.flag('raw_scores', false);
  const returnsText = body.flag('return_text', false);
  const truncates = mayTruncate(body);
  const version = await modelOf(deps, request, 'ranking');
  const inputs = texts.map((text) => ({ query, text }));
  const ranks: { index: number; text?: string; score: number }[] = [];
  const tenant = deps.tenantOf(request);
  const finished = await run(deps, { request, reply, tenant, version, inputs, listed: true }, (output, at) => {
    const { score, isTruncated } = scoreOf(output, isRaw);
    if (isTruncated && !truncates) throw tooLong(at);
    ranks.push({ index: at, ...(returnsText ? { text: texts[at] ?? '' } : {}), score });
  });
  if (!finished) return reply;
  ranks.sort((a, b) => b.score - a.score || a.index - b.index);
  return sendPieces(reply, { begin: '[', items: ranks.map((rank) => JSON.stringify(rank)), end: ']' });
}

/** The score of a text, or its score before the activation function. Throws ApiError for another output. */
function scoreOf(output: unknown, isRaw: boolean): { score: number; isTruncated: boolean } {
  const { score, logit, truncated } = (output ?? {}) as { score?: unknown; logit?: unknown; truncated?: unknown };
  if (isRaw && typeof logit !== 'number')
    throw invalid(
      'raw_scores',
      'is not supported: the output of the model has no "logit"',
      'a request without raw_scores',
    );
  const value = isRaw ? logit : score;
  if (typeof value !== 'number')
    throw new ApiError('inference_failed', 'The output of the model has no score: expected a number.');
  return { score: value, isTruncated: truncated === true };
}
