/** Tests the OpenAI API with the unmodified `openai` package, and the routes of text-embeddings-inference with plain requests. */
import { cp, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { Tokenizer } from '@huggingface/tokenizers';
import { createPool } from '@millrace/shared/postgres/db';
import { loadConfig } from '@millrace/shared/process/config';
import { createApiKey } from '@millrace/shared/tenants/api-keys';
import OpenAI from 'openai';
import pino from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startApi } from '../../apps/api/src/server.ts';
import { makeHandlerModels } from '../support/handler-models.ts';
import { useMillrace } from '../support/millrace.ts';

/** An unchanged Hugging Face folder. */
const EMBEDDING = path.resolve(import.meta.dirname, '../models/text-models/models/embedding');
const DIMENSIONS = 4;

/** An embedding by the letters of a text. A text with "boom" fails, and a longer text than 40 letters is truncated. */
const EMBEDDER = `
import { defineHandler, InputError, Type } from '@millrace/handler';
const vectorOf = (text) => [...Array(${DIMENSIONS}).keys()].map((k) => (k + 1) * (text.length + 1) + text.charCodeAt(0) / 3);
export default defineHandler({
  input: Type.Union([
    Type.Object({ text: Type.String({ maxLength: 100 }) }, { additionalProperties: false }),
    TOKENS
  ]),
  output: Type.Object({ embedding: Type.Array(Type.Number()), tokens: Type.Integer(), truncated: Type.Boolean() }),
  canonicalize: ({ text, token_ids }) => {
    if (text?.includes('nothing')) throw new InputError({ pointer: '/text', message: 'There is no embedding of nothing.' });
    return text ?? String.fromCharCode(...token_ids);
  },
  encode: (rows) => ({ x: { dtype: 'float32', dims: [rows.length, 1], data: new Float32Array(rows.length) } }),
  decode: (_, rows) => rows.map((text) => {
    if (text.includes('boom')) throw new Error('the text exploded');
    return { embedding: vectorOf(text), tokens: text.split(' ').length, truncated: text.length > 40 };
  }),
});
`;
const TOKENS = 'Type.Object({ token_ids: Type.Array(Type.Integer()) }, { additionalProperties: false }),';

const RANKER = `
import { defineHandler, Type } from '@millrace/handler';
export default defineHandler({
  input: Type.Object({ query: Type.String(), text: Type.String() }, { additionalProperties: false }),
  output: Type.Object({ score: Type.Number(), logit: Type.Number(), truncated: Type.Boolean() }),
  canonicalize: ({ query, text }) => ({ query, text }),
  encode: (rows) => ({ x: { dtype: 'float32', dims: [rows.length, 1], data: new Float32Array(rows.length) } }),
  decode: (_, rows) => rows.map(({ query, text }) => {
    const logit = text.split(query).length - 1;
    return { score: 1 / (1 + Math.exp(-logit)), logit, truncated: text.length > 40 };
  }),
});
`;

const NO_EMBEDDING =
  "400 The model 'ranker' has no embedding: expected a model with the input text and the output embedding.";

const vectorOf = (text: string) =>
  Array.from({ length: DIMENSIONS }, (_, k) => (k + 1) * (text.length + 1) + text.charCodeAt(0) / 3);
const unit = (vector: number[]) => {
  const length = Math.hypot(...vector);
  return vector.map((value) => value / length);
};
const near = (vector: number[]) => vector.map((value) => expect.closeTo(value, 4));

const jsonOf = async (name: string) => JSON.parse(await readFile(path.join(EMBEDDING, '1', name), 'utf8'));

let remove = async () => {};
const millrace = useMillrace(async () => {
  const folder = await makeHandlerModels(
    {
      letters: EMBEDDER.replace('TOKENS', TOKENS),
      plain: EMBEDDER.replace('TOKENS', ''),
      ranker: RANKER,
      other: RANKER.replace('score:', 'rank:').replace('score: 1 /', 'rank: 1 /'),
    },
    { row_independent: true },
  );
  remove = folder.remove;
  await writeFile(path.join(folder.dir, 'letters/model.json'), '{"row_independent": true, "matryoshka": true}');
  await cp(EMBEDDING, path.join(folder.dir, 'embedding'), { recursive: true });
  return { modelsDir: folder.dir, models: ['embedding', 'letters', 'plain', 'ranker', 'other'] };
});
afterAll(() => remove());

