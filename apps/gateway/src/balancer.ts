/**
 * One address before several API replicas: a TCP balancer for compose, where no orchestrator brings one. It knows no HTTP.
 * Backends are the addresses that a DNS name has now; a connection goes to the one with the fewest, and
 * among equals to the one that has waited longest: what comes one by one is spread as well.
 */
import { lookup } from 'node:dns/promises';
import { connect, createServer, type Server, type Socket } from 'node:net';

export interface BalancerOptions {
  host: string;
  port: number;
  /** DNS name and port of the replicas. */
  target: { host: string; port: number };
  /** How often the name is looked up again. */
  refreshMs: number;
  /** Longest that a connection to a replica may take; then the next one is tried. */
  connectTimeoutMs: number;
  /** Addresses of a name; DNS if not given. */
  resolve?: (host: string) => Promise<string[]>;
  log: (fields: Record<string, unknown>, message: string) => void;
}

export interface Balancer {
  port: number;
  backends(): readonly string[];
  /** Takes no more connections, lets those under way end until the deadline, then cuts them. */
  close(deadlineMs: number): Promise<void>;
}

const byDns = async (host: string): Promise<string[]> =>
  (await lookup(host, { all: true, family: 4 })).map(({ address }) => address);

const of = (counts: ReadonlyMap<string, number>, backend: string): number => counts.get(backend) ?? 0;

export async function startBalancer(options: BalancerOptions): Promise<Balancer> {
  const { target, connectTimeoutMs, resolve = byDns, log } = options;
  const open = new Map<string, number>();
  /** When each was last chosen, in connections. */
  const chosenAt = new Map<string, number>();
  let chosen = 0;
  const sockets = new Set<Socket>();
  let backends: string[] = [];

  async function refresh(): Promise<void> {
    try {
      const found = (await resolve(target.host)).sort();
      if (found.join() !== backends.join()) log({ backends: found }, 'backends');
      for (const gone of chosenAt.keys()) if (!found.includes(gone)) chosenAt.delete(gone);
      backends = found;
    } catch (error) {
      // The addresses of before may still answer; a refused connection moves on to the next.
      log({ err: (error as Error).message }, 'the target cannot be looked up');
    }
  }

  /** Connects to the replica with the fewest connections that answers. */
  function dial(tried: ReadonlySet<string>): Promise<{ socket: Socket; backend: string }> {
    const [backend] = backends
      .filter((candidate) => !tried.has(candidate))
      .sort((a, b) => of(open, a) - of(open, b) || of(chosenAt, a) - of(chosenAt, b));
    if (backend === undefined) return Promise.reject(new Error('no replica answers'));
    // Counted from here, so that many that come at once do not all choose the same.
    open.set(backend, of(open, backend) + 1);
    chosen += 1;
    chosenAt.set(backend, chosen);
    return new Promise((done, fail) => {
      const socket = connect({ host: backend, port: target.port, noDelay: true });
      const timer = setTimeout(() => socket.destroy(new Error('timed out')), connectTimeoutMs);
      socket.once('connect', () => {
        clearTimeout(timer);
        socket.removeAllListeners('error');
        done({ socket, backend });
      });
      socket.once('error', () => {
        clearTimeout(timer);
        open.set(backend, (open.get(backend) ?? 1) - 1);
        dial(new Set([...tried, backend])).then(done, fail);
      });
    });
  }

  const server: Server = createServer({ pauseOnConnect: true, noDelay: true, allowHalfOpen: true }, (client) => {
    sockets.add(client);
    client.on('error', () => client.destroy());
    client.once('close', () => sockets.delete(client));
    dial(new Set()).then(
      ({ socket, backend }) => {
        socket.on('error', () => client.destroy());
        socket.once('close', () => {
          open.set(backend, (open.get(backend) ?? 1) - 1);
          client.destroySoon();
        });
        client.once('close', () => socket.destroy());
        if (client.destroyed) socket.destroy();
        client.pipe(socket);
        socket.pipe(client);
      },
      (error: Error) => {
        log({ err: error.message }, 'a connection was refused');
        client.destroy();
      },
    );
  });

  await refresh();
  const timer = setInterval(() => void refresh(), options.refreshMs);
  await new Promise<void>((done, fail) => {
    server.once('error', fail);
    server.listen(options.port, options.host, done);
  });
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : options.port,
    backends: () => backends,
    async close(deadlineMs) {
      clearInterval(timer);
      const closed = new Promise<void>((done) => server.close(() => done()));
      const cut = setTimeout(() => {
        for (const socket of sockets) socket.destroy();
      }, deadlineMs);
      await closed;
      clearTimeout(cut);
    },
  };
}
