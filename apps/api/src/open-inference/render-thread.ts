/** The thread of long-output.ts: parses one output, renders the response, and ends. */
import { parentPort, workerData } from 'node:worker_threads';
import type { ThreadRender } from './long-output.ts';
import { renderInfer } from './response.ts';

const { version, infer, pieces, isPrediction }: ThreadRender = workerData;
const parsed = JSON.parse(Buffer.concat(pieces).toString());
const output: unknown = isPrediction ? parsed.output : parsed;
const { body, headerLength } = renderInfer(version, infer, output);
const bytes = new Uint8Array(Buffer.from(body));
parentPort?.postMessage({ body: bytes, headerLength }, [bytes.buffer]);
