/**
 * Renders inference responses whose outputs are long. The protocol needs a parsed output, and the time to parse grows with the
 * output. Therefore a thread parses and renders very long outputs, and the event loop of the process stays free.
 */
import { once } from 'node:events';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import type { LongText } from '@millrace/shared/predictions/long-text';
import { siblingModule } from '@millrace/shared/process/sibling-module';
import { type InferReply, type RenderedInfer, type RenderedVersion, renderInfer } from './response.ts';

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

/** A message to the thread. */
export type ThreadRender = Omit<LongRender, 'json'> & { pieces: Uint8Array[] };

/**
 * A shorter text is parsed and rendered in one turn of the event loop, which takes 5 ms. The start of a thread takes 0.4 s of processor
 * time, and on a busy machine seconds.
 */
const LOOP_BYTES = 524_288;
/** The thread ends when it has rendered nothing for this long. */
const IDLE_MS = 10_000;

let last: Promise<unknown> = Promise.resolve();
let thread: Worker | undefined;
let ending: NodeJS.Timeout | undefined;

/** Renders one response at a time, because each takes several times the memory of its output. Rejects if rendering fails. */
export async function renderLong(render: LongRender): Promise<InferReply> {
  const { json, version, infer, isPrediction } = render;
  if (json.length <= LOOP_BYTES) return renderInfer(version, infer, outputIn(json.toString(), isPrediction));
  const reply = last.then(() => inThread(render));
  last = reply.catch(() => {});
  return reply;
}

/** The parsed output in the JSON text of an output or of a prediction. */
export function outputIn(json: string, isPrediction: boolean): unknown {
  const parsed = JSON.parse(json);
  return isPrediction ? parsed.output : parsed;
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
  const render: ThreadRender = { ...rest, pieces };
  const worker = openThread();
  worker.postMessage(
    render,
    pieces.map(({ buffer }) => buffer),
  );
  try {
    // `once` rejects with the error of the thread.
    const [message] = await once(worker, 'message');
    const { body, headerLength }: { body: Uint8Array; headerLength?: number } = message;
    return { body: Buffer.from(body.buffer, body.byteOffset, body.byteLength), headerLength };
  } catch (error) {
    thread = undefined;
    throw error;
  } finally {
    worker.unref();
    ending = setTimeout(endThread, IDLE_MS).unref();
  }
}

function openThread(): Worker {
  clearTimeout(ending);
  thread ??= startThread();
  thread.ref();
  return thread;
}

function startThread(): Worker {
  const started = new Worker(siblingModule(import.meta.url, './render-thread'));
  // An error between two renders has no other listener, and would end the process.
  started.on('error', () => {
    if (thread === started) thread = undefined;
  });
  return started;
}

/** Called only while no response is being rendered, because a render stops the timer. */
function endThread(): void {
  void thread?.terminate();
  thread = undefined;
}
