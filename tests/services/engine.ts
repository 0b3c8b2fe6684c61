import { existsSync } from 'node:fs';
import { request } from 'node:http';

/** A container engine that responds. */
export interface Engine {
  /** Whether the engine has the image, or pulls the image within the time. */
  provides(image: string, timeoutMs: number): Promise<boolean>;
}

/**
 * Finds the engine of this machine with a direct request. Loading testcontainers takes a second, even without an
 * engine.
 */
export async function findEngine(env: NodeJS.ProcessEnv): Promise<Engine | undefined> {
  const address = engineAddress(env);
  if (!address || (await engineCall(address, 'GET', '/_ping', 2_000)) !== 200) return undefined;
  const has = async (image: string) => (await engineCall(address, 'GET', `/images/${image}/json`, 5_000)) === 200;
  const pull = (image: string, timeoutMs: number) => {
    const [name = '', tag = 'latest'] = image.split(':');
    const query = new URLSearchParams({ fromImage: name, tag });
    return engineCall(address, 'POST', `/images/create?${query}`, timeoutMs);
  };
  return {
    provides: async (image, timeoutMs) => {
      if (await has(image)) return true;
      await pull(image, timeoutMs);
      return has(image);
    },
  };
}

type Address = { socketPath: string } | { host: string; port: number };

/** The engine's address from the environment, or the default socket if the socket exists. */
export function engineAddress({ DOCKER_HOST: configured }: NodeJS.ProcessEnv): Address | undefined {
  if (!configured) {
    const socketPath = '/var/run/docker.sock';
    return existsSync(socketPath) ? { socketPath } : undefined;
  }
  const url = new URL(configured);
  if (url.protocol === 'unix:') return { socketPath: url.pathname };
  return { host: url.hostname, port: Number(url.port || 2375) };
}

/** The status of a complete response, or undefined. */
export function engineCall(
  address: Address,
  method: string,
  path: string,
  timeoutMs: number,
): Promise<number | undefined> {
  return new Promise((resolve) => {
    const signal = AbortSignal.timeout(timeoutMs);
    const sent = request({ ...address, method, path, signal }, (response) => {
      response.on('error', () => resolve(undefined));
      response.on('end', () => resolve(response.statusCode));
      response.resume();
    });
    sent.on('error', () => resolve(undefined));
    sent.end();
  });
}
