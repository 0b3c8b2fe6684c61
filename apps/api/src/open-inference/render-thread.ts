/** The thread of long-output.ts: parses one output, renders the response, and ends. */
import { parentPort, workerData } from 'node:worker_threads';
import type { ThreadRender } from './long-output.ts';
import { renderInfer } from './response.ts';

const { version, infer, pieces, isPrediction } = workerData as ThreadRender;
const parsed: unknown = JSON.parse(Buffer.concat(pieces).toString());
const output = isPrediction ? (parsed as { output: unknown }).output : parsed;
const { body, headerLength } = renderInfer(version, infer, output);
const bytes = new Uint8Array(Buffer.from(body));
parentPort?.postMessage({ body: bytes, headerLength }, [bytes.buffer]);
