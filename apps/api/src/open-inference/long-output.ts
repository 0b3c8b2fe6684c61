/**
 * Renders inference responses whose outputs are long. The protocol needs a parsed output, and the time to parse grows with the
 * output. Therefore a thread parses and renders, and the event loop of the process stays free.
 */
import { once } from 'node:events';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import type { LongText } from '@millrace/shared/predictions/long-text';
import { siblingModule } from '@millrace/shared/process/sibling-module';
import type { InferReply, RenderedInfer, RenderedVersion } from './response.ts';

/** Bytes that one turn copies for the thread. */
const TURN_BYTES = 4 * 1_048_576;

export interface LongRender {
  version: RenderedVersion;
  infer: RenderedInfer;
  /** JSON text of an output or of a prediction. */
  json: LongText;
  /** Whether `json` is a whole prediction, with the output in its member `output`. */
  isPrediction: boolean;
}

/** The input of the thread. */
export type ThreadRender = Omit<LongRender, 'json'> & { pieces: Uint8Array[] };

let last: Promise<unknown> = Promise.resolve();

/** Renders one response at a time, because each takes several times the memory of its output. Rejects if rendering fails. */
export function renderLong(render: LongRender): Promise<InferReply> {
  const reply = last.then(() => inThread(render));
  last = reply.catch(() => {});
  return reply;
}

async function inThread({ json, ...rest }: LongRender): Promise<InferReply> {
  const pieces: Uint8Array<ArrayBuffer>[] = [];
  let copied = 0;
  for (const piece of json.pieces) {
    // A piece can be a view of shared memory, which must not be transferred: the thread gets a copy.
    pieces.push(new Uint8Array(piece));
    copied += piece.length;
    if (copied >= TURN_BYTES) {
      copied = 0;
      await nextTurn();
    }
  }
  const workerData: ThreadRender = { ...rest, pieces };
  const worker = new Worker(siblingModule(import.meta.url, './render-thread'), {
    workerData,
    transferList: pieces.map(({ buffer }) => buffer),
  });
  // `once` rejects with the error of the thread.
  const [message] = await once(worker, 'message');
  const { body, headerLength }: { body: Uint8Array; headerLength?: number } = message;
  return { body: Buffer.from(body.buffer, body.byteOffset, body.byteLength), headerLength };
}
