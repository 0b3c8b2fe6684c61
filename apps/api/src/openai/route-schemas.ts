/** The schemas of the routes, for the OpenAPI document. The protocols define the names and shapes. The routes read their bodies themselves. */
import type { FastifySchema } from 'fastify';
import { type TSchema, Type } from 'typebox';
import { json } from '../http/documentation.ts';

const openAi = ['OpenAI API'];
const tei = ['text-embeddings-inference API'];

const Name = Type.String({ description: 'A model, or `MODEL:VERSION` with a version or an alias.' });
const Inputs = Type.Union(
  [
    Type.String(),
    Type.Array(Type.String()),
    Type.Array(Type.Integer({ minimum: 0 })),
    Type.Array(Type.Array(Type.Integer({ minimum: 0 }))),
  ],
  {
    description:
      'A text or a list of texts; or token ids of the tokenizer of the model, where the model takes token ids.',
  },
);
const Dimensions = Type.Integer({
  minimum: 1,
  description:
    'The first numbers of each embedding, with the length 1. OpenAI API: only for models with `matryoshka` in model.json.',
});

const EmbeddingsRequest = Type.Object(
  {
    model: Name,
    input: Inputs,
    encoding_format: Type.Optional(
      Type.String({ description: '`float` (the default), or `base64` for little-endian float32.' }),
    ),
    dimensions: Type.Optional(Dimensions),
    user: Type.Optional(Type.String({ description: 'Not used.' })),
  },
  { $id: 'OpenAIEmbeddingsRequest' },
);
const Embeddings = Type.Object(
  {
    object: Type.String({ description: '`list`.' }),
    data: Type.Array(
      Type.Object(
        {
          object: Type.String({ description: '`embedding`.' }),
          index: Type.Integer({ minimum: 0 }),
          embedding: Type.Union([Type.Array(Type.Number()), Type.String()]),
        },
        { $id: 'OpenAIEmbedding' },
      ),
    ),
    model: Type.String(),
    usage: Type.Object(
      {
        prompt_tokens: Type.Integer({ minimum: 0, description: '0 if the model does not report tokens.' }),
        total_tokens: Type.Integer({ minimum: 0 }),
      },
      { $id: 'OpenAIUsage' },
    ),
  },
  { $id: 'OpenAIEmbeddings' },
);
const Model = Type.Object(
  {
    id: Type.String(),
    object: Type.String({ description: '`model`.' }),
    created: Type.Integer({ description: 'Unix seconds of the registration.' }),
    owned_by: Type.String(),
  },
  { $id: 'OpenAIModel' },
);
const Models = Type.Object({ object: Type.String(), data: Type.Array(Model) }, { $id: 'OpenAIModels' });

const bodyOf = (schema: TSchema) => ({ 'application/json': { schema } });
const model = { id: 'minilm', object: 'model', created: 1_796_112_000, owned_by: 'millrace' };

export const openAiRoutes = {
  embeddings: {
    operationId: 'createOpenAIEmbeddings',
    tags: openAi,
    summary: 'Embed texts, as OpenAI',
    documentedBody: bodyOf(EmbeddingsRequest),
    examples: { Texts: { model: 'minilm', input: ['a text', 'another text'], encoding_format: 'base64' } },
    response: { 200: json(Embeddings, 'The embeddings in the order of the inputs.') },
    responseExamples: {
      200: {
        Embeddings: {
          object: 'list',
          data: [{ object: 'embedding', index: 0, embedding: [0.6, 0.8] }],
          model: 'minilm',
          usage: { prompt_tokens: 4, total_tokens: 4 },
        },
      },
    },
  },
  models: {
    operationId: 'listOpenAIModels',
    tags: openAi,
    summary: 'List the models with embeddings, as OpenAI',
    response: { 200: json(Models, 'The models by name.') },
    responseExamples: { 200: { Models: { object: 'list', data: [model] } } },
  },
  model: {
    operationId: 'getOpenAIModel',
    tags: openAi,
    summary: 'Get a model with embeddings, as OpenAI',
    params: Type.Object({ model: Name }),
    response: { 200: json(Model, 'The model.') },
    responseExamples: { 200: { Model: model } },
  },
} satisfies Record<string, FastifySchema>;

const truncation = {
  truncate: Type.Optional(
    Type.Boolean({ description: 'Whether a text that is too long is cut. Default false: such a text is refused.' }),
  ),
  truncation_direction: Type.Optional(Type.String({ description: 'Only `Right`.' })),
};
const EmbedRequest = Type.Object(
  {
    inputs: Inputs,
    normalize: Type.Optional(Type.Boolean({ description: 'Whether each embedding has the length 1. Default true.' })),
    dimensions: Type.Optional(Dimensions),
    ...truncation,
  },
  { $id: 'TeiEmbedRequest' },
);
const Embedded = Type.Array(Type.Array(Type.Number()), { $id: 'TeiEmbeddings' });
const RerankRequest = Type.Object(
  {
    query: Type.String(),
    texts: Type.Array(Type.String()),
    raw_scores: Type.Optional(
      Type.Boolean({
        description: 'Whether the scores are the outputs before the activation function. Default false.',
      }),
    ),
    return_text: Type.Optional(Type.Boolean({ description: 'Whether each rank has its text. Default false.' })),
    ...truncation,
  },
  { $id: 'TeiRerankRequest' },
);
const Ranks = Type.Array(
  Type.Object(
    { index: Type.Integer({ minimum: 0 }), text: Type.Optional(Type.String()), score: Type.Number() },
    { $id: 'TeiRank' },
  ),
  { $id: 'TeiRanks' },
);

const TEI = {
  embed: {
    operationId: 'embedTexts',
    summary: 'Embed texts, as text-embeddings-inference',
    documentedBody: bodyOf(EmbedRequest),
    examples: { Texts: { inputs: ['a text', 'another text'], truncate: true } },
    response: { 200: json(Embedded, 'The embeddings in the order of the inputs.') },
    responseExamples: { 200: { Embeddings: [[0.6, 0.8]] } },
  },
  rerank: {
    operationId: 'rerankTexts',
    summary: 'Rank texts by a query, as text-embeddings-inference',
    documentedBody: bodyOf(RerankRequest),
    examples: { Query: { query: 'a cat', texts: ['a dog', 'the cat'], return_text: true } },
    response: { 200: json(Ranks, 'The texts, the best first.') },
    responseExamples: {
      200: {
        Ranks: [
          { index: 1, score: 0.98 },
          { index: 0, score: 0.02 },
        ],
      },
    },
  },
} satisfies Record<string, FastifySchema>;

/** `ofModel`: the route below `/tei/{model}`. The other route takes the only model of its kind. */
export function teiRoute(name: keyof typeof TEI, ofModel: boolean): FastifySchema {
  const route = { ...TEI[name], tags: tei };
  if (!ofModel) return route;
  return { ...route, operationId: `${route.operationId}OfModel`, params: Type.Object({ model: Name }) };
}
