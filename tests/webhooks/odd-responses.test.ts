import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { addressRule } from '@millrace/shared/webhooks/address';
import { expect, onTestFinished, test } from 'vitest';
import { judge, succeeded } from '../../apps/worker/src/webhooks/retry-policy.ts';
import { createSender } from '../../apps/worker/src/webhooks/send.ts';

/** The bytes of a response, and the rest that is sent afterwards without end. */
interface Odd {
  bytes: string | Buffer;
  /** The outcome that docs/webhooks.md states. */
  wanted: number | 'error';
  /** Whether the receiver keeps the connection open after the bytes. */
  open?: boolean;
}

const OK = 'HTTP/1.1 200 OK\r\n';
const EMPTY = 'content-length: 0\r\n\r\n';
const odds: Record<string, Odd> = {};
const add = (name: string, bytes: string | Buffer, wanted: Odd['wanted'], open = false) => {
  odds[name] = { bytes, wanted, open };
};

// Every status that a receiver may send.
for (const status of [200, 201, 202, 203, 204, 205, 206, 207, 208, 226, 250, 299])
  add(`status ${status}`, `HTTP/1.1 ${status} X\r\n${status === 204 ? '\r\n' : EMPTY}`, status);
for (const status of [300, 301, 302, 303, 304, 307, 308, 400, 401, 403, 404, 405, 406, 408, 409, 410, 411, 413, 415])
  add(`status ${status}`, `HTTP/1.1 ${status} X\r\n${status === 304 ? '\r\n' : EMPTY}`, status);
for (const status of [
  418, 421, 422, 425, 426, 428, 429, 431, 451, 499, 500, 501, 502, 503, 504, 505, 507, 520, 599, 600, 999,
])
  add(`status ${status}`, `HTTP/1.1 ${status} X\r\n${EMPTY}`, status);
