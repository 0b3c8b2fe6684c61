/** Tells that a caller has gone before its answer was out. */
import type { FastifyReply } from 'fastify';

const NEVER = new AbortController().signal;

/** Aborts when the connection closes before the answer is out. */
export function goneSignal(reply: FastifyReply, waits: boolean): AbortSignal {
  if (!waits) return NEVER;
  const controller = new AbortController();
  reply.raw.once('close', () => {
    if (!reply.raw.writableFinished) controller.abort();
  });
  return controller.signal;
}
