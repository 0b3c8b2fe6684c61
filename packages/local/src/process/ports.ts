/** Finds free TCP ports for the private servers. */
import { createServer } from 'node:net';
import { errorCode } from './error-code.ts';

/**
 * A TCP port of `host` that was free a moment ago. The caller must expect that another program takes the port first.
 */
export function freePort(host = '127.0.0.1'): Promise<number> {
  return listenOnce(host, 0);
}

const ATTEMPTS = 5;

/**
 * Calls `start` with `count` free ports. Calls `start` again with other ports when another program has taken a port
 * meanwhile.
 */
export async function withFreePorts<T>(count: number, start: (ports: number[]) => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    const ports = await Promise.all(Array.from({ length: count }, () => freePort()));
    try {
      return await start(ports);
    } catch (error) {
      if (attempt === ATTEMPTS || !/address already in use/i.test(String(error))) throw error;
    }
  }
}

/** Whether a server could listen on `port` of `host` now. Rejects for any reason other than a port in use. */
export async function isPortFree(host: string, port: number): Promise<boolean> {
  try {
    await listenOnce(host, port);
    return true;
  } catch (error) {
    if (errorCode(error) === 'EADDRINUSE') return false;
    throw error;
  }
}

function listenOnce(host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen({ host, port, exclusive: true }, () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address ? address.port : port));
    });
  });
}
