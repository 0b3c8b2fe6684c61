import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/**
 * A proxy to Postgres or Redis that can stop forwarding, like a stopped server: the connections stay open. With `openMs`, each new
 * connection forwards nothing for this time, like the connections of a server on busy cores.
 */
export async function startStallingProxy(databaseUrl: string, { openMs = 0 } = {}) {
  const target = new URL(databaseUrl);
  const sockets = new Set<Socket>();
  const upstreams = new Set<Socket>();
  let stalled = false;
  let silent = false;
  let cue: string | undefined;
  function silence() {
    silent = true;
    cue = undefined;
    for (const socket of upstreams) socket.pause();
  }
  const server = createServer((client) => {
    const upstream = connect(Number(target.port), target.hostname);
    upstreams.add(upstream);
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(from);
      from.on('data', (bytes: Buffer) => {
        if (cue !== undefined && from === client && bytes.includes(cue)) silence();
        to.write(bytes);
      });
      if (stalled || (silent && from === upstream)) from.pause();
      if (openMs > 0 && from === client) {
        from.pause();
        setTimeout(() => stalled || from.resume(), openMs);
      }
      from.on('error', () => {});
      from.on('close', () => {
        sockets.delete(from);
        upstreams.delete(from);
        to.destroy();
      });
    }
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = new URL(databaseUrl);
  url.host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url: url.href,
    stall() {
      stalled = true;
      for (const socket of sockets) socket.pause();
    },
    /** The server receives and executes commands, but no reply comes back. */
    stallReplies: silence,
    /** Stalls the replies from the moment when a client sends this text. */
    stallRepliesTo(text: string) {
      cue = text;
    },
    resume() {
      stalled = false;
      silent = false;
      for (const socket of sockets) socket.resume();
    },
    cut() {
      for (const socket of sockets) socket.destroy();
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
