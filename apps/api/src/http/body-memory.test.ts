/** Tests bodies that nobody reads, and bodies that do not arrive, with real connections. */
import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import Fastify, { type FastifyInstance } from 'fastify';
import { afterEach, expect, test } from 'vitest';
import { limitBodyMemory } from './body-memory.ts';
import { registerProblems } from './error-handler.ts';
import { registerJsonBody } from './json-body.ts';

const LIMITS = { depth: 10, stringLength: 1_000_000, members: 100, items: 1_000 };
const MEMORY = 400_000;
const BODY_LIMIT = 200_000;

let app: FastifyInstance;
let port: number;
/** The code of the next error response. */
let nextCode: () => Promise<string>;
/** Called with each request before its body is read. */
let onRequest: (raw: http.IncomingMessage) => void;

async function start(): Promise<void> {
  app = Fastify();
  onRequest = () => {};
  const codes: ((code: string) => void)[] = [];
  nextCode = () => new Promise((resolve) => codes.push(resolve));
  registerJsonBody(app, { limits: LIMITS, bodyLimit: BODY_LIMIT, parsedBefore: () => undefined });
  registerProblems(app, { log: app.log, methodsOf: () => [], onError: (_, __, code) => codes.shift()?.(code) });
  app.addHook('onRequest', (request, _, done) => {
    onRequest(request.raw);
    done();
  });
  limitBodyMemory(app, MEMORY);
  app.post('/read', async () => ({}));
  app.get('/read', async () => ({}));
  await app.listen({ port: 0, host: '127.0.0.1' });
  ({ port } = app.server.address() as AddressInfo);
}

afterEach(() => app.close());

const open = (method: string, path: string, headers: http.OutgoingHttpHeaders): http.ClientRequest =>
  http.request({ port, host: '127.0.0.1', method, path, headers, agent: false }).on('error', () => {});

const JSON_TYPE = { 'content-type': 'application/json' };

/** A request whose body takes `bytes` of the memory and never ends. */
async function hold(bytes: number): Promise<http.ClientRequest> {
  const { promise, resolve } = Promise.withResolvers<void>();
  let arrived = 0;
  onRequest = (raw) =>
    raw.on('data', ({ length }: Buffer) => {
      arrived += length;
      if (arrived === bytes) resolve();
    });
  const request = open('POST', '/read', { ...JSON_TYPE, 'content-length': bytes + 1 });
  request.write(''.padEnd(bytes, ' '));
  await promise;
  return request;
}

test.each([
  ['a method without a body', 'GET', '/read', JSON_TYPE, 200],
  ['an unknown path', 'POST', '/nothing', { 'content-type': 'text/plain' }, 404],
  ['a body of another type', 'POST', '/read', { 'content-type': 'text/plain' }, 415],
  ['a body above the limit', 'POST', '/read', JSON_TYPE, 413],
])(
  '%s takes no memory for bodies, and a full memory does not end the process',
  async (_, method, path, type, status) => {
    await start();
    const held = await hold(90_000);
    onRequest = () => {};
    const { promise: closed, resolve: onClosed } = Promise.withResolvers<void>();
    app.server.once('connection', (socket) => socket.once('close', onClosed));
    const request = open(method, path, { ...type, 'transfer-encoding': 'chunked' });
    for (let at = 0; at < 30; at += 1) request.write(''.padEnd(20_000, 'a'));
    request.end();
    const [response] = (await once(request, 'response')) as [http.IncomingMessage];
    expect(response.statusCode).toBe(status);
    response.resume();
    await closed;
    const further = open('POST', '/read', JSON_TYPE);
    further.end(`"${''.padEnd(BODY_LIMIT - 2, 'a')}"`);
    const [accepted] = (await once(further, 'response')) as [http.IncomingMessage];
    expect(accepted.statusCode).toBe(200);
    accepted.resume();
    held.destroy();
  },
);

test.each(['application/json', 'text/plain'])(
  'a connection that closes before the body is no error of the server: %s',
  async (type) => {
    await start();
    const code = nextCode();
    const arrived = new Promise<void>((resolve) => {
      onRequest = () => resolve();
    });
    const request = open('POST', '/read', { 'content-type': type, 'transfer-encoding': 'chunked' });
    request.flushHeaders();
    await arrived;
    request.destroy();
    expect(await code).toBe('invalid_request');
  },
);
