/**
 * Unchanged Hugging Face folders with text tasks. 1,000 texts in ten scripts have the outputs of `@huggingface/transformers` on the same
 * folder. `expected.json` has outputs of transformers for Python, which also truncates as Millrace does and knows the places of entities.
 */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import {
  AutoModelForMaskedLM,
  AutoModelForSequenceClassification,
  AutoModelForTokenClassification,
  AutoTokenizer,
  env,
  type PreTrainedModel,
  type PreTrainedTokenizer,
  pipeline,
} from '@huggingface/transformers';
import { describe, expect, test } from 'vitest';
import { useMillrace } from '../support/millrace.ts';
import { untilCached } from '../support/until-cached.ts';

const FILES = path.join(import.meta.dirname, 'text-models');
const FOLDER = path.join(FILES, 'models');
env.localModelPath = FOLDER;
env.allowRemoteModels = false;

const TASKS = {
  embedding: 'feature-extraction',
  classifier: 'text-classification',
  toxicity: 'text-classification',
  entities: 'token-classification',
  reranker: 'text-ranking',
  entailment: 'zero-shot-classification',
  words: 'fill-mask',
};
type Model = keyof typeof TASKS;
const MODELS = Object.keys(TASKS) as Model[];
const millrace = useMillrace({ modelsDir: FOLDER, models: MODELS, env: { MAX_ROWS: '2000' } });

interface Counts {
  tokens: number;
  truncated: boolean;
}
interface Entity {
  label: string;
  score: number;
  start: number;
  end: number;
  text: string;
}
interface Expected {
  texts: string[];
  pairs: [string, string][];
  masked: string[];
  labels: string[];
  models: {
    embedding: (Counts & { embedding: number[] })[];
    classifier: (Counts & { scores: Record<string, number> })[];
    toxicity: (Counts & { scores: Record<string, number> })[];
    reranker: (Counts & { scores: Record<string, number> })[];
    entailment: (Counts & { scores: Record<string, number>; each: Record<string, number> })[];
    entities: (Counts & { entities: Entity[] })[];
    words: (Counts & { scores: number[]; labels: string[] })[];
  };
}
const read = (name: string) => JSON.parse(readFileSync(path.join(FILES, name), 'utf8'));
const expected: Expected = read('expected.json');
const sentences: Record<string, string[]> = read('sentences.json');

/** 1,000 texts in ten scripts: one to seven words of one script, and of several scripts. */
const TEXTS = Array.from({ length: 1_000 }, (_, at) => {
  const scripts = Object.values(sentences);
  const words = Array.from({ length: 1 + (at % 7) }, (_, place) => {
    const script = scripts[(at + (at % 3 === 0 ? place : 0)) % scripts.length] ?? [];
    const sentence = script[(at * 7 + place * 3) % script.length] ?? '';
    const parts = sentence.split(' ');
    return parts[(at * 5 + place) % parts.length] ?? '';
  });
  return `${words.join(' ')} ${at}`.slice(0, 60);
});
/** Shorter texts, so that pairs, labels and bytes stay below the length of the models. */
const SHORT = TEXTS.map((text) => [...text].slice(0, 18).join(''));
const textsOf = (model: Model): string[] =>
  ['classifier', 'reranker', 'entailment', 'words'].includes(model) ? SHORT : TEXTS;

type Output = Counts & {
  embedding: number[];
  scores: { label: string; score: number }[];
  score: number;
  label: string;
  entities: Entity[];
};

async function predict(model: Model, inputs: readonly object[], cache: RegExp): Promise<Output[]> {
  const { status, body, headers } = await millrace.predict(model, { inputs }, { prefer: 'wait=60' });
  expect(`${status} ${JSON.stringify(body.error ?? body.detail ?? '')}`).toBe('200 ""');
  expect(headers.get('cache-status')).toMatch(cache);
  return body.outputs;
}