// Headers.
add('17 KiB of one header', `${OK}x: ${'y'.repeat(17_000)}\r\n${EMPTY}`, 200);
add('200 KiB of one header', `${OK}x: ${'y'.repeat(200_000)}\r\n${EMPTY}`, 200);
add('900 KiB of headers', `${OK}${`x: ${'y'.repeat(900)}\r\n`.repeat(1_000)}${EMPTY}`, 200);
add('5,000 headers', `${OK}${'x: y\r\n'.repeat(5_000)}${EMPTY}`, 200);
add(
  '400 cookies',
  `${OK}${Array.from({ length: 400 }, (_, n) => `set-cookie: c${n}=${'v'.repeat(60)}\r\n`).join('')}${EMPTY}`,
  200,
);
add('a header with bytes of Latin-1', Buffer.from(`${OK}x: \xe9\xff\r\n${EMPTY}`, 'latin1'), 200);
add('a header with UTF-8', `${OK}x: 日本\r\n${EMPTY}`, 200);
add('a header with a control character', `${OK}x: a\x01b\r\n${EMPTY}`, 200);
add('a header with a space before the colon', `${OK}x : y\r\n${EMPTY}`, 'error');
add('an empty header value', `${OK}x:\r\n${EMPTY}`, 200);
add('a folded header', `${OK}x: a\r\n b\r\n${EMPTY}`, 200);
add('an invalid date', `${OK}date: never\r\n${EMPTY}`, 200);
add('an invalid Retry-After', `HTTP/1.1 503 X\r\nretry-after: soon\r\n${EMPTY}`, 503);
add('a negative Retry-After', `HTTP/1.1 503 X\r\nretry-after: -5\r\n${EMPTY}`, 503);
add('a huge Retry-After', `HTTP/1.1 429 X\r\nretry-after: ${'9'.repeat(400)}\r\n${EMPTY}`, 429);
add('two Retry-After', `HTTP/1.1 429 X\r\nretry-after: 1\r\nretry-after: 2\r\n${EMPTY}`, 429);
add('a content type that is no type', `${OK}content-type: ///\r\n${EMPTY}`, 200);
add('an unknown encoding of the content', `${OK}content-encoding: zstd, x\r\ncontent-length: 3\r\n\r\nabc`, 200);
add('a Location on a 200', `${OK}location: http://127.0.0.1:1/\r\n${EMPTY}`, 200);
add('an Upgrade that nobody requested for', `${OK}connection: upgrade\r\nupgrade: h2c\r\n${EMPTY}`, 200);
add('Connection with nonsense', `${OK}connection: a,,b;c\r\n${EMPTY}`, 200);
add('Keep-Alive with nonsense', `${OK}keep-alive: timeout=abc, max=-1\r\n${EMPTY}`, 200);
add('a Keep-Alive of nothing', `${OK}keep-alive: timeout=0\r\n${EMPTY}`, 200);
add('a Proxy-Authenticate', `HTTP/1.1 407 X\r\nproxy-authenticate: Basic\r\n${EMPTY}`, 407);
add('a WWW-Authenticate', `HTTP/1.1 401 X\r\nwww-authenticate: Negotiate\r\n${EMPTY}`, 401);
// Status lines.
add('HTTP/1.0', `HTTP/1.0 200 OK\r\n\r\n`, 200);
add('HTTP/1.0 with a body', `HTTP/1.0 200 OK\r\n\r\nhello`, 200);
add('no reason', `HTTP/1.1 200\r\n${EMPTY}`, 200);
add('an empty reason', `HTTP/1.1 200 \r\n${EMPTY}`, 200);
add('a long reason', `HTTP/1.1 200 ${'x'.repeat(4_000)}\r\n${EMPTY}`, 200);
add('a reason in UTF-8', `HTTP/1.1 200 成功\r\n${EMPTY}`, 200);
add('line ends without CR', `HTTP/1.1 200 OK\ncontent-length: 0\n\n`, 200);
// Bodies.
add('no length, and the end of the connection', `${OK}\r\nbye`, 200);
add('a body that ends too early', `${OK}content-length: 100\r\n\r\nabc`, 200);
add('a body that is too long', `${OK}content-length: 1\r\n\r\nabc`, 200);
add('a body that never ends', `${OK}content-length: 100\r\n\r\nabc`, 200, true);
add('a body of no length that never ends', `${OK}\r\nabc`, 200, true);
add('chunks', `${OK}transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n`, 200);
add('chunks with trailers', `${OK}transfer-encoding: chunked\r\ntrailer: x\r\n\r\n3\r\nabc\r\n0\r\nx: y\r\n\r\n`, 200);
add(
  'chunks with 100 KiB of trailers',
  `${OK}transfer-encoding: chunked\r\n\r\n0\r\nx: ${'y'.repeat(100_000)}\r\n\r\n`,
  200,
);
add('chunks with extensions', `${OK}transfer-encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n0\r\n\r\n`, 200);
add('a bad chunk', `${OK}transfer-encoding: chunked\r\n\r\nzz\r\nabc`, 200);
add('chunks without an end', `${OK}transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n`, 200);
add('chunks without an end on an open connection', `${OK}transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n`, 200, true);
add(
  'a body in another encoding',
  Buffer.concat([Buffer.from(`${OK}content-length: 4\r\n\r\n`), Buffer.from([0, 255, 254, 0])]),
  200,
);
add('a body of NUL', `${OK}content-length: 3\r\n\r\n\0\0\0`, 200);
add(
  'half a character at the end',
  Buffer.concat([Buffer.from(`${OK}content-length: 2\r\n\r\n`), Buffer.from([0xe6, 0x97])]),
  200,
);
add('a body that says gzip and is not', `${OK}content-encoding: gzip\r\ncontent-length: 3\r\n\r\nabc`, 200);
add('a 204 with a body', `HTTP/1.1 204 X\r\ncontent-length: 3\r\n\r\nabc`, 204);
add('a second response behind the first', `${OK}${EMPTY}HTTP/1.1 500 X\r\n${EMPTY}`, 200);
add('garbage behind the response', `${OK}${EMPTY}\0\x01garbage`, 200);
add('a 500 with HTML', `HTTP/1.1 500 X\r\ncontent-length: 6\r\n\r\n<html>`, 500);
add('a 410 with a body that never ends', `HTTP/1.1 410 Gone\r\ncontent-length: 100\r\n\r\nabc`, 410, true);
// Interim responses.
add('a 100 before the 200', `HTTP/1.1 100 Continue\r\n\r\n${OK}${EMPTY}`, 200);
add('a 103 before the 200', `HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n${OK}${EMPTY}`, 200);
add('ten 102 before the 200', `${'HTTP/1.1 102 Processing\r\n\r\n'.repeat(10)}${OK}${EMPTY}`, 200);
// No response.
add('nothing and the end', '', 'error');
add('no HTTP', '\0\x01 this is not HTTP\r\n\r\n', 'error');
add('HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'error');
add('half a status line', 'HTTP/1.1 2', 'error');
add('half of the headers', `${OK}x: y`, 'error');
add('a status of two digits', `HTTP/1.1 20 OK\r\n${EMPTY}`, 'error');
add('a status with letters', `HTTP/1.1 abc OK\r\n${EMPTY}`, 'error');
add('2 MiB of headers', `${OK}x: ${'y'.repeat(2_097_152)}\r\n${EMPTY}`, 'error');
add('nothing on an open connection', '', 'error', true);
add('a status line on an open connection', OK, 'error', true);

async function startOddServer(odd: () => Odd) {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.once('data', () => {
      const { bytes, open } = odd();
      if (open) socket.write(bytes);
      else socket.end(bytes);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const close = () => {
    for (const socket of sockets) socket.destroy();
    server.close();
  };
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, close };
}

test('the status of each of a hundred odd responses decides', async () => {
  expect(Object.keys(odds).length).toBeGreaterThanOrEqual(100);
  let current: Odd | undefined;
  const server = await startOddServer(() => current as Odd);
  const rule = addressRule(['127.0.0.1/32']);
  const noNames = () => Promise.reject(new Error('no names'));
  const options = { allowHttp: true, mayReach: rule, resolve: noNames, replyMs: 100 };
  // Only an attempt without a response reaches its limit. On busy cores a response can take longer than the short limit.
  const [brief, patient] = [
    createSender({ ...options, timeoutMs: 400 }),
    createSender({ ...options, timeoutMs: 30_000 }),
  ];
  onTestFinished(() => {
    for (const sender of [brief, patient]) sender.close();
    server.close();
  });
  const outcomes: Record<string, unknown> = {};
  const wanted: Record<string, unknown> = {};
  for (const [name, odd] of Object.entries(odds)) {
    current = odd;
    const sender = odd.open && odd.wanted === 'error' ? brief : patient;
    const { outcome, replyHead } = await sender.send({ url: server.url, body: '{}', headers: {} });
    outcomes[name] = 'status' in outcome ? outcome.status : 'error';
    wanted[name] = odd.wanted;
    expect(replyHead, name).not.toContain('\0');
    // Every outcome has a verdict: delivered for 2xx, gone for 410, and another attempt in finite time for the rest.
    const verdict = judge(outcome, { attempt: 1, nowMs: 0, failingSinceMs: null, random: 0.5 });
    const status = succeeded(outcome) ? 'delivered' : odd.wanted === 410 ? 'failed' : 'pending';
    expect([name, verdict.status]).toEqual([name, status]);
    if (status === 'pending') expect(verdict.nextAttemptAtMs, name).toBeLessThanOrEqual(1.1 * 86_400_000);
  }
  expect(outcomes).toEqual(wanted);
}, 60_000);
