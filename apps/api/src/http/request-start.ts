/** When a request began. Fastify measures only routes with a hook, and a hook costs more than the rest of a cache hit's bookkeeping. */
import type { IncomingMessage } from 'node:http';

const START = Symbol('start');

interface Started extends IncomingMessage {
  [START]?: number;
}

/** Called once for each request, before the first hook. */
export function markStart(request: Started): void {
  request[START] = performance.now();
}

/** Milliseconds on the clock of `performance.now()`. */
export const startOf = (request: Started): number => request[START] ?? performance.now();
