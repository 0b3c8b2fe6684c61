import type { Worker } from 'node:worker_threads';
import { LongText } from '@millrace/shared/predictions/long-text';
import { afterAll, beforeEach, expect, test } from 'vitest';
import { renderLong } from './long-output.ts';
import { renderInfer } from './response.ts';

const version = { model: 'm', version: '1', handlerDigest: null, outputNames: ['y'] };
const infer = { id: undefined, outputs: undefined, binary: true };

let threads = 0;
let thread: Worker | undefined;
const count = (started: Worker): void => {
  threads += 1;
  thread = started;
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

test('an error of the thread between two outputs ends the thread only', async () => {
  const text = tensorText(60_000);
  await render(text);
  const idle = thread;
  if (idle === undefined) throw new Error('no thread has started');
  // `once` of node:events also listens to errors, and this test must not.
  const ended = new Promise((resolve) => idle.once('exit', resolve));
  idle.postMessage(null);
  expect(await ended).toBe(1);
  expect(await render(text)).toEqual(renderInfer(version, infer, JSON.parse(text)));
  expect(thread).not.toBe(idle);
});