const near = (value: number | undefined, wanted: number): void =>
  expect(Math.abs((value ?? 9) - wanted)).toBeLessThan(1e-5);

function nearAll(values: readonly number[], wanted: readonly number[]): void {
  expect(values.length).toBe(wanted.length);
  for (const [at, value] of wanted.entries()) near(values[at], value);
}

function nearScores({ scores, label, score }: Output, wanted: Readonly<Record<string, number>>): void {
  expect(scores.map((one) => one.label).sort()).toEqual(Object.keys(wanted).sort());
  for (const one of scores) near(one.score, wanted[one.label] ?? 9);
  expect([label, score]).toEqual([scores[0]?.label, scores[0]?.score]);
}

const softmax = (logits: readonly number[]): number[] => {
  const powers = logits.map((logit) => Math.exp(logit - Math.max(...logits)));
  const sum = powers.reduce((total, power) => total + power, 0);
  return powers.map((power) => power / sum);
};
const sigmoid = (logit: number): number => 1 / (1 + Math.exp(-logit));

const OPTIONS = { dtype: 'fp32', subfolder: '' } as const;
/** Texts that transformers runs together. */
const TOGETHER = 50;

/** The logits of transformers for texts, or for pairs of texts. `from` and `to` select logits of each text. */
async function logitsOf(params: {
  name: Model;
  auto: { from_pretrained: typeof AutoModelForMaskedLM.from_pretrained };
  texts: string[];
  pairs?: string[];
  from?: number;
  to?: number;
}): Promise<number[][]> {
  const { name, auto, texts, pairs, from = 0, to = Number.POSITIVE_INFINITY } = params;
  const tokenizer: PreTrainedTokenizer = await AutoTokenizer.from_pretrained(`${name}/1`);
  const model: PreTrainedModel = await auto.from_pretrained(`${name}/1`, OPTIONS);
  const all: number[][] = [];
  for (let at = 0; at < texts.length; at += TOGETHER) {
    const text_pair = pairs?.slice(at, at + TOGETHER);
    const inputs = tokenizer(texts.slice(at, at + TOGETHER), { padding: true, ...(text_pair ? { text_pair } : {}) });
    const { logits } = await model(inputs);
    const [rows, ...sizes]: number[] = logits.dims;
    const size = sizes.reduce((product, count) => product * count, 1);
    for (let row = 0; row < rows!; row++)
      all.push(Array.from(logits.data.slice(row * size + from, row * size + Math.min(size, to)), Number));
  }
  return all;
}

const pairOf = (at: number): string => SHORT[(at * 13 + 5) % SHORT.length] ?? '';
const inputOf = (model: Model, text: string, at: number): object => {
  if (model === 'classifier') return { text, text_pair: pairOf(at) };
  if (model === 'reranker') return { query: text, text: pairOf(at) };
  if (model === 'entailment') return { text, labels: expected.labels };
  return { text: model === 'words' ? `<mask> ${text}` : text };
};

