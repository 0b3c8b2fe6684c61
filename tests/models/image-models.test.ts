/** Unchanged Hugging Face folders with image tasks. The outputs equal the outputs of `@huggingface/transformers` on the same folder. */
import path from 'node:path';
import { env, pipeline, RawImage } from '@huggingface/transformers';
import sharp from 'sharp';
import { describe, expect, test } from 'vitest';
import { useMillrace } from '../support/millrace.ts';
import { untilCached } from '../support/until-cached.ts';

const FOLDER = path.join(import.meta.dirname, 'image-models/models');
const TASKS = {
  vit: 'image-classification',
  convnext: 'image-classification',
  'vit-features': 'image-feature-extraction',
  clip: 'image-feature-extraction',
} as const;
const MODELS = Object.keys(TASKS) as (keyof typeof TASKS)[];
const millrace = useMillrace({ modelsDir: FOLDER, models: MODELS });
const TOLERANCE = 1e-5;

env.allowRemoteModels = false;
env.localModelPath = FOLDER;

/** Images of every format, of one to four channels, and of sizes from one pixel to larger than the model, always the same. */
function makeImages(count: number): Promise<Buffer[]> {
  let state = 12_345;
  const random = () => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
  return Promise.all(
    Array.from({ length: count }, (_, at) => {
      const [width, height] = at === 0 ? [1, 1] : [8 + Math.floor(random() * 90), 8 + Math.floor(random() * 90)];
      const channels = ([1, 3, 4] as const)[at % 3] ?? 3;
      const wave = 10 + random() * 90;
      const data = Buffer.from(
        Array.from(
          { length: width * height * channels },
          (_, place) => 128 + 90 * Math.sin(place / wave) + 30 * random(),
        ),
      );
      const image = sharp(data, { raw: { width, height, channels } });
      const encoded = [image.png(), image.jpeg(), image.webp(), image.gif(), image.tiff()][at % 5] ?? image;
      // An EXIF orientation turns the image.
      return (at % 5 === 1 ? encoded.withMetadata({ orientation: 1 + (at % 8) }) : encoded).toBuffer();
    }),
  );
}

const images = await makeImages(100);
const dataUrl = (bytes: Buffer) => `data:image/png;base64,${bytes.toString('base64')}`;

test.each(Object.entries(TASKS))('the model %s has the task %s', async (model, task) => {
  const { body } = await millrace.request(`/v1/models/${model}/versions/1`);
  expect(body).toMatchObject({ task, row_independent: true, deterministic: true });
});

/** The results of `@huggingface/transformers` for the images. */
async function expectedOf(model: keyof typeof TASKS): Promise<number[][]> {
  const task = TASKS[model];
  const options = { dtype: 'fp32', subfolder: model === 'clip' ? 'onnx' : '' } as const;
  const run = await pipeline(task, `${model}/1`, options);
  const results: number[][] = [];
  for (const image of images) {
    const raw = await RawImage.fromBlob(new Blob([new Uint8Array(image)]));
    const output = await run(raw, task === 'image-classification' ? { top_k: null } : { pool: model !== 'clip' });
    results.push(
      Array.isArray(output)
        ? output.sort((a, b) => a.label.localeCompare(b.label)).map(({ score }) => score)
        : Array.from(output.data as Float32Array),
    );
  }
  await run.dispose();
  return results;
}

interface Output {
  scores?: { label: string; score: number }[];
  embedding?: number[];
}

const numbersOf = ({ scores, embedding = [] }: Output): number[] =>
  scores?.toSorted((a, b) => a.label.localeCompare(b.label)).map(({ score }) => score) ?? embedding;

describe.each(MODELS)('%s', (model) => {
  test('equals transformers on 100 images, for misses and hits, with 64 clients at once', async () => {
    const expected = await expectedOf(model);
    for (const cache of ['miss', 'hit']) {
      if (cache === 'hit')
        for (const image of images) await untilCached(millrace, model, { input: { image: dataUrl(image) } });
      const queue = images.entries();
      const client = async () => {
        for (const [at, image] of queue) {
          const { status, headers, body } = await millrace.predict(
            model,
            { input: { image: dataUrl(image) } },
            { prefer: 'wait=60' },
          );
          expect([at, status, body.status, body.error?.detail]).toEqual([at, 200, 'succeeded', undefined]);
          expect(headers.get('cache-status')).toContain(cache === 'hit' ? 'hit' : 'fwd=miss');
          const numbers = numbersOf(body.output);
          expect(numbers.length).toBe(expected[at]?.length);
          for (const [place, value] of numbers.entries())
            expect(Math.abs(value - (expected[at]?.[place] ?? Number.NaN))).toBeLessThan(TOLERANCE);
        }
      };
      await Promise.all(Array.from({ length: 64 }, client));
    }
    expect(new Set(expected.map((numbers) => numbers.map((value) => value.toFixed(3)).join())).size).toBeGreaterThan(
      50,
    );
  });
});

test('a list of images is one prediction', async () => {
  const inputs = images.slice(0, 10).map((image) => ({ image: dataUrl(image) }));
  const { body } = await millrace.predict('vit', { inputs }, { prefer: 'wait=60', 'cache-control': 'no-cache' });
  expect(body.outputs).toHaveLength(10);
});
