/** The thread of long-output.ts. Each message has an output: the thread parses the output and renders the response. An error ends the thread. */
import { parentPort } from 'node:worker_threads';
import { outputIn, type ThreadRender } from './long-output.ts';
import { renderInfer } from './response.ts';

parentPort?.on('message', ({ version, infer, pieces, isPrediction }: ThreadRender) => {
  const output = outputIn(Buffer.concat(pieces).toString(), isPrediction);
  const { body, headerLength } = renderInfer(version, infer, output);
  const bytes = new Uint8Array(Buffer.from(body));
  parentPort?.postMessage({ body: bytes, headerLength }, [bytes.buffer]);
});
