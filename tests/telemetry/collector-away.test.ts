/** A collector that takes connections and never responds, and settings that are not valid. */
import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, expect, test } from 'vitest';
import { useSmallModels } from '../support/small-models.ts';
import { startApiProcess, startWorkerProcess } from '../support/worker-process.ts';

let requests = 0;
const silent = http.createServer(() => {
  requests += 1;
});
silent.listen(0, '127.0.0.1');
await once(silent, 'listening');
const { port } = silent.address() as AddressInfo;
afterAll(() => {
  silent.closeAllConnections();
  silent.close();
});

const OTEL = { OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}`, OTEL_BSP_SCHEDULE_DELAY: '20' };
const millrace = useSmallModels(['echo'], OTEL);

test('predictions end while the collector is silent, and the processes stop', async () => {
  const api = await startApiProcess(millrace.env);
  const send = async (x: number) => {
    const response = await fetch(`${api.url}/v1/models/echo/predictions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', prefer: 'wait=30' },
      body: JSON.stringify({ input: { x: [x, 1] } }),
    });
    return ((await response.json()) as { status: string }).status;
  };
  for (let x = 0; x < 20; x += 1) expect(await send(x)).toBe('succeeded');
  await expect.poll(() => requests).toBeGreaterThan(0);
  expect(await send(20)).toBe('succeeded');
  expect(await api.stop()).toBe(0);
}, 180_000);

test('a process with a protocol that Millrace does not have does not start, and says which it has', async () => {
  const env = { ...millrace.env, OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' };
  const refusal = /ended with 1:\nOTEL_EXPORTER_OTLP_PROTOCOL is 'grpc'.*4318/;
  await Promise.all([
    expect(startApiProcess(env)).rejects.toThrow(refusal),
    expect(startWorkerProcess(env)).rejects.toThrow(refusal),
  ]);
}, 180_000);
