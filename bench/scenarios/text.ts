/** The scenario `text`: texts to two sentence encoders, compared with `@huggingface/transformers` in a request handler. */
import { cp, mkdtemp, readFile } from 'node:fs/promises';
import path from 'node:path';
import type { Scenario } from '../bench.ts';
import { MINI_LM, writeEncoder } from '../encoder-model.ts';
import type { Requests } from '../requests.ts';
import { atLeast, atMost, quotients } from '../results.ts';
import { type NamedLoad, runLoads } from '../rounds.ts';
import { waits } from './tensor.ts';

const FILES = path.resolve(import.meta.dirname, '../../tests/models/text-models');
/** Two layers, 32 wide: a run takes less time than the rest of a request, so this model measures the rest. */
const TINY = 'embedding';
/** The sizes of all-MiniLM-L6-v2: a run takes most of the time, as in the encoders that people serve. */
const ENCODER = 'encoder';
/** More texts than a round sends in parallel. `no-cache` makes each request a miss. */
const TEXTS = 4_096;
const WORDS_MAX = 24;

/** Texts of 1 to 24 words. The number at the start makes each text different. */
function textsOf(words: readonly string[]): string[] {
  return Array.from({ length: TEXTS }, (_, at) => {
    const count = 1 + ((at * 7) % WORDS_MAX);
    const chosen = Array.from({ length: count }, (_word, place) => words[(at * 31 + place * 17) % words.length]);
    return `${at} ${chosen.join(' ')}`;
  });
}

function requestsOf(model: string, texts: readonly string[]): Requests {
  return {
    path: `/v1/models/${model}/predictions`,
    headers: { ...waits, 'cache-control': 'no-cache' },
    bodies: texts.map((text) => JSON.stringify({ input: { text } })),
    fault: async (_index, { body }) => {
      const { output }: { output?: { embedding?: number[] } } = JSON.parse(body.toString('utf8'));
      const length = Math.hypot(...(output?.embedding ?? []));
      return Math.abs(length - 1) < 1e-4 ? undefined : `the embedding has the length ${length} and not 1`;
    },
  };
}

export const text: Scenario = {
  name: 'text',
  about:
    'embeddings of 1 to 24 words, all misses: 64 clients, two models, against transformers.js in a Fastify handler',
  run: async (bench) => {
    const modelsDir = await mkdtemp(path.join(bench.stage.dir, 'models-'));
    const tiny = path.join(FILES, 'models', TINY);
    await cp(tiny, path.join(modelsDir, TINY), { recursive: true });
    await writeEncoder(path.join(modelsDir, ENCODER, '1'), path.join(tiny, '1'), MINI_LM);
    const sentences: Record<string, string[]> = JSON.parse(await readFile(path.join(FILES, 'sentences.json'), 'utf8'));
    const texts = textsOf(
      Object.values(sentences).flatMap((group) => group.flatMap((sentence) => sentence.split(' '))),
    );
    const options = { modelsDir, env: { TEXT_MODELS: [TINY, ENCODER].join(',') } };
    const names = bench.rivals(['direct', 'before', 'millrace']);
    const rivals = await Promise.all(names.map((name) => bench.stage.start(name, options)));
    const loads = [TINY, ENCODER].flatMap((model) => {
      const load = { connections: 64, requests: requestsOf(model, texts), sample: 'beside' } as const;
      return rivals.map((rival): NamedLoad => ({ ...load, label: `${rival.name} ${model}`, rival }));
    });
    const figures = await runLoads(bench, loads);
    const pairs = [TINY, ENCODER].flatMap((model) =>
      ['direct', 'before'].map((rival) => [`millrace ${model}`, `${rival} ${model}`] as const),
    );
    const ratios = quotients(figures, 'rps', pairs);
    return {
      name: 'text',
      rivals: figures,
      ratios,
      goals: [TINY, ENCODER].flatMap((model) => {
        const ratio = `millrace ${model}/direct ${model}`;
        const delay = figures[`millrace ${model}`]?.api_loop_p99_ms ?? Number.NaN;
        return [
          atLeast(ratio, ratios[ratio] ?? Number.NaN, 3),
          atMost(`event loop of the API, ${model}, p99, ms`, delay, 20),
        ];
      }),
    };
  },
};
