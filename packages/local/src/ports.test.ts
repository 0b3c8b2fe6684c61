import { once } from 'node:events';
import { createServer } from 'node:net';
import { expect, test } from 'vitest';
import { withFreePorts } from './process/ports.ts';

test('when another program has taken a port meanwhile, start is called again with other ports', async () => {
  const other = createServer();
  const tried: number[][] = [];
  const served = await withFreePorts(2, async (ports) => {
    tried.push(ports);
    const [port] = ports;
    if (tried.length === 1) await once(other.listen(port, '127.0.0.1'), 'listening');
    const server = createServer().listen(port, '127.0.0.1');
    // Rejects with the server's error.
    await once(server, 'listening');
    return server;
  });
  expect(tried).toHaveLength(2);
  served.close();
  other.close();
});

test('any other failure is not retried', async () => {
  let calls = 0;
  const failing = withFreePorts(1, async () => {
    calls += 1;
    throw new Error('redis-server ended while starting: no memory');
  });
  await expect(failing).rejects.toThrow('no memory');
  expect(calls).toBe(1);
});
