/** Reports that a client disconnected before the response was sent. */
import type { FastifyReply } from 'fastify';

/** The part of AbortSignal that a waiting request needs. A real AbortSignal took a thirtieth of the time of such a request. */
export interface DisconnectSignal {
  readonly aborted: boolean;
  /** Called once, when the client disconnects. The signal has at most one listener. */
  listener: { gone(): void } | undefined;
}

export class ResponseDisconnect implements DisconnectSignal {
  aborted = false;
  listener: { gone(): void } | undefined;

  abort(): void {
    this.aborted = true;
    this.listener?.gone();
  }
}

/** The signal of a request that does not wait. The signal never aborts and keeps no listener. */
export const NEVER_DISCONNECTS: DisconnectSignal = {
  aborted: false,
  get listener() {
    return undefined;
  },
  set listener(_ignored) {},
};

/** Returns a signal that aborts when the connection closes before the response is sent. */
export function disconnectSignal(reply: FastifyReply, waits: boolean): DisconnectSignal {
  if (!waits) return NEVER_DISCONNECTS;
  const gone = new ResponseDisconnect();
  // A response closes only once, and `once` would create three more objects.
  reply.raw.on('close', () => {
    if (!reply.raw.writableFinished) gone.abort();
  });
  return gone;
}
