/** Many clients at once, each with its own connection and one request. wrk and autocannon cannot produce this load. */
import { connect, type Socket } from 'node:net';

export interface CrowdResponse {
  status: number;
  body: string;
  /** From the first byte of the request to the last byte of the response. */
  ms: number;
}

export interface Crowd {
  /** Sends each client's request at the same moment and waits for all responses. A failed request has status 0. */
  send(requests: readonly string[], timeoutMs: number): Promise<CrowdResponse[]>;
  close(): void;
}

// Sockets opened at a time. More would overflow the listener's queue of connections that are not accepted yet.
const opening = 200;

/** Opens the connections. One process is enough for 10,000: loopback has about 28,000 ports for one address. */
export async function gather(host: string, port: number, clients: number): Promise<Crowd> {
  const sockets: Socket[] = [];
  while (sockets.length < clients) {
    const count = Math.min(opening, clients - sockets.length);
    sockets.push(...(await Promise.all(Array.from({ length: count }, () => open(host, port)))));
  }
  return {
    send: (requests, timeoutMs) =>
      Promise.all(requests.map((request, index) => exchange(sockets[index] as Socket, request, timeoutMs))),
    close: () => {
      for (const socket of sockets) socket.destroy();
    },
  };
}

function open(host: string, port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, noDelay: true }, () => {
      socket.off('error', reject);
      // The exchange in progress handles the error. Between exchanges, the next exchange finds the closed socket.
      socket.on('error', () => {});
      resolve(socket);
    });
    socket.once('error', reject);
  });
}

function exchange(socket: Socket, request: string, timeoutMs: number): Promise<CrowdResponse> {
  return new Promise((resolve) => {
    const start = performance.now();
    let text = '';
    const finish = (status: number, body: string) => {
      clearTimeout(timer);
      socket.off('data', read);
      socket.off('close', lost);
      resolve({ status, body, ms: performance.now() - start });
    };
    const lost = () => finish(0, 'the connection was closed');
    const timer = setTimeout(() => finish(0, `no response within ${timeoutMs} ms`), timeoutMs);
    const read = (chunk: Buffer) => {
      text += chunk.toString('latin1');
      const response = parseResponse(text);
      if (response) finish(response.status, response.body);
    };
    socket.on('data', read);
    socket.once('close', lost);
    if (socket.destroyed) lost();
    else socket.write(request);
  });
}

/** Parses a response that has a content-length. Returns undefined while the response is incomplete. */
export function parseResponse(text: string): { status: number; body: string } | undefined {
  const end = text.indexOf('\r\n\r\n');
  if (end < 0) return undefined;
  const head = text.slice(0, end);
  const length = Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1] ?? Number.NaN);
  const status = Number(head.slice(9, 12));
  if (!Number.isInteger(length)) return { status: 0, body: `no content-length in ${head.slice(0, 200)}` };
  const body = text.slice(end + 4);
  return body.length < length ? undefined : { status, body: Buffer.from(body, 'latin1').toString('utf8') };
}

export function post(url: string, headers: Readonly<Record<string, string>>, body: string): string {
  const { host, pathname } = new URL(url);
  const all = {
    host,
    'content-type': 'application/json',
    'content-length': String(Buffer.byteLength(body)),
    ...headers,
  };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  return `POST ${pathname} HTTP/1.1\r\n${lines.join('')}\r\n${body}`;
}
