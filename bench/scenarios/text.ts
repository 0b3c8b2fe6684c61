import { cp, mkdtemp, readFile } from 'node:fs/promises';
import path from 'node:path';
import type { Scenario } from '../bench.ts';
import type { Requests } from '../requests.ts';
import { atLeast, atMost, quotients } from '../results.ts';
import { runRounds } from '../rounds.ts';
import { waits } from './tensor.ts';

const MODEL = 'embedding';
const FILES = path.resolve(import.meta.dirname, '../../tests/models/text-models');
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

function requestsOf(texts: readonly string[]): Requests {
  return {
    path: `/v1/models/${MODEL}/predictions`,
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
  about: 'embeddings of 1 to 24 words, all misses: 64 clients, against transformers.js in a Fastify handler',
  run: async (bench) => {
    const modelsDir = await mkdtemp(path.join(bench.stage.dir, 'models-'));
    await cp(path.join(FILES, 'models', MODEL), path.join(modelsDir, MODEL), { recursive: true });
    const sentences: Record<string, string[]> = JSON.parse(await readFile(path.join(FILES, 'sentences.json'), 'utf8'));
    const words = Object.values(sentences).flatMap((group) => group.flatMap((sentence) => sentence.split(' ')));
    const options = { modelsDir, env: { TEXT_MODEL: MODEL } };
    const names = bench.rivals(['direct', 'before', 'millrace']);
    const rivals = await Promise.all(names.map((name) => bench.stage.start(name, options)));
    const requests = requestsOf(textsOf(words));
    const figures = await runRounds(bench, rivals, { connections: 64, requests, sample: 'beside' });
    const ratios = quotients(figures, 'rps', [
      ['millrace', 'direct'],
      ['millrace', 'before'],
    ]);
    return {
      name: 'text',
      rivals: figures,
      ratios,
      goals: [
        atLeast('millrace/direct', ratios['millrace/direct'] ?? Number.NaN, 3),
        atMost('event loop of the API, p99, ms', figures.millrace?.api_loop_p99_ms ?? Number.NaN, 20),
      ],
    };
  },
};
