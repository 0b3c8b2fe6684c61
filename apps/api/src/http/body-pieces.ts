/**
 * Reads a body without joining its pieces: a copy of a large tensor costs time, and memory that the collector must release. The memory
 * of pieces that nobody needs is released at once: the collector lets hundreds of megabytes add up under load.
 */
import type { IncomingMessage } from 'node:http';
import { ApiError } from '@millrace/shared/errors';
import { freeBytes } from '@millrace/shared/predictions/free-bytes';
import { BytePieces } from '@millrace/shared/tensors/byte-pieces';
import { errorCodes, type FastifyRequest } from 'fastify';

/** A shorter body becomes one Buffer. */
const SHORT_BYTES = 65_536;
/** The small pieces that are kept as they arrive. A client can send a body byte by byte, and a Buffer takes 100 bytes. */
const SMALL_PIECES_MAX = 16;
const SMALL_BYTES = 16_384;
const BLOCK_BYTES = 65_536;
const EMPTY: Buffer = Buffer.alloc(0);

/** The pieces of a body. Many small pieces share blocks. */
export class PieceList {
  readonly pieces: Buffer[] = [];
  bytes = 0;
  #block = EMPTY;
  /** Where the next piece of the block begins. */
  #start = 0;
  #end = 0;

  add(piece: Buffer): void {
    this.bytes += piece.length;
    if (piece.length >= SMALL_BYTES || this.pieces.length < SMALL_PIECES_MAX) {
      this.#endPiece();
      this.pieces.push(piece);
      return;
    }
    for (let at = 0; at < piece.length; ) {
      if (this.#end === this.#block.length) this.#nextBlock();
      const copied = piece.copy(this.#block, this.#end, at);
      this.#end += copied;
      at += copied;
    }
  }

  /** The body as one Buffer if it is short, and otherwise as its pieces. */
  body(): Buffer | BytePieces {
    this.#endPiece();
    if (this.bytes >= SHORT_BYTES) return new BytePieces(this.pieces);
    const [first] = this.pieces;
    return first && this.pieces.length === 1 ? first : Buffer.concat(this.pieces, this.bytes);
  }

  #endPiece(): void {
    if (this.#end > this.#start) this.pieces.push(this.#block.subarray(this.#start, this.#end));
    this.#start = this.#end;
  }

  #nextBlock(): void {
    this.#endPiece();
    this.#block = Buffer.allocUnsafeSlow(BLOCK_BYTES);
    this.#start = 0;
    this.#end = 0;
  }
}

/** Releases the memory of a long body, which nobody may read afterwards. A short body is left to the collector. */
export function freeBody(body: unknown): void {
  if (body instanceof BytePieces) body.release(freeBytes);
}

type Done = (error: Error | null, body?: Buffer | BytePieces) => void;

/** A content type parser of Fastify, with the limits and errors of Fastify's own parsers. */
export function readPieces({ routeOptions }: FastifyRequest, payload: IncomingMessage, done: Done): void {
  readBody(payload, routeOptions.bodyLimit ?? Number.POSITIVE_INFINITY, done);
}

/** Reads a body of at most `limit` bytes: a Buffer, or the pieces of a long body. */
export function readBody(payload: IncomingMessage, limit: number, done: Done): void {
  const { headers } = payload;
  const announced = headers['content-length'] === undefined ? undefined : Number(headers['content-length']);
  if (announced !== undefined && announced > limit) {
    done(new errorCodes.FST_ERR_CTP_BODY_TOO_LARGE());
    return;
  }
  const list = new PieceList();
  let refused = false;
  const end = (error: Error | undefined): void => {
    payload.off('end', ended).off('error', failed);
    if (error) {
      // The listener stays for the rest of the body.
      refused = true;
      for (const piece of list.pieces) freeBytes(piece);
      done(error);
    } else {
      payload.off('data', take);
      done(null, list.body());
    }
  };
  const take = (piece: Buffer): void => {
    if (refused) freeBytes(piece);
    else if (list.bytes + piece.length > limit) end(new errorCodes.FST_ERR_CTP_BODY_TOO_LARGE());
    else list.add(piece);
  };
  const ended = (): void =>
    end(
      announced === undefined || announced === list.bytes
        ? undefined
        : new errorCodes.FST_ERR_CTP_INVALID_CONTENT_LENGTH(),
    );
  const failed = (error: Error): void => end(bodyError(error));
  payload.on('data', take).on('end', ended).on('error', failed);
}

/** The error of a body that did not arrive. Besides the errors of the API itself, a request reports only a closed connection. */
export function bodyError(error: Error): ApiError {
  if (error instanceof ApiError) return error;
  const detail = 'The connection was closed before the whole body had arrived.';
  return new ApiError('invalid_request', detail, { cause: error });
}

/** Reads a body of at most `limit` bytes as one Buffer. The memory of the pieces is released. */
export function readWholeBody(
  payload: IncomingMessage,
  limit: number,
  done: (error: Error | null, body?: Buffer) => void,
): void {
  readBody(payload, limit, (error, body) => {
    if (body === undefined || Buffer.isBuffer(body)) return done(error, body);
    const whole = Buffer.concat(body.pieces, body.length);
    freeBody(body);
    done(null, whole);
  });
}
