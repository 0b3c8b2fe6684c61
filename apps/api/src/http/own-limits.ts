/**
 * Connections whose present request has its own limits of time and memory: an upload may take longer than REQUEST_TIMEOUT_MS, and
 * streams its body. Node reports the time-out of a request only once, so that an ignored time-out does not return.
 */
import type { Socket } from 'node:net';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The route streams its body, so that the body does not count as memory. */
    streamsBody?: boolean;
  }
}

const sockets = new WeakSet<Socket>();

/** Ignores the time limit of requests until the returned function is called. */
export function setOwnLimits(socket: Socket): () => void {
  sockets.add(socket);
  return () => void sockets.delete(socket);
}

export const hasOwnLimits = (socket: Socket): boolean => sockets.has(socket);
