import { LongText } from '@millrace/shared/predictions/long-text';
import { afterAll, beforeEach, expect, test } from 'vitest';
import { renderLong } from './long-output.ts';
import { renderInfer } from './response.ts';

const version = { model: 'm', version: '1', handlerDigest: null, outputNames: ['y'] };
const infer = { id: undefined, outputs: undefined, binary: true };

let threads = 0;
const count = (): void => {
  threads += 1;
};
process.on('worker', count);
afterAll(() => process.off('worker', count));
beforeEach(() => {
  threads = 0;
});

function tensorText(count: number): string {
  const data = Array.from(Float32Array.from({ length: count }, (_, at) => at + 1 / 3));
  return JSON.stringify({ y: { dtype: 'float32', shape: [1, count], data } });
}

/** The text in two pieces. */
const inPieces = (text: string): LongText => {
  const bytes = Buffer.from(text);
  return new LongText([bytes.subarray(0, 1_000), bytes.subarray(1_000)]);
};

const render = (text: string, isPrediction = false) =>
  renderLong({ version, infer, json: inPieces(text), isPrediction });

test('an output of 90 KB is rendered without a thread', async () => {
  const text = tensorText(22_500);
  expect(await render(text)).toEqual(renderInfer(version, infer, JSON.parse(text)));
  expect(await render(`{"id":"a","output":${text}}`, true)).toEqual(renderInfer(version, infer, JSON.parse(text)));
  expect(threads).toBe(0);
});

test('longer outputs are rendered in one thread, in their order, and an error ends the thread', async () => {
  const [first, second] = [tensorText(60_000), tensorText(61_000)];
  const broken = 'x'.repeat(600_000);
  const results = await Promise.allSettled([first, second, broken, first].map((text) => render(text)));
  expect(results.map((result) => (result.status === 'fulfilled' ? result.value : 'rejected'))).toEqual([
    renderInfer(version, infer, JSON.parse(first)),
    renderInfer(version, infer, JSON.parse(second)),
    'rejected',
    renderInfer(version, infer, JSON.parse(first)),
  ]);
  expect(threads).toBe(2);
});
