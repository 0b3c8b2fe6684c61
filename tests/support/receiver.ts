/** A webhook receiver whose path selects its behavior, good or bad. The receiver records all requests. */
import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo, Socket } from 'node:net';

export interface Received {
  path: string;
  headers: Record<string, string>;
  body: string;
  /** Unix ms. */
  at: number;
}

export interface Receiver {
  /** Without a path. */
  url: string;
  port: number;
  received: readonly Received[];
  /** The requests of one path, in order. */
  at(path: string): Received[];
  connections(): number;
  /** Bytes of responses that were written to sockets. */
  bytesSent(): number;
  /** Resolves when `count` requests of the path have arrived. */
  until(path: string, count: number): Promise<Received[]>;
  /** Sends these statuses for the next requests of a path, before the normal behavior continues. */
  script(path: string, ...statuses: number[]): void;
  close(): Promise<void>;
}

const CHUNK = Buffer.alloc(65_536, 'x');

/**
 * Paths: a status (`/200`, `/410`), `/redirect` (to `to`), `/busy` (429 with Retry-After: 7), `/hang`, `/drip` (one
 * header byte at a time), `/drip-body` (200, then one body byte at a time), `/reset`, `/once` (200, and a reset for the
 * next request on the same connection), `/huge` (200 and 1 GB), `/garbage`, `/switch` (to another protocol), `/interim`
 * (103 responses without end), `/flap` (500 for the first attempt of one event in sixteen). Text after another slash
 * distinguishes paths with the same behavior.
 */
export async function startReceiver({ host = '127.0.0.1', redirectTo = '', dripMs = 50 } = {}): Promise<Receiver> {
  const received: Received[] = [];
  const scripts = new Map<string, number[]>();
  const sockets = new Set<Socket>();
  const seen = new Set<string>();
  const used = new WeakSet<Socket>();
  const timers = new Set<NodeJS.Timeout>();
  const waiters = new Set<() => void>();
  let connections = 0;
  let bytes = 0;

  const server = http.createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('error', () => {});
    response.on('error', () => {});
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const path = request.url ?? '';
      const headers = request.headers as Record<string, string>;
      received.push({ path, headers, body: Buffer.concat(chunks).toString(), at: Date.now() });
      for (const waiter of waiters) waiter();
      respond(path, response, headers['webhook-id'] ?? '');
    });
  });

  function respond(path: string, response: http.ServerResponse, id: string): void {
    const first = !seen.has(`${path} ${id}`);
    seen.add(`${path} ${id}`);
    const socket = response.socket as Socket;
    const scripted = scripts.get(path)?.shift();
    const behaviour = scripted === undefined ? (path.split(/[/?]/)[1] ?? '') : String(scripted);
    switch (behaviour) {
      case 'redirect':
        return void response.writeHead(301, { location: redirectTo }).end();
      case 'busy':
        return void response.writeHead(429, { 'retry-after': '7' }).end('later');
      case 'hang':
        return;
      case 'drip':
        drip(socket, 'HTTP/1.1 200 OK\r\nx-slow: ');
        return;
      case 'drip-body':
        drip(socket, 'HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n');
        return;
      case 'reset':
        return void socket.resetAndDestroy();
      case 'once':
        if (used.has(socket)) return void socket.resetAndDestroy();
        used.add(socket);
        return void response.writeHead(200).end();
      case 'garbage':
        return void socket.end('\0\x01 this is not HTTP\r\n\r\n');
      case 'switch':
        return void socket.write('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n');
      case 'interim':
        floodInterim(socket);
        return;
      case 'flap':
        return void response.writeHead(id.endsWith('0') && first ? 500 : 200).end();
      case 'huge':
        response.writeHead(200, { 'content-length': 1_073_741_824 });
        flood(response, 16_384);
        return;
      default:
        return void response.writeHead(Number(behaviour) || 200).end(`replied ${behaviour}`);
    }
  }

  function floodInterim(socket: Socket): void {
    if (socket.destroyed) return;
    socket.write('HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n'.repeat(100), () => floodInterim(socket));
  }

  function drip(socket: Socket, start: string): void {
    socket.write(start);
    const timer = setInterval(() => socket.write('x'), dripMs);
    timers.add(timer);
    socket.once('close', () => clearInterval(timer));
  }

  function flood(response: http.ServerResponse, left: number): void {
    if (left === 0 || response.destroyed) return void response.end();
    bytes += CHUNK.length;
    response.write(CHUNK, () => flood(response, left - 1));
  }

  server.on('connection', (socket) => {
    connections++;
    sockets.add(socket);
    socket.on('error', () => {});
    socket.once('close', () => sockets.delete(socket));
  });
  server.listen(0, host);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;

  const at = (path: string) => received.filter((one) => one.path === path);
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${port}`,
    port,
    received,
    at,
    connections: () => connections,
    bytesSent: () => bytes,
    script: (path, ...statuses) => void scripts.set(path, statuses),
    until: (path, count) =>
      new Promise((resolve) => {
        const look = () => {
          if (at(path).length < count) return;
          waiters.delete(look);
          resolve(at(path));
        };
        waiters.add(look);
        look();
      }),
    async close() {
      for (const timer of timers) clearInterval(timer);
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
