/** Tells that a caller has gone before its answer was out. */
import type { FastifyReply } from 'fastify';

/** As much of an AbortSignal as a waiting request needs: making and listening to a real one took a thirtieth of its time. */
export interface GoneSignal {
  readonly aborted: boolean;
  /** Called once, when the caller goes; undefined for nobody. One at a time may listen. */
  onGone: (() => void) | undefined;
}

export class Gone implements GoneSignal {
  aborted = false;
  onGone: (() => void) | undefined;

  abort(): void {
    this.aborted = true;
    this.onGone?.();
  }
}

/** Of a caller who does not wait: never aborts, and nobody listens. */
export const STAYS: GoneSignal = {
  aborted: false,
  get onGone() {
    return undefined;
  },
  set onGone(_nobody) {},
};

/** Aborts when the connection closes before the answer is out. */
export function goneSignal(reply: FastifyReply, waits: boolean): GoneSignal {
  if (!waits) return STAYS;
  const gone = new Gone();
  reply.raw.once('close', () => {
    if (!reply.raw.writableFinished) gone.abort();
  });
  return gone;
}
