/**
 * Bounds the requests that one connection has in hand. A client may send its next request before it has the response to
 * the last (HTTP pipelining). Node calls the request listener for every request of a chunk in one turn of the event loop,
 * and reads on: without a bound, one connection can start thousands of requests at once.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** Most requests of one connection that are processed at the same time. */
export const IN_HAND_MAX = 16;

export type RequestListener = (request: IncomingMessage, response: ServerResponse) => void;

interface Held {
  request: IncomingMessage;
  response: ServerResponse;
  listener: RequestListener;
}

/** Requests that arrived while an earlier request of the connection had no complete response. */
class Pipeline {
  readonly #socket: Socket;
  readonly #held: Held[] = [];
  readonly #release = () => this.#finish();
  /** The request that is not pipelined makes up the number. */
  #free = IN_HAND_MAX - 1;
  #scheduled = false;
  #bodyTimeoutMs: number | undefined;

  constructor(socket: Socket) {
    this.#socket = socket;
    // Node resumes a socket at the end of each request.
    socket.on('resume', () => {
      if (this.#held.length > 0) socket.pause();
    });
  }

  add(next: Held): void {
    if (this.#free > 0 && this.#held.length === 0) this.#start(next);
    else {
      this.#held.push(next);
      this.#socket.pause();
    }
  }

  /** See `closeAfterHeld`. */
  closeAfterHeld(timeoutMs: number): boolean {
    const last = this.#held.at(-1);
    if (last === undefined) return false;
    last.response.setHeader('connection', 'close');
    this.#bodyTimeoutMs = timeoutMs;
    return true;
  }

  #start({ request, response, listener }: Held): void {
    this.#free -= 1;
    response.once('close', this.#release);
    listener(request, response);
  }

  #finish(): void {
    this.#free += 1;
    if (this.#scheduled || this.#held.length === 0) return;
    // In a later turn: responses that are ready at once would otherwise run all held requests in this turn.
    this.#scheduled = true;
    setImmediate(() => this.#startHeld());
  }

  #startHeld(): void {
    this.#scheduled = false;
    const socket = this.#socket;
    if (socket.destroyed) this.#held.length = 0;
    const started = this.#held.splice(0, this.#free);
    for (const held of started) this.#start(held);
    if (this.#held.length > 0) return;
    socket.resume();
    const body = started.at(-1)?.request;
    if (this.#bodyTimeoutMs === undefined || body === undefined) return;
    // Node limits the time of a request once, and this limit has passed while the connection was not read.
    setTimeout(() => body.complete || socket.destroy(), this.#bodyTimeoutMs).unref();
  }
}

const pipelines = new WeakMap<Socket, Pipeline>();

/**
 * A listener that calls `listener` for at most IN_HAND_MAX requests of a connection at a time, in their order. The requests
 * beyond are held, and the connection is not read until they have been started. All bounded listeners share the number.
 */
export function boundPipelines(listener: RequestListener): RequestListener {
  return (request, response) => {
    // A response has no socket while an earlier response of the connection is not complete.
    if (response.socket !== null) return listener(request, response);
    const { socket } = request;
    let pipeline = pipelines.get(socket);
    if (pipeline === undefined) {
      pipeline = new Pipeline(socket);
      pipelines.set(socket, pipeline);
    }
    pipeline.add({ request, response, listener });
  };
}

/**
 * For a request that timed out while it arrived. Returns true where the connection was not read because requests are held:
 * the time-out is not the client's. All held requests are still processed. The last response has `Connection: close`, so
 * that the client sends the rest again on a new connection. A body that is incomplete then has `timeoutMs` to arrive.
 */
export function closeAfterHeld(socket: Socket, timeoutMs: number): boolean {
  return pipelines.get(socket)?.closeAfterHeld(timeoutMs) ?? false;
}
