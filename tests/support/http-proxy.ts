/**
 * A proxy that knows where each request begins, so that a test can cut the response of one request at any byte. Every connection has one
 * request at a time, and the head of a request arrives in one piece, as the clients of the tests send it.
 */
import { once } from 'node:events';
import net, { type AddressInfo, type Socket } from 'node:net';

/** What happens to one request. */
export interface Fate {
  /** The connection breaks after this many bytes of the response. 0: without any byte. */
  cutAfter?: number;
  /** The connection breaks before the server has the request. */
  refuse?: boolean;
  /** The request waits for the promise before the server gets the request. */
  hold?: Promise<unknown>;
  /** Called with the bytes of the response that have arrived so far. */
  onResponse?(bytes: number): void;
}

export interface HttpProxy {
  readonly url: string;
  /** The request lines in their order. */
  readonly requests: readonly string[];
  /** Decides the fate of each request from its head. */
  decide(fateOf: (head: string) => Fate | undefined): void;
  target(port: number): void;
  close(): Promise<void>;
}

export async function startHttpProxy(targetUrl: string): Promise<HttpProxy> {
  let port = Number(new URL(targetUrl).port);
  let fateOf: (head: string) => Fate | undefined = () => undefined;
  const requests: string[] = [];
  const sockets = new Set<Socket>();

  const server = net.createServer((client) => {
    const upstream = net.connect(port, '127.0.0.1');
    let fate: Fate = {};
    let passed = 0;
    let held: Promise<unknown> = Promise.resolve();
    const end = () => {
      client.destroy();
      upstream.destroy();
    };
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => {
        sockets.delete(socket);
        end();
      });
    }
    client.on('data', (chunk) => {
      const head = chunk.toString('latin1');
      if (/^[A-Z]+ \/\S* HTTP\/1\.1\r\n/.test(head)) {
        requests.push(head.slice(0, head.indexOf(' HTTP/')));
        [fate, passed] = [fateOf(head) ?? {}, 0];
        if (fate.refuse) return end();
        if (fate.hold) held = fate.hold;
      }
      held = held.then(() => upstream.destroyed || upstream.write(chunk));
    });
    upstream.on('data', (chunk) => {
      const { cutAfter = Number.POSITIVE_INFINITY } = fate;
      const left = cutAfter - passed;
      passed += chunk.length;
      if (left > 0) client.write(chunk.subarray(0, Math.min(left, chunk.length)));
      fate.onResponse?.(passed);
      if (left <= chunk.length) client.end(() => end());
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    decide(next) {
      fateOf = next;
    },
    target(next) {
      port = next;
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