let client: OpenAI;
beforeAll(() => {
  client = new OpenAI({ baseURL: `${millrace.url}/openai/v1`, apiKey: 'none', maxRetries: 0 });
});

describe('the openai package', () => {
  test('embeds a text and a list of texts, in base64 (its default) and as numbers', async () => {
    const { data, model, object, usage } = await client.embeddings.create({ model: 'letters', input: 'a b' });
    expect({ model, object, usage }).toEqual({
      model: 'letters',
      object: 'list',
      usage: { prompt_tokens: 2, total_tokens: 2 },
    });
    expect(data).toEqual([{ object: 'embedding', index: 0, embedding: near(vectorOf('a b')) }]);
    const texts = ['x', 'y z', 'ü – 漢字 🙂'];
    for (const encoding_format of ['float', 'base64'] as const) {
      const { data: many, usage: used } = await client.embeddings.create({
        model: 'letters',
        input: texts,
        encoding_format,
      });
      const vectors = many.map(({ embedding }) =>
        typeof embedding === 'string'
          ? [...new Float32Array(Uint8Array.from(Buffer.from(embedding, 'base64')).buffer)]
          : embedding,
      );
      expect(many.map(({ index }) => index)).toEqual([0, 1, 2]);
      expect(vectors.map((vector) => vector.length)).toEqual([DIMENSIONS, DIMENSIONS, DIMENSIONS]);
      expect(used.prompt_tokens).toBe(7);
    }
  });

  test('embeds token ids where the model takes token ids, singly and in lists', async () => {
    const ids = [97, 98, 99];
    for (const input of [ids, [ids, [120]]]) {
      const { data } = await client.embeddings.create({ model: 'letters', input });
      expect(data[0]?.embedding).toEqual(near(vectorOf('abc')));
    }
    const long = Array.from({ length: 30 }, () => 97);
    const { data } = await client.embeddings.create({ model: 'letters', input: long });
    expect(data[0]?.embedding).toEqual(near(vectorOf('a'.repeat(30))));
    await expect(client.embeddings.create({ model: 'plain', input: ids })).rejects.toMatchObject({
      status: 400,
      param: 'input',
      message: expect.stringContaining("the model 'plain' takes texts"),
    });
  });

  test('2,000 texts come in order, also from the cache', { timeout: 180_000 }, async () => {
    const input = Array.from({ length: 2_000 }, (_, at) => `text ${at}`);
    for (const _ of [1, 2]) {
      const { data, usage } = await client.embeddings.create({ model: 'letters', input });
      expect(data.map(({ index }) => index)).toEqual(input.map((_text, at) => at));
      expect(
        data.every(({ embedding }, at) => Math.abs((embedding[0] ?? 0) - (vectorOf(input[at] ?? '')[0] ?? 0)) < 1e-3),
      ).toBe(true);
      expect(usage.prompt_tokens).toBe(4_000);
    }
  });

  test('embeds texts and their token ids with a Hugging Face folder, and refuses a text that is too long', async () => {
    const text = 'hello world';
    const { data, usage } = await client.embeddings.create({ model: 'embedding', input: [text, 'another text'] });
    const direct = await millrace.predict('embedding', { input: { text } }, { prefer: 'wait=30' });
    expect(data[0]?.embedding).toEqual(near(direct.body.output.embedding));
    expect(usage.prompt_tokens).toBeGreaterThan(direct.body.output.tokens);
    const tokenizer = new Tokenizer(await jsonOf('tokenizer.json'), await jsonOf('tokenizer_config.json'));
    const { ids } = tokenizer.encode(text, { add_special_tokens: false });
    const ofIds = await client.embeddings.create({ model: 'embedding', input: ids });
    expect(ofIds.data[0]?.embedding).toEqual(near(direct.body.output.embedding));
    const long = client.embeddings.create({ model: 'embedding', input: 'word '.repeat(20_000) });
    await expect(long).rejects.toMatchObject({
      status: 400,
      message: "400 'input' has more tokens in text 0 than the model takes: expected a shorter text.",
    });
  });

  test('dimensions shorten the embeddings of a matryoshka model, and are refused for another model', async () => {
    const { data } = await client.embeddings.create({ model: 'letters', input: 'abc', dimensions: 2 });
    expect(data[0]?.embedding).toEqual(near(unit(vectorOf('abc').slice(0, 2))));
    const full = await client.embeddings.create({ model: 'plain', input: 'abc', dimensions: DIMENSIONS });
    expect(full.data[0]?.embedding).toHaveLength(DIMENSIONS);
    for (const [model, dimensions] of [
      ['plain', 2],
      ['letters', 5],
    ] as const)
      await expect(client.embeddings.create({ model, input: 'abc', dimensions })).rejects.toMatchObject({
        status: 400,
        param: 'dimensions',
        type: 'invalid_request_error',
      });
  });

  test('lists and gets the models with embeddings', async () => {
    const ids: string[] = [];
    for await (const model of client.models.list()) ids.push(model.id);
    expect(ids).toEqual(['embedding', 'letters', 'plain']);
    expect(await client.models.retrieve('letters')).toMatchObject({
      id: 'letters',
      object: 'model',
      owned_by: 'millrace',
    });
    expect((await client.models.retrieve('letters:1')).created).toBeGreaterThan(1_700_000_000);
    await expect(client.models.retrieve('ranker')).rejects.toMatchObject({ status: 400 });
  });

  test.each<[string, object, object]>([
    ['an unknown model', { model: 'lettres' }, { status: 404, code: 'model_not_found', type: 'invalid_request_error' }],
    ['an unknown version', { model: 'letters:9' }, { status: 404, code: 'version_not_found' }],
    ['a model without embeddings', { model: 'ranker' }, { status: 400, param: 'model', message: NO_EMBEDDING }],
    ['an empty text', { input: '' }, { status: 400, param: 'input' }],
    ['an empty list', { input: [] }, { status: 400, param: 'input' }],
    ['a list of other things', { input: [{}] }, { status: 400, param: 'input' }],
    ['mixed token ids', { input: [1, 'a'] }, { status: 400, param: 'input' }],
    ['2,049 texts', { input: Array(2_049).fill('a') }, { status: 400, param: 'input' }],
    [
      'a text that the model refuses',
      { input: ['a', 'nothing'] },
      { status: 400, code: 'invalid_input', param: 'input', message: '400 input 1: There is no embedding of nothing.' },
    ],
    ['a text that is too long for the schema', { input: 'a'.repeat(101) }, { status: 400, param: 'input' }],
    [
      'a text that is truncated',
      { input: ['a', 'b'.repeat(50)] },
      { status: 400, message: expect.stringContaining('in text 1 than') },
    ],
    [
      'a failing model',
      { input: ['a', 'boom'] },
      {
        status: 500,
        code: 'inference_failed',
        type: 'server_error',
        message: expect.stringContaining('input 1: decode in the handler'),
      },
    ],
    [
      'an unknown member',
      { dimension: 2 },
      { status: 400, param: 'dimension', message: expect.stringContaining('dimensions') },
    ],
    ['an unknown format', { encoding_format: 'int8' }, { status: 400, param: 'encoding_format' }],
  ])('gets the error of %s', async (_, change, error) => {
    const request = { model: 'letters', input: 'a', ...change } as OpenAI.EmbeddingCreateParams;
    await expect(client.embeddings.create(request)).rejects.toMatchObject(error);
  });

  test('does not repeat a failure that would fail again', async () => {
    const seen: number[] = [];
    const counting = new OpenAI({
      baseURL: `${millrace.url}/openai/v1`,
      apiKey: 'none',
      maxRetries: 2,
      fetch: async (...args) => {
        const response = await fetch(...args);
        seen.push(response.status);
        return response;
      },
    });
    await expect(counting.embeddings.create({ model: 'letters', input: 'boom' })).rejects.toMatchObject({
      status: 500,
    });
    expect(seen).toEqual([500]);
  });
});

