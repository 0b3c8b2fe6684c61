/** Aborted calls: before, during and after the request, and with a server that does not respond. */
import { AbortError, Millrace } from '@millrace/client';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type HttpProxy, startHttpProxy } from '../support/http-proxy.ts';
import { holdWorker } from '../support/slow-work.ts';
import { useSmallModels } from '../support/small-models.ts';

const millrace = useSmallModels(['echo', 'slow'], { INFERENCE_CONCURRENCY: '1' });
let proxy: HttpProxy;
let client: Millrace;
beforeAll(async () => {
  proxy = await startHttpProxy(millrace.url);
  client = new Millrace({ baseUrl: proxy.url });
});
afterAll(() => proxy.close());

const isSubmit = (head: string) => head.startsWith('POST /v1/models/slow/predictions ');

/** The predictions of a test. */
async function predictionsOf(of: string) {
  const predictions = [];
  for await (const { id, status } of client.list({ metadata: { of } })) predictions.push({ id, status });
  return predictions;
}

const errorOf = (call: Promise<unknown>) =>
  call.then(
    () => {
      throw new Error('The call resolved.');
    },
    (error: unknown) => {
      expect(error).toBeInstanceOf(AbortError);
      return error as AbortError;
    },
  );

describe('an abort', { timeout: 180_000 }, () => {
  test('before the call sends nothing', async () => {
    proxy.decide(() => undefined);
    const before = proxy.requests.length;
    const reason = new Error('The page was closed.');
    const error = await errorOf(client.run('slow', { x: [1] }, { signal: AbortSignal.abort(reason) }));
    expect(error).toMatchObject({ name: 'AbortError', code: 'aborted', cause: reason });
    expect(error.predictionId).toBeUndefined();
    expect(await error.canceled).toBe(null);
    expect(proxy.requests.length).toBe(before);
  });

  test('during the submission, before a response, cancels the prediction of the key and has its id', async () => {
    const held = await holdWorker(millrace);
    const controller = new AbortController();
    // The server has the request: its response waits for the prediction.
    proxy.decide((head) => {
      if (isSubmit(head)) setTimeout(() => controller.abort(), 200);
      return undefined;
    });
    const error = await errorOf(
      client.run('slow', { x: [200002] }, { signal: controller.signal, metadata: { of: 'early' } }),
    );
    const canceled = await error.canceled;
    expect(canceled).toMatchObject({ status: 'canceled', metadata: { of: 'early' } });
    expect(error.predictionId).toBe(canceled!.id);
    await held.release();
    expect(await predictionsOf('early')).toEqual([{ id: canceled!.id, status: 'canceled' }]);
  });

  test('while the request is still on its way cancels the prediction when the request has arrived', async () => {
    const held = await holdWorker(millrace);
    const controller = new AbortController();
    let arrive = () => {};
    const hold = new Promise<void>((resolve) => {
      arrive = resolve;
    });
    let cancels = 0;
    proxy.decide((head) => {
      if (isSubmit(head)) {
        queueMicrotask(() => controller.abort());
        return { hold };
      }
      // The server has not seen the key at the first cancel.
      if (head.startsWith('POST /v1/predictions/cancel ')) {
        cancels += 1;
        if (cancels === 2) arrive();
      }
      return undefined;
    });
    const error = await errorOf(
      client.submit('slow', { x: [200003] }, { signal: controller.signal, metadata: { of: 'late' } }),
    );
    expect(await error.canceled).toMatchObject({ status: 'canceled', metadata: { of: 'late' } });
    await held.release();
    expect(await predictionsOf('late')).toMatchObject([{ status: 'canceled' }]);
  });

  test('while the call follows the prediction cancels the prediction', async () => {
    const held = await holdWorker(millrace);
    const controller = new AbortController();
    proxy.decide((head) => {
      // The first response has arrived: the call reads the events.
      if (head.includes('/events ')) setTimeout(() => controller.abort(), 100);
      return undefined;
    });
    const call = client.run('slow', { x: [200004] }, { signal: controller.signal, onUpdate: () => {} });
    const error = await errorOf(call);
    expect(await error.canceled).toMatchObject({ id: error.predictionId, status: 'canceled' });
    await held.release();
  });

  test('of a call that does not cancel leaves the prediction alone', async () => {
    const held = await holdWorker(millrace);
    proxy.decide(() => undefined);
    const handle = await client.submit('slow', { x: [200005] });
    const waiting = handle.wait({ signal: AbortSignal.timeout(100), cancelOnAbort: false });
    const error = await errorOf(waiting);
    expect(error.predictionId).toBe(handle.id);
    expect(await error.canceled).toBe(null);
    const controller = new AbortController();
    const reading = client.events(handle.id, { signal: controller.signal });
    await reading.next();
    controller.abort();
    await errorOf(reading.next());
    await held.release();
    // Nothing has canceled the prediction.
    await handle.wait();
  });

  test('after the end changes nothing', async () => {
    proxy.decide(() => undefined);
    const controller = new AbortController();
    const handle = await client.submit('echo', { x: [6, 6] }, { signal: controller.signal });
    await handle.wait({ signal: controller.signal });
    const before = proxy.requests.length;
    controller.abort();
    expect(proxy.requests.length).toBe(before);
    expect((await client.get(handle.id)).status).toBe('succeeded');
  });

  test('rejects although the server does not respond, and sends no further attempt of the submission', async () => {
    const never = new Promise(() => {});
    proxy.decide(() => ({ hold: never }));
    const before = proxy.requests.length;
    const error = await errorOf(client.run('echo', { x: [7, 7] }, { signal: AbortSignal.timeout(50) }));
    expect(error.idempotencyKey).toMatch(/^[0-9a-f]{32}$/);
    expect(error.cause).toMatchObject({ name: 'TimeoutError' });
    expect(proxy.requests.slice(before)).toEqual(['POST /v1/models/echo/predictions', 'POST /v1/predictions/cancel']);
  });

  test('between two attempts sends no further attempt, and cancels what a lost attempt has created', async () => {
    const held = await holdWorker(millrace);
    const controller = new AbortController();
    let submissions = 0;
    proxy.decide((head) => {
      if (!isSubmit(head)) return undefined;
      submissions += 1;
      // The server has created the prediction, and its response is lost.
      setTimeout(() => controller.abort(), 150);
      return { cutAfter: 0 };
    });
    const error = await errorOf(
      client.submit('slow', { x: [200008] }, { signal: controller.signal, metadata: { of: 'lost' } }),
    );
    expect(await error.canceled).toMatchObject({ status: 'canceled' });
    await held.release();
    expect(submissions).toBe(1);
    expect(await predictionsOf('lost')).toMatchObject([{ status: 'canceled' }]);
  });

  test('at any moment leaves no prediction that continues', async () => {
    const held = await holdWorker(millrace);
    proxy.decide(() => undefined);
    await Promise.all(
      Array.from({ length: 40 }, async (_, n) => {
        const options = { signal: AbortSignal.timeout(Math.floor(Math.random() * 150)), metadata: { of: 'any' } };
        const call =
          n % 2 === 0
            ? client.run('slow', { x: [100_000 + n] }, options)
            : client.submit('slow', { x: [100_000 + n] }, options);
        const error = await call.catch((thrown: unknown) => thrown);
        // A submission can end before its abort.
        if (error instanceof AbortError) await error.canceled;
        else await client.cancel((error as Awaited<ReturnType<typeof client.submit>>).id);
      }),
    );
    const statuses = new Set((await predictionsOf('any')).map(({ status }) => status));
    await held.release();
    expect([...statuses]).toEqual(['canceled']);
  });
});
