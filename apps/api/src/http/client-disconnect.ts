/** Tells that a caller has gone before its answer was out. */
import type { FastifyReply } from 'fastify';

/** As much of an AbortSignal as a waiting request needs: making and listening to a real one took a thirtieth of its time. */
export interface DisconnectSignal {
  readonly aborted: boolean;
  /** Told once, when the caller goes; undefined for nobody. One at a time may listen. */
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

/** Of a caller who does not wait: never aborts, and nobody listens. */
export const NEVER_DISCONNECTS: DisconnectSignal = {
  aborted: false,
  get listener() {
    return undefined;
  },
  set listener(_nobody) {},
};

/** Aborts when the connection closes before the answer is out. */
export function disconnectSignal(reply: FastifyReply, waits: boolean): DisconnectSignal {
  if (!waits) return NEVER_DISCONNECTS;
  const gone = new ResponseDisconnect();
  // A response closes once: `once` would make three objects more.
  reply.raw.on('close', () => {
    if (!reply.raw.writableFinished) gone.abort();
  });
  return gone;
}
