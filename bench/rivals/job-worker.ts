/** The worker of job-per-request: 64 jobs at once, each with one run of the model, in this process. */
import { Worker } from 'bullmq';
import { type Output, openModel, type Row } from './model.ts';

const url = process.env.REDIS_URL ?? 'redis://127.0.0.1:6379';
const model = await openModel();
const worker = new Worker<Row, Output>(
  'predictions',
  async ({ data }) => {
    const [output] = await model.predict([data]);
    if (output === undefined) throw new Error('the model returned no output');
    return output;
  },
  { connection: { url, maxRetriesPerRequest: null }, concurrency: 64 },
);
await worker.waitUntilReady();
process.once('SIGTERM', async () => {
  await worker.close();
  process.exit(0);
});
console.log('ready');