/** Compares the outputs of all texts with transformers. */
const CHECKS: Record<Model, (outputs: readonly Output[], texts: string[]) => Promise<void>> = {
  async embedding(outputs, texts) {
    const extract = await pipeline('feature-extraction', 'embedding/1', { dtype: 'fp32' });
    for (let from = 0; from < texts.length; from += TOGETHER) {
      const { data } = await extract(texts.slice(from, from + TOGETHER), { pooling: 'mean', normalize: true });
      for (let row = 0; row < TOGETHER; row++)
        nearAll(outputs[from + row]!.embedding, Array.from(data.slice(32 * row, 32 * row + 32), Number));
    }
  },
  async classifier(outputs, texts) {
    const pairs = texts.map((_, at) => pairOf(at));
    const logits = await logitsOf({ name: 'classifier', auto: AutoModelForSequenceClassification, texts, pairs });
    for (const [at, output] of outputs.entries()) {
      const [negative = 9, neutral = 9, positive = 9] = softmax(logits[at]!);
      nearScores(output, { negative, neutral, positive });
    }
  },
  async toxicity(outputs, texts) {
    const classify = await pipeline('text-classification', 'toxicity/1', OPTIONS);
    const all = (await classify(texts, { top_k: 3 })) as { label: string; score: number }[][];
    for (const [at, output] of outputs.entries())
      nearScores(output, Object.fromEntries(all[at]!.map(({ label, score }) => [label, score])));
  },
  async reranker(outputs, texts) {
    const pairs = texts.map((_, at) => pairOf(at));
    const logits = await logitsOf({ name: 'reranker', auto: AutoModelForSequenceClassification, texts, pairs });
    for (const [at, { score }] of outputs.entries()) near(score, sigmoid(logits[at]![0]!));
  },
  async entailment(outputs, texts) {
    const logits = await Promise.all(
      expected.labels.map((label) =>
        logitsOf({
          name: 'entailment',
          auto: AutoModelForSequenceClassification,
          texts,
          pairs: texts.map(() => `This example is ${label}.`),
        }),
      ),
    );
    for (const [at, output] of outputs.entries()) {
      const scores = softmax(logits.map((ofLabel) => ofLabel[at]![2]!));
      nearScores(output, Object.fromEntries(expected.labels.map((label, place) => [label, scores[place]!])));
    }
  },
  async entities(outputs, texts) {
    const logits = await logitsOf({ name: 'entities', auto: AutoModelForTokenClassification, texts });
    for (const [at, { entities, tokens }] of outputs.entries()) {
      // Each entity has the mean of the best scores of its tokens. expected.json has the places.
      const best = Array.from({ length: tokens }, (_, token) =>
        Math.max(...softmax(logits[at]!.slice(5 * token, 5 * token + 5))),
      );
      for (const { start, end, text, score } of entities) {
        expect([...texts[at]!].slice(start, end).join('')).toBe(text);
        const runs = best.flatMap((_, from) =>
          best.slice(from).map((_last, count) => best.slice(from, from + count + 1)),
        );
        const distance = (all: number[]) => Math.abs(all.reduce((sum, one) => sum + one, 0) / all.length - score);
        expect(Math.min(...runs.map(distance))).toBeLessThan(1e-5);
      }
    }
  },
  async words(outputs, texts) {
    const masked = texts.map((text) => `<mask> ${text}`);
    const mask = { from: WORDS, to: 2 * WORDS };
    const logits = await logitsOf({ name: 'words', auto: AutoModelForMaskedLM, texts: masked, ...mask });
    for (const [at, { scores }] of outputs.entries()) {
      // The mask is the token after <s>.
      const best = softmax(logits[at]!).sort((a, b) => b - a);
      nearAll(
        scores.map(({ score }) => score),
        best.slice(0, 5),
      );
    }
  },
};
/** The vocabulary of the model `words`. */
const WORDS = 900;

describe.each(MODELS)('%s', (model) => {
  test('has its task from config.json, and its rows are batched', async () => {
    const { body } = await millrace.request(`/v1/models/${model}`);
    expect(body.task).toBe(TASKS[model]);
    const version = await millrace.request(`/v1/models/${model}/versions/1`);
    expect(version.body).toMatchObject({ task: TASKS[model], row_independent: true, deterministic: true });
  });

  test('1,000 texts have the outputs of transformers, as misses and as hits', { timeout: 300_000 }, async () => {
    const texts = textsOf(model);
    const inputs = texts.map((text, at) => inputOf(model, text, at));
    const outputs = await predict(model, inputs, /fwd=miss/);
    await untilCached(millrace, model, { inputs });
    expect(await predict(model, inputs, /hit/)).toEqual(outputs);
    expect(outputs.filter(({ truncated }) => truncated)).toEqual([]);
    await CHECKS[model](outputs, texts);
  });

  test('64 clients at once have the same outputs', { timeout: 180_000 }, async () => {
    const inputs = textsOf(model)
      .slice(0, 64)
      .map((text, at) => inputOf(model, text, at));
    const stored = await predict(model, inputs, /hit/);
    const headers = { prefer: 'wait=60', 'cache-control': 'no-cache' };
    const responses = await Promise.all(inputs.map((input) => millrace.predict(model, { input }, headers)));
    for (const [at, { status, body }] of responses.entries()) {
      expect(status).toBe(200);
      const { embedding = [], scores = [], ...rest }: Partial<Output> = body.output;
      const { embedding: same = [], scores: others = [], ...wanted }: Partial<Output> = stored[at] ?? {};
      nearAll(embedding, same);
      nearAll(
        scores.map(({ score }) => score),
        others.map(({ score }) => score),
      );
      expect([rest.tokens, rest.truncated, rest.label]).toEqual([wanted.tokens, wanted.truncated, wanted.label]);
    }
  });
});

