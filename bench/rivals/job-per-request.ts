/**
 * The usual queue: Fastify and BullMQ with one job per request, and one QueueEvents with a map of the waiting requests.
 * The API chooses the job ids, so that a waiter exists before its job can end. job-worker.ts is the worker.
 */
import { randomUUID } from 'node:crypto';
import { Queue, QueueEvents } from 'bullmq';
import Fastify from 'fastify';
import { type Output, openCanonicalizer, type Pair, predictionsPath } from './model.ts';
import { Body, ResponseBody } from './schemas.ts';
import { serve } from './serve.ts';

interface Waiter {
  resolve(output: Output): void;
  reject(error: Error): void;
}

const url = process.env.REDIS_URL ?? 'redis://127.0.0.1:6379';
const model = await openCanonicalizer();
const queue = new Queue('predictions', {
  connection: { url },
  defaultJobOptions: { removeOnComplete: true, removeOnFail: 1_000 },
  // The default is 10,000. Each job has four events, so with 10,000 jobs in progress a fifth of the completions were
  // trimmed before the API read them.
  streams: { events: { maxLen: 200_000 } },
});
const events = new QueueEvents('predictions', { connection: { url } });
const waiters = new Map<string, Waiter>();

function take(jobId: string): Waiter | undefined {
  const waiter = waiters.get(jobId);
  waiters.delete(jobId);
  return waiter;
}

// BullMQ's type says text, but the value is already parsed.
events.on('completed', ({ jobId, returnvalue }) => take(jobId)?.resolve(returnvalue as unknown as Output));
events.on('failed', ({ jobId, failedReason }) => take(jobId)?.reject(new Error(failedReason)));
await Promise.all([events.waitUntilReady(), queue.waitUntilReady()]);

const app = Fastify();
app.post<{ Body: { input: Pair } }>(
  predictionsPath,
  { schema: { body: Body, response: { 200: ResponseBody } } },
  async ({ body }) => {
    const row = await model.canonicalize(body.input);
    const jobId = `p-${randomUUID()}`;
    const response = new Promise<Output>((resolve, reject) => {
      waiters.set(jobId, { resolve, reject });
    });
    await queue.add('predict', row, { jobId });
    return { output: await response };
  },
);
await serve(app, async () => {
  await events.close();
  await queue.close();
});
