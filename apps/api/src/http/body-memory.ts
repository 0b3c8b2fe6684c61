/** Bounds the bytes of request bodies that the API holds at once, so that many large requests cannot exhaust its memory. */
import { ApiError } from '@millrace/shared/errors';
import { freeBytes } from '@millrace/shared/predictions/free-bytes';
import type { FastifyInstance } from 'fastify';

/** Smaller bodies are not counted: the number of connections bounds them. */
const SMALL_BYTES = 65_536;

/** The bytes of the bodies that the API holds. */
class BodyMemory {
  readonly #limitBytes: number;
  #heldBytes = 0;

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  /**
   * Whether `bytes` more fit. A body of any size fits while no other body is held: otherwise the body would be refused forever.
   * `ownBytes` is the part of the same body that is already held.
   */
  fits(bytes: number, ownBytes: number): boolean {
    return this.#heldBytes <= ownBytes || this.#heldBytes + bytes <= this.#limitBytes;
  }

  hold(bytes: number): void {
    this.#heldBytes += bytes;
  }

  release(bytes: number): void {
    this.#heldBytes -= bytes;
  }
}

/**
 * The bytes of a body count from their arrival until the response is sent or the connection is closed. Announced bytes that have not
 * arrived do not count: a few clients that announce large bodies and send nothing would keep out all other large bodies. Must be called
 * after the last hook that runs before a body is parsed.
 */
export function limitBodyMemory(app: FastifyInstance, limitBytes: number): void {
  const memory = new BodyMemory(limitBytes);
  app.addHook('onRequest', (request, reply, done) => {
    const { raw } = request;
    const { headers } = raw;
    const length = headers['content-length'];
    if (length === undefined && headers['transfer-encoding'] === undefined) return done();
    const announced = Number(length ?? 0);
    if (length !== undefined && announced < SMALL_BYTES) return done();
    // Fastify builds an object for each look at the route, so small bodies end above.
    const { routeOptions } = request;
    if (routeOptions.config.streamsBody === true) return done();
    // The parser refuses a body above the limit of its route without reading the body.
    if (announced > (routeOptions.bodyLimit ?? Number.POSITIVE_INFINITY)) return done();
    if (!memory.fits(announced, 0)) {
      // The client sends its body before it reads the refusal.
      raw.on('data', freeBytes);
      return done(fullError());
    }
    let bytes = 0;
    reply.raw.once('close', () => memory.release(bytes));
    const count = (chunk: Buffer): void => {
      // A reader of the body listens for its error. Without a listener the body was refused, or its method has no body for the API.
      const isRead = raw.listenerCount('error') > 0;
      if (isRead && memory.fits(chunk.length, bytes)) {
        memory.hold(chunk.length);
        bytes += chunk.length;
        return;
      }
      raw.off('data', count).on('data', freeBytes);
      memory.release(bytes);
      bytes = 0;
      // The parser responds with the error. The connection stays usable, and the rest of the body is read and dropped.
      // An error without a listener would end the process.
      if (isRead) raw.emit('error', fullError());
    };
    // No hook follows, so the body parser adds its listener in the same turn of the event loop, before the first byte.
    raw.on('data', count);
    done();
  });
}

const fullError = (): ApiError =>
  new ApiError(
    'body_memory_full',
    'The API holds as many bytes of requests as it can (BODY_MEMORY); nothing was accepted. Send the request again later.',
    { retryAfterS: 1 },
  );
