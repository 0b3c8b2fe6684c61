import { once } from 'node:events';
import type { Server, ServerResponse } from 'node:http';
import { type AddressInfo, createConnection, type Socket } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import pino from 'pino';
import { afterEach, expect, test } from 'vitest';
import { createClientErrorHandler } from './client-errors.ts';
import { createHttpServer } from './http-server.ts';
import { IN_HAND_MAX, type RequestListener } from './pipelining.ts';

const SETTINGS = { requestTimeoutMs: 5_000, connectionTimeoutMs: 60_000, maxHeaders: 100 };
let server: Server | undefined;
afterEach(() => {
  server?.closeAllConnections();
  server?.close();
});

async function connected(listener: RequestListener, settings = SETTINGS): Promise<Socket> {
  server = createHttpServer(listener, settings).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return connect(server);
}

async function connect(to: Server): Promise<Socket> {
  const socket = createConnection((to.address() as AddressInfo).port, '127.0.0.1');
  // The server closes open connections at the end of a test.
  socket.on('error', () => {});
  await once(socket, 'connect');
  return socket.setEncoding('utf8');
}

const requests = (count: number, write: (at: number) => string) => Array.from({ length: count }, (_, at) => write(at));
const get = (at: number) => `GET /${at} HTTP/1.1\r\nhost: x\r\n\r\n`;
const post = (at: number) => `POST /${at} HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n${'x'.repeat(100)}`;

/** Resolves to the text that the socket sends, up to the chunk with `last`. */
async function read(socket: Socket, last: string): Promise<string> {
  let text = '';
  for await (const chunk of socket) {
    text += chunk;
    if (text.includes(last)) break;
  }
  return text;
}

test.each([
  ['bodies', post],
  ['no bodies', get],
])(
  'of thousands of pipelined requests with %s, at most 16 are in progress, and the responses are in order',
  async (_, write) => {
    const COUNT = 5_000;
    const inHand = new Set<ServerResponse>();
    let most = 0;
    const full = Promise.withResolvers<void>();
    const open = Promise.withResolvers<void>();
    const socket = await connected((request, response) => {
      inHand.add(response);
      most = Math.max(most, inHand.size);
      if (inHand.size === IN_HAND_MAX) full.resolve();
      response.once('close', () => inHand.delete(response));
      request.resume();
      void open.promise.then(() => response.end(`<${request.url}>`));
    });
    socket.write(requests(COUNT, write).join(''));
    await full.promise;
    // The event loop gets two turns to read more of the requests.
    await nextTurn();
    await nextTurn();
    open.resolve();
    const text = await read(socket, `</${COUNT - 1}>`);
    expect(text.match(/<.*?>/g)).toEqual(requests(COUNT, (at) => `</${at}>`));
    expect(most).toBe(IN_HAND_MAX);
  },
);

test('a connection with held requests is not read', async () => {
  const full = Promise.withResolvers<Socket>();
  let inHand = 0;
  const listener: RequestListener = (request, response) => {
    if (request.url === '/other') return void response.end('<other>');
    request.resume();
    inHand += 1;
    if (inHand === IN_HAND_MAX) full.resolve(request.socket);
  };
  const socket = await connected(listener);
  socket.write(requests(100_000, post).join(''));
  const { bytesRead } = await full.promise;
  const other = await connect(server as Server);
  // Each response shows that the event loop ran and could have read.
  for (let n = 0; n < 20; n += 1) {
    other.write('GET /other HTTP/1.1\r\nhost: x\r\n\r\n');
    await once(other, 'data');
  }
  expect((await full.promise).bytesRead).toBeLessThanOrEqual(bytesRead + 2 * 65_536);
  expect(inHand).toBe(IN_HAND_MAX);
});

test('a request that times out behind held requests does not end their responses', async () => {
  const open = Promise.withResolvers<void>();
  let seen = 0;
  const socket = await connected(
    (request, response) => {
      seen += 1;
      void open.promise.then(() => response.end(`<${request.url}>`));
    },
    { ...SETTINGS, requestTimeoutMs: 100 },
  );
  const handle = createClientErrorHandler({ requestTimeoutMs: 100, log: pino({ level: 'silent' }) });
  (server as Server).on('clientError', (error, client) => {
    handle(error, client as Socket);
    open.resolve();
  });
  socket.write(`${requests(100, get).join('')}GET /late HTTP/1.1\r\n`);
  const text = (await socket.toArray()).join('');
  expect(text.match(/<.*?>/g)).toEqual(requests(100, (at) => `</${at}>`));
  expect(text.match(/connection: close/gi)).toHaveLength(1);
  expect(seen).toBe(100);
});

test('an unknown expectation is refused with problem details', async () => {
  const socket = await connected((_request, response) => response.end('never'));
  socket.write('POST / HTTP/1.1\r\nhost: x\r\nexpect: tea\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}');
  const text = (await socket.toArray()).join('');
  expect(text).toMatch(/^HTTP\/1.1 417 [\s\S]*x-content-type-options: nosniff[\s\S]*application\/problem\+json/);
  expect(text).toContain('"code":"expectation_failed"');
});
