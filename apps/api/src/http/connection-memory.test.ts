import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { growthPercentOf } from '@millrace/shared/process/heap-growth';
import { afterEach, expect, test } from 'vitest';
import { fitHeapToConnections } from './connection-memory.ts';

const sockets: Socket[] = [];
let server: Server;
let set: number[];

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  server.close();
  await once(server, 'close');
});

async function listen(forgetMs: number): Promise<void> {
  set = [];
  server = createServer();
  fitHeapToConnections(server, { setGrowth: (percent) => set.push(percent), forgetMs });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
}

/** Opens connections, and waits until the server has accepted them. */
async function open(connections: number): Promise<void> {
  const { port } = server.address() as AddressInfo;
  for (let at = 0; at < connections; at += 1) {
    const accepted = once(server, 'connection');
    const socket = connect({ port, host: '127.0.0.1' });
    socket.on('error', () => {});
    sockets.push(socket);
    await accepted;
  }
}

test('the heap grows less from 256 open connections on, and as before when they have gone', async () => {
  await listen(50);
  await open(255);
  expect(set).toEqual([]);
  await open(1);
  await expect.poll(() => set).toEqual([growthPercentOf(256)]);
  for (const socket of sockets.splice(0)) socket.destroy();
  await expect.poll(() => set).toEqual([growthPercentOf(256), growthPercentOf(0)]);
});

test('connections that come and go one after the other change nothing', async () => {
  await listen(60_000);
  for (let at = 0; at < 300; at += 1) {
    await open(1);
    const [socket] = sockets.splice(0);
    socket?.destroy();
  }
  await open(20);
  expect(set).toEqual([]);
});

test('a smaller crowd does not let the heap grow more before the next count', async () => {
  await listen(60_000);
  await open(512);
  const most = [growthPercentOf(256), growthPercentOf(512)];
  await expect.poll(() => set).toEqual(most);
  for (const socket of sockets.splice(0)) socket.destroy();
  await open(256);
  expect(set).toEqual(most);
});
