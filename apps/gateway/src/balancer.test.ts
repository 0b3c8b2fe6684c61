import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { type Balancer, startBalancer } from './balancer.ts';

const opened: (Server | Balancer)[] = [];
afterEach(async () => {
  for (const one of opened.splice(0)) {
    if ('backends' in one) await one.close(0);
    else {
      one.closeAllConnections();
      await new Promise((resolve) => one.close(resolve));
    }
  }
});

/** An HTTP server on one of the loopback addresses, which answers with that address. */
async function replica(host: string, port = 0): Promise<number> {
  const server = createServer((_request, response) => response.end(host));
  opened.push(server);
  await new Promise<void>((resolve) => server.listen(port, host, resolve));
  return (server.address() as AddressInfo).port;
}

async function balance(port: number, addresses: string[]): Promise<Balancer> {
  const balancer = await startBalancer({
    host: '127.0.0.1',
    port: 0,
    target: { host: 'api', port },
    refreshMs: 60_000,
    connectTimeoutMs: 500,
    resolve: async () => addresses,
    log: () => {},
  });
  opened.push(balancer);
  return balancer;
}

const ask = async (balancer: Balancer): Promise<string> =>
  (await fetch(`http://127.0.0.1:${balancer.port}/`, { headers: { connection: 'close' } })).text();

test('connections at once are spread over the replicas', async () => {
  const port = await replica('127.0.0.1');
  await replica('127.0.0.2', port);
  const balancer = await balance(port, ['127.0.0.1', '127.0.0.2']);
  const answers = await Promise.all(Array.from({ length: 8 }, () => ask(balancer)));
  expect(new Set(answers)).toEqual(new Set(['127.0.0.1', '127.0.0.2']));
});

test('connections one after the other are spread too', async () => {
  const port = await replica('127.0.0.1');
  await replica('127.0.0.2', port);
  const balancer = await balance(port, ['127.0.0.1', '127.0.0.2']);
  const answers: string[] = [];
  for (let n = 0; n < 6; n += 1) answers.push(await ask(balancer));
  expect(answers.filter((answer) => answer === '127.0.0.2')).toHaveLength(3);
});

test('a replica that is gone costs nobody an answer', async () => {
  const port = await replica('127.0.0.1');
  const balancer = await balance(port, ['127.0.0.1', '127.0.0.3']);
  for (let n = 0; n < 4; n += 1) expect(await ask(balancer)).toBe('127.0.0.1');
});

test('with no replica at all the connection is refused, not held', async () => {
  const balancer = await balance(9, []);
  await expect(ask(balancer)).rejects.toThrow();
});
