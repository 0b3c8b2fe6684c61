/** Bounds the bytes of request bodies that the API holds at once, so that many large requests cannot exhaust its memory. */
import { ApiError } from '@millrace/shared/errors';
import type { FastifyInstance, FastifyRequest } from 'fastify';

/** Smaller bodies are not counted: the number of connections bounds them. */
const SMALL_BYTES = 65_536;

/** The bytes of the bodies that the API holds. */
export class BodyMemory {
  readonly #limitBytes: number;
  #heldBytes = 0;

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  /**
   * Counts `bytes` as held, and returns whether they fit. A body of any size fits while no other body is held: otherwise the body
   * would be refused for ever. `ownBytes`: the bytes of the same body that are counted already.
   */
  take(bytes: number, ownBytes = 0): boolean {
    if (this.#heldBytes > ownBytes && this.#heldBytes + bytes > this.#limitBytes) return false;
    this.#heldBytes += bytes;
    return true;
  }

  release(bytes: number): void {
    this.#heldBytes -= bytes;
  }
}

/**
 * A body counts from its first byte until the response is sent or the connection is closed. Must be called after the last hook that
 * runs before a body is parsed.
 */
export function limitBodyMemory(app: FastifyInstance, limitBytes: number): void {
  const memory = new BodyMemory(limitBytes);
  app.addHook('onRequest', (request, reply, done) => {
    const length = request.headers['content-length'];
    if (length !== undefined && Number(length) < SMALL_BYTES) return done();
    if (length === undefined && request.headers['transfer-encoding'] === undefined) return done();
    let bytes = 0;
    reply.raw.once('close', () => memory.release(bytes));
    if (length !== undefined) {
      const announced = announcedBytes(request, Number(length));
      if (!memory.take(announced)) return done(fullError());
      bytes = announced;
      return done();
    }
    const payload = request.raw;
    // No hook follows, so the body parser adds its own listener in the same turn: no byte passes before both listen.
    const count = (chunk: Buffer): void => {
      if (memory.take(chunk.length, bytes)) {
        bytes += chunk.length;
        return;
      }
      payload.off('data', count);
      // The parser responds with the error. The connection stays usable, and Node reads and drops the rest of the body.
      payload.emit('error', fullError());
    };
    payload.on('data', count);
    done();
  });
}

/** A body above the limit of its route is refused before it is read, and takes no memory. */
const announcedBytes = ({ routeOptions }: FastifyRequest, length: number): number =>
  length > (routeOptions.bodyLimit ?? Number.POSITIVE_INFINITY) ? 0 : length;

const fullError = (): ApiError =>
  new ApiError(
    'body_memory_full',
    'The API holds as many bytes of requests as it can (BODY_MEMORY); nothing was accepted. Send the request again later.',
    { retryAfterS: 1 },
  );
