/**
 * A TCP proxy with programmable faults: latency, stall, reset, a cut after a number of bytes, slow transfer, another
 * target.
 */
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

export interface Misbehaviour {
  latencyMs: number;
  /** No data passes, and no connection closes. */
  stalled: boolean;
  /** Connections are closed after this many bytes from the server. */
  cutAfterBytes: number;
  /** Bytes per second from the server. 0 for no limit. */
  dripPerS: number;
}

const GOOD: Misbehaviour = { latencyMs: 0, stalled: false, cutAfterBytes: Number.POSITIVE_INFINITY, dripPerS: 0 };

export interface TcpProxy {
  readonly port: number;
  readonly connections: number;
  behave(how: Partial<Misbehaviour>): void;
  target(port: number): void;
  /** Ends every connection: with `reset` as after a crash, otherwise gracefully. */
  cut(how?: 'reset' | 'end'): void;
  close(): Promise<void>;
}

export async function startProxy(targetPort: number): Promise<TcpProxy> {
  let target = targetPort;
  let how = { ...GOOD };
  const sockets = new Set<Socket>();

  function forward(from: Socket, to: Socket, downstream: boolean): void {
    let passed = 0;
    let at = 0;
    from.on('data', (chunk) => {
      passed += chunk.length;
      if (downstream && passed > how.cutAfterBytes) {
        from.destroy();
        to.destroy();
        return;
      }
      const send = () => {
        if (to.destroyed || to.write(chunk)) return;
        from.pause();
        to.once('drain', () => !how.stalled && from.resume());
      };
      const dripMs = downstream && how.dripPerS > 0 ? (chunk.length / how.dripPerS) * 1_000 : 0;
      // Later chunks never overtake earlier chunks, for any change of the delay.
      at = Math.max(at, Date.now() + how.latencyMs) + dripMs;
      if (at <= Date.now()) send();
      else setTimeout(send, at - Date.now());
    });
    from.on('error', () => {});
    from.on('close', () => {
      sockets.delete(from);
      to.destroy();
    });
    if (how.stalled) from.pause();
    sockets.add(from);
  }

  const server = createServer({ noDelay: true }, (client) => {
    const upstream = connect({ port: target, host: '127.0.0.1', noDelay: true });
    forward(client, upstream, false);
    forward(upstream, client, true);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    get connections() {
      return sockets.size / 2;
    },
    behave(change) {
      how = { ...how, ...change };
      for (const socket of sockets) how.stalled ? socket.pause() : socket.resume();
    },
    target: (port) => {
      target = port;
    },
    cut(way = 'reset') {
      for (const socket of sockets) way === 'reset' ? socket.resetAndDestroy() : socket.end();
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
