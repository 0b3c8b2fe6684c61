import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';
import { type Format, formats } from '../tensors/formats.ts';
import { randomRows, tensorRequests } from '../tensors/requests.ts';
import { type Driver, drive } from './load.ts';

const dims = [166];
const hasWrk = spawnSync('wrk', ['--version']).error === undefined;
const drivers: Driver[] = hasWrk ? ['wrk', 'autocannon'] : ['autocannon'];
const cases = drivers.flatMap((driver) =>
  (['json', 'base64', 'v2-binary'] as const).map((format) => [driver, format] as const),
);

function firstFloat(format: Format, body: Buffer): number {
  if (format === 'v2-binary') return body.readFloatLE(body.length - 4 * 166);
  const { x } = (JSON.parse(body.toString('utf8')) as { input: { x: number[][] & { base64: string } } }).input;
  return format === 'json' ? (x[0]?.[0] ?? Number.NaN) : Buffer.from(x.base64, 'base64').readFloatLE(0);
}

test.each(cases)('%s sends different valid tensors as %s, byte by byte', async (driver, format) => {
  const dir = await mkdtemp(path.join(tmpdir(), 'fresh-'));
  const rows = randomRows(2, 166);
  const requests = tensorRequests(format, { modelsDir: dir, model: 'm', dims, rows, headers: {}, fresh: true });
  const bodies: Buffer[] = [];
  const types = new Set<string | undefined>();
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    types.add(request.headers['content-type']);
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      bodies.push(Buffer.concat(chunks));
      response.end('{}');
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}${requests.path}`;
  const { headers, bodies: sent, fresh } = requests;
  const figures = await drive(driver, { url, connections: 2, seconds: 1, headers, bodies: sent, fresh, dir });
  server.closeAllConnections();
  server.close();
  await rm(dir, { recursive: true });
  expect(figures.failed).toBe(0);
  const firsts = bodies.map((body) => firstFloat(format, body));
  expect(firsts.length).toBeGreaterThanOrEqual(figures.requests);
  expect(firsts.every((float) => Number.isFinite(float) && Math.abs(float) < 2)).toBe(true);
  expect(new Set(bodies.map((body) => body.toString('latin1'))).size).toBe(bodies.length);
  const after = (requests.fresh?.at ?? 0) + 7;
  const tails = new Set(bodies.map((body) => body.subarray(after).toString('latin1')));
  expect([...tails].toSorted()).toEqual(
    sent.map((body) => Buffer.from(body).subarray(after).toString('latin1')).toSorted(),
  );
  expect([...types]).toEqual([formats[format].headers(0)['content-type'] ?? 'application/json']);
});