describe('text-embeddings-inference', () => {
  const post = (where: string, body: unknown) => millrace.request(where, { method: 'POST', body });

  test('/embed returns normalized vectors; normalize, dimensions and token ids change them', async () => {
    const one = await post('/tei/letters/embed', { inputs: 'abc' });
    expect([one.status, one.body]).toEqual([200, [near(unit(vectorOf('abc')))]]);
    const many = await post('/tei/letters/embed', { inputs: ['abc', 'd'], normalize: false });
    expect(many.body).toEqual([near(vectorOf('abc')), near(vectorOf('d'))]);
    const short = await post('/tei/letters/embed', { inputs: [[97, 98, 99]], dimensions: 2, normalize: null });
    expect(short.body).toEqual([near(unit(vectorOf('abc').slice(0, 2)))]);
  });

  test('/rerank sorts the texts, with raw scores and texts on request', async () => {
    const body = { query: 'cat', texts: ['a dog', 'cat cat', 'the cat'] };
    const ranks = await post('/rerank', body);
    expect(ranks.body.map(({ index }: { index: number }) => index)).toEqual([1, 2, 0]);
    expect(ranks.body[0]).toEqual({ index: 1, score: expect.closeTo(0.8808, 3) });
    const raw = await post('/tei/ranker/rerank', { ...body, raw_scores: true, return_text: true });
    expect(raw.body).toEqual([
      { index: 1, text: 'cat cat', score: 2 },
      { index: 2, text: 'the cat', score: 1 },
      { index: 0, text: 'a dog', score: 0 },
    ]);
  });

  test('a text that is too long is refused, unless the request allows the truncation', async () => {
    const inputs = ['a', 'b'.repeat(50)];
    expect(await post('/tei/letters/embed', { inputs })).toMatchObject({
      status: 413,
      body: { error: expect.stringContaining('Input 1 has more tokens'), error_type: 'Validation' },
    });
    expect((await post('/tei/letters/embed', { inputs, truncate: true })).status).toBe(200);
  });

  test.each<[string, string, unknown, number, object]>([
    [
      'several models',
      '/embed',
      { inputs: 'a' },
      413,
      { error: expect.stringContaining('embedding, letters, plain'), error_type: 'Validation' },
    ],
    ['an unknown model', '/tei/none/embed', { inputs: 'a' }, 404, { error_type: 'Validation' }],
    ['a model of another use', '/tei/letters/rerank', { query: 'a', texts: ['b'] }, 413, { error_type: 'Validation' }],
    ['no texts', '/rerank', { query: 'a', texts: [] }, 413, { error: expect.stringContaining("'texts'") }],
    ['a body that is no object', '/rerank', [1], 413, { error_type: 'Validation' }],
    ['a body that is no JSON', '/rerank', '{', 413, { error_type: 'Validation' }],
    ['an input that the model refuses', '/tei/letters/embed', { inputs: 'nothing' }, 422, { error_type: 'Tokenizer' }],
    ['a failing model', '/tei/letters/embed', { inputs: 'boom' }, 424, { error_type: 'Backend' }],
    [
      'a prompt',
      '/tei/letters/embed',
      { inputs: 'a', prompt_name: 'query' },
      413,
      { error: expect.stringContaining('prompt') },
    ],
  ])('has an error of %s in its form', async (_, where, body, status, error) => {
    expect(await post(where, body)).toMatchObject({ status, body: error });
  });
});