describe('as transformers for Python, with truncated and odd texts', () => {
  const counts = ({ tokens, truncated }: Counts) => ({ tokens, truncated });
  const texts = expected.texts.map((text) => ({ text }));

  test('embeddings', async () => {
    const outputs = await predict('embedding', texts, /fwd/);
    for (const [at, wanted] of expected.models.embedding.entries()) {
      expect(counts(outputs[at]!)).toEqual(counts(wanted));
      nearAll(outputs[at]!.embedding, wanted.embedding);
    }
  });

  test.each([
    ['classifier', expected.pairs.map(([text, text_pair]) => ({ text, text_pair }))],
    ['toxicity', texts],
    ['entailment', texts.map(({ text }) => ({ text, labels: expected.labels }))],
  ] as const)('labels of %s', async (model, inputs) => {
    const outputs = await predict(model, inputs, /fwd/);
    for (const [at, wanted] of expected.models[model].entries()) {
      expect(counts(outputs[at]!)).toEqual(counts(wanted));
      nearScores(outputs[at]!, wanted.scores);
    }
  });

  test("several labels can fit, and the template is the caller's", async () => {
    const hypothesis_template = 'This example is {}.';
    const inputs = texts.map(({ text }) => ({ text, labels: expected.labels, multi_label: true, hypothesis_template }));
    const outputs = await predict('entailment', inputs, /fwd/);
    for (const [at, wanted] of expected.models.entailment.entries()) nearScores(outputs[at]!, wanted.each);
  });

  test('ranks', async () => {
    const outputs = await predict(
      'reranker',
      expected.pairs.map(([query, text]) => ({ query, text })),
      /fwd/,
    );
    for (const [at, wanted] of expected.models.reranker.entries()) {
      expect(counts(outputs[at]!)).toEqual(counts(wanted));
      near(outputs[at]!.score, wanted.scores.LABEL_0!);
    }
  });

  test('entities with their places', async () => {
    const outputs = await predict('entities', texts, /fwd/);
    for (const [at, wanted] of expected.models.entities.entries()) {
      const plain = ({ label, start, end, text }: Entity) => ({ label, start, end, text });
      const { entities } = outputs[at]!;
      expect([texts[at], ...entities.map(plain)]).toEqual([texts[at], ...wanted.entities.map(plain)]);
      expect(counts(outputs[at]!)).toEqual(counts(wanted));
      nearAll(
        entities.map(({ score }) => score),
        wanted.entities.map(({ score }) => score),
      );
    }
  });

  test('words for a mask', async () => {
    const outputs = await predict(
      'words',
      expected.masked.map((text) => ({ text })),
      /fwd/,
    );
    for (const [at, wanted] of expected.models.words.entries()) {
      expect(counts(outputs[at]!)).toEqual(counts(wanted));
      nearAll(
        outputs[at]!.scores.map(({ score }) => score),
        wanted.scores,
      );
      expect(outputs[at]!.label).toBe(wanted.labels[0]);
    }
  });
});
