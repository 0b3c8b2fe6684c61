/** A server that stops, dies and returns while a call waits, and a proxy that lets no stream pass. */
import { Millrace } from '@millrace/client';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type HttpProxy, startHttpProxy } from '../support/http-proxy.ts';
import { useSmallModels } from '../support/small-models.ts';
import { startApiProcess, type WorkerProcess } from '../support/worker-process.ts';

const millrace = useSmallModels(['slow'], { INFERENCE_CONCURRENCY: '1' });
let api: WorkerProcess;
let proxy: HttpProxy;
let client: Millrace;
beforeAll(async () => {
  api = await startApiProcess(millrace.env);
  proxy = await startHttpProxy(api.url);
  // The start of a process can take long on a busy machine.
  client = new Millrace({ baseUrl: proxy.url, maxRetries: 12 });
});
afterAll(async () => {
  await proxy.close();
  await api.stop();
});

/** Ends the API process, and starts another process. In between, no process listens. */
async function restart(how: 'stop' | 'kill'): Promise<void> {
  await api[how]();
  api = await startApiProcess(millrace.env);
  proxy.target(Number(new URL(api.url).port));
}

/** The start of two processes on a busy machine. */
const LONG = { timeout: 300_000 };
let runs = 1_500_000;

/** Returns the id of the only prediction of a test, as soon as the end is in the ledger. */
async function recorded(of: string): Promise<string[]> {
  const read = async () => {
    const ids = [];
    for await (const { id } of client.list({ metadata: { of } })) ids.push(id);
    return ids;
  };
  await expect.poll(read).not.toEqual([]);
  const ids = await read();
  expect(ids).toHaveLength(1);
  return ids;
}

test.each(['stop', 'kill'] as const)('run resolves although the API restarts in the middle (%s)', LONG, async (how) => {
  runs += 1;
  let restarted: Promise<void> | undefined;
  const states: string[] = [];
  const output = await client.run(
    'slow',
    { x: [runs] },
    {
      metadata: { of: how },
      onUpdate: ({ id, status }) => {
        states.push(`${id} ${status}`);
        if (status === 'running') restarted ??= restart(how);
      },
    },
  );
  await restarted;
  expect(restarted).toBeDefined();
  expect(output).toEqual({ y: { dtype: 'int64', shape: [1], data: [runs] } });
  const ids = await recorded(how);
  expect(states.at(-1)).toBe(`${ids[0]} succeeded`);
});

test('run resolves although the API dies before its first response', LONG, async () => {
  runs += 1;
  const x = [runs];
  let restarted: Promise<void> | undefined;
  proxy.decide((head) => {
    if (head.startsWith('POST /v1/models/slow/predictions ')) restarted ??= restart('kill');
    return undefined;
  });
  const output = await client.run('slow', { x }, { metadata: { of: 'first' } });
  await restarted;
  expect(output).toEqual({ y: { dtype: 'int64', shape: [1], data: x } });
  await recorded('first');
});

test('a call that waits without any response ends after maxOutageMs, with the id of the prediction', async () => {
  runs += 1;
  const impatient = new Millrace({ baseUrl: proxy.url, maxOutageMs: 500 });
  proxy.decide(() => undefined);
  const handle = await impatient.submit('slow', { x: [runs] });
  proxy.decide(() => ({ refuse: true }));
  const failed = handle.wait();
  await expect(failed).rejects.toMatchObject({ code: 'connection_failed', predictionId: handle.id, retryable: true });
  proxy.decide(() => undefined);
  await handle.wait();
});

test('run polls where no stream of events arrives', async () => {
  runs += 1;
  const paths: string[] = [];
  const polling = new Millrace({
    baseUrl: proxy.url,
    fetch: async (url, init) => {
      const { pathname, search } = new URL(String(url));
      paths.push(pathname.replace(/pred_\w+/, 'ID') + search);
      // As a proxy that replaces responses of other types.
      if (pathname.endsWith('/events')) return Response.json({ message: 'Streams are not allowed.' });
      return fetch(url, init);
    },
  });
  const handle = await polling.submit('slow', { x: [runs] });
  await handle.wait();
  expect(paths).toContain('/v1/predictions/ID?wait=20');
  expect(paths.filter((path) => path.endsWith('/events')).length).toBeLessThanOrEqual(2);
});
