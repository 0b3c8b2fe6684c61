/**
 * Reports that a client disconnected before the response was sent. A client that ends its side of the connection (a half-close)
 * still receives every response that needs no wait. A half-close during a wait counts as a disconnect: a client that was killed
 * looks the same until the next write.
 */
import type { Socket } from 'node:net';
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

/** Returns a signal that aborts when the client closes its side of the connection before the response is sent. */
export function disconnectSignal(reply: FastifyReply, waits: boolean): DisconnectSignal {
  if (!waits) return NEVER_DISCONNECTS;
  const gone = new ResponseDisconnect();
  const forget = onHalfClose(reply.request.raw.socket, gone);
  // A response closes only once, and `once` would create three more objects.
  reply.raw.on('close', () => {
    forget?.delete(gone);
    if (!reply.raw.writableFinished) gone.abort();
  });
  return gone;
}

interface Abortable {
  abort(): void;
}

/** The waits of a connection, nearly always one at a time: a Set or an array for one wait would be two more objects. */
class Waits {
  #first: Abortable | undefined;
  /** The waits of pipelined requests. */
  #others: Abortable[] | undefined;

  add(wait: Abortable): void {
    if (this.#first === undefined) this.#first = wait;
    else if (this.#others === undefined) this.#others = [wait];
    else this.#others.push(wait);
  }

  delete(wait: Abortable): void {
    if (this.#first === wait) this.#first = this.#others?.pop();
    else {
      const at = this.#others?.indexOf(wait) ?? -1;
      if (at !== -1) this.#others?.splice(at, 1);
    }
  }

  abort(): void {
    const others = this.#others?.slice();
    this.#first?.abort();
    for (const each of others ?? []) each.abort();
  }
}

/** One listener for each connection, because a connection may have many pipelined requests. */
const waits = new WeakMap<Socket, Waits>();

function abortWaits(this: Socket): void {
  waits.get(this)?.abort();
}

/** Calls `abort` when the client ends its side, at once if the side has ended. Returns the waits of the connection. */
export function onHalfClose(socket: Socket, wait: Abortable): Waits | undefined {
  if (socket.readableEnded) {
    wait.abort();
    return undefined;
  }
  let all = waits.get(socket);
  if (all === undefined) {
    all = new Waits();
    waits.set(socket, all);
    // A closure and `once` would create five objects for each connection. A socket ends only once.
    socket.on('end', abortWaits);
  }
  all.add(wait);
  return all;
}