test.each<[string, RequestInit, number, object]>([
  ['/openai/v1/nothing', {}, 404, { code: 'not_found', type: 'invalid_request_error', param: null }],
  ['/openai/v1/embeddings', {}, 405, { code: 'method_not_allowed' }],
  ['/openai/v1/embeddings', { method: 'POST', body: '{' }, 415, { code: 'unsupported_media_type' }],
  [
    '/openai/v1/embeddings',
    { method: 'POST', body: '{', headers: { 'content-type': 'application/json' } },
    400,
    { code: 'invalid_json' },
  ],
])('%s %j has an error of the OpenAI API', async (where, request, status, error) => {
  const response = await fetch(millrace.url + where, request);
  expect([response.status, await response.json()]).toEqual([status, { error: expect.objectContaining(error) }]);
});

test('API keys of the openai package are keys of Millrace', async () => {
  const db = createPool({
    databaseUrl: millrace.config.databaseUrl,
    max: 1,
    statementTimeoutMs: 10_000,
    applicationName: 'openai-test',
  });
  const locked = await startApi(loadConfig({ ...millrace.env, API_KEYS_REQUIRED: 'true' }), pino({ level: 'silent' }));
  try {
    const { key } = await createApiKey(db, { tenant: 'default', name: 'test', expiresAt: null });
    const baseURL = `${locked.url}/openai/v1`;
    const stranger = new OpenAI({ baseURL, apiKey: 'mrk_wrong', maxRetries: 0 });
    await expect(stranger.models.list()).rejects.toMatchObject({
      status: 401,
      code: 'unauthorized',
      type: 'authentication_error',
    });
    const owner = new OpenAI({ baseURL, apiKey: key, maxRetries: 0 });
    expect((await owner.embeddings.create({ model: 'letters', input: 'abc' })).data).toHaveLength(1);
    for (const where of ['/embed', '/rerank', '/tei/letters/embed'])
      expect((await fetch(locked.url + where, { method: 'POST', body: '{}' })).status).toBe(401);
  } finally {
    await locked.close(5_000);
    await db.end();
  }
});
