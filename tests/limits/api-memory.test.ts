/** Tests that 64 clients with tensors of 4 MiB each neither fill the memory of an API process nor end the process. */
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import http from 'node:http';
import { afterAll, expect, test } from 'vitest';
import { useSmallModels } from '../support/small-models.ts';
import { startApiProcess, type WorkerProcess } from '../support/worker-process.ts';

const millrace = useSmallModels(['peak'], { STORE_TIMEOUT_MS: '30000' });
const started: WorkerProcess[] = [];
afterAll(async () => {
  await Promise.all(started.map((api) => api.kill()));
});

const CLIENTS = 64;
const TENSOR_BYTES = 4_194_304;
const HEAD = Buffer.from(
  JSON.stringify({
    inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 1_024, 1_024], parameters: { binary_data_size: TENSOR_BYTES } }],
  }),
);
const ZEROS = Buffer.alloc(TENSOR_BYTES - 4);
/** With the default of BODY_MEMORY, 128 MiB, so many of the bodies fit. */
const FIT = 31;
/** The Open Inference Protocol has 503 where /v1 has 429: see statusOf in open-inference/errors.ts. */
const REFUSED = 503;
/** The collector decides when the copies of the Redis client end. */
const LIMIT_BYTES = 600 * 1_048_576;

interface Reply {
  status: number;
  /** Whether the output is the largest number of the tensor, or the error names the memory for bodies. */
  right: boolean;
}

let used = 0;

/** Sends a tensor that no other request has. The clients share the memory of the zeros. */
async function send(api: WorkerProcess, agent: http.Agent): Promise<Reply> {
  used += 1;
  const first = Buffer.alloc(4);
  first.writeFloatLE(used);
  const request = http.request(`${api.url}/v2/models/peak/infer`, {
    method: 'POST',
    agent,
    headers: { 'inference-header-content-length': HEAD.length, 'content-length': HEAD.length + TENSOR_BYTES },
  });
  // A refused client still sends the rest of its body when its connection is closed at the end of the test.
  request.on('error', () => {});
  const largest = used;
  for (const piece of [HEAD, first]) request.write(piece);
  request.end(ZEROS);
  const [response] = (await once(request, 'response')) as [http.IncomingMessage];
  const pieces: Buffer[] = [];
  for await (const piece of response) pieces.push(piece as Buffer);
  const { outputs, error } = JSON.parse(Buffer.concat(pieces).toString()) as {
    outputs?: { data: number[] }[];
    error?: string;
  };
  const right = outputs?.[0]?.data[0] === largest || error?.includes('BODY_MEMORY') === true;
  return { status: response.statusCode ?? 0, right };
}

/** The most resident bytes of a process since its start. */
async function peakBytes(pid: number): Promise<number> {
  const kib = /^VmHWM:\s+(\d+) kB$/m.exec(await readFile(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Number(kib) * 1_024;
}

/** Resolves when so many of the replies are refusals. */
function refusals(replies: readonly Promise<Reply>[], count: number): Promise<void> {
  let refused = 0;
  return new Promise((resolve) => {
    for (const reply of replies)
      void reply.then(({ status }) => {
        if (status === REFUSED) refused += 1;
        if (refused === count) resolve();
      });
  });
}

test('64 clients with 4 MiB each: the API refuses what does not fit, and its memory stays bounded', {
  timeout: 240_000,
}, async () => {
  const api = await startApiProcess(millrace.env);
  started.push(api);
  const agent = new http.Agent({ keepAlive: true, maxSockets: CLIENTS });
  // Every body that fits waits for a worker. Without a worker nobody can read shared memory: the tensors go through Redis.
  await millrace.stopWorkers('stop');
  const all = Array.from({ length: CLIENTS }, () => send(api, agent));
  await refusals(all, CLIENTS - FIT);
  await millrace.startWorker();
  const first = await Promise.all(all);
  expect(first.filter(({ status }) => status === 200).length).toBe(FIT);
  // The memory is free again. Now the tensors go through shared memory.
  const again = await Promise.all(
    Array.from({ length: CLIENTS }, async () => [await send(api, agent), await send(api, agent)]),
  );
  const replies = [...first, ...again.flat()];
  expect(new Set(replies.map(({ status }) => status))).toEqual(new Set([200, REFUSED]));
  expect(replies.filter(({ right }) => !right)).toEqual([]);
  expect((await send(api, agent)).status).toBe(200);
  expect(await peakBytes(api.pid)).toBeLessThan(LIMIT_BYTES);
  agent.destroy();
  await api.stop();
});
