/** Receives an upload: streams the bytes to the file store, within the limits of bytes, time and uploads at once. */
import { createHash } from 'node:crypto';
import type { Readable } from 'node:stream';
import { ApiError } from '@millrace/shared/errors';
import { type FileStore, FileStoreError } from '@millrace/shared/files/file-store';
import { beginObject, dropObject, usedBytes } from '@millrace/shared/files/file-table';
import { sharedNow } from '@millrace/shared/postgres/clock';
import type { Pool } from '@millrace/shared/postgres/db';
import type { FastifyRequest } from 'fastify';
import { setOwnLimits } from '../http/own-limits.ts';
import { fromStore } from '../http/store-errors.ts';
import { readUploadBody, type UploadBody } from './upload-body.ts';

export interface UploadLimits {
  /** The most bytes of a file. */
  fileLimit: number;
  /** The most bytes of all files of a tenant. */
  filesPerTenant: number;
  /** The longest time without a byte. */
  requestTimeoutMs: number;
  /** The longest time of a whole upload. */
  uploadTimeoutMs: number;
}

export interface ReceiveDeps {
  db: Pool;
  store: FileStore;
  limits: UploadLimits;
  tenantOf(request: FastifyRequest): string;
}

export interface Received {
  object: string;
  sha256: Buffer;
  bytes: number;
  mediaType: string;
  filename: string | null;
  expiresInS: number | undefined;
}

/** The most uploads of this process at once. Each upload to an S3 store takes 8 MiB of its memory. */
const UPLOADS_MAX = 16;
const UPLOADS_PER_TENANT = 8;
/** A worker deletes an object without a file this long after the longest possible upload. */
const MARGIN_MS = 600_000;
/** After a refusal the client may continue to send for this time: many clients read the response only when they have sent the body. */
const LINGER_MS = 5_000;

export class UploadReceiver {
  readonly #deps: ReceiveDeps;
  readonly #uploads = new Map<string, number>();
  #count = 0;

  constructor(deps: ReceiveDeps) {
    this.#deps = deps;
  }

  /** Stores the bytes as an object. The caller makes a file of the object. Rejects with ApiError, and then a worker deletes the object. */
  async receive(request: FastifyRequest, payload: Readable): Promise<Received> {
    const tenant = this.#deps.tenantOf(request);
    const restore = setOwnLimits(request.raw.socket);
    const leave = this.#enter(tenant);
    try {
      return await this.#receive(request, payload, tenant);
    } catch (error) {
      linger(request, payload);
      throw error;
    } finally {
      leave();
      restore();
    }
  }

  async #receive({ headers }: FastifyRequest, payload: Readable, tenant: string): Promise<Received> {
    const { db, store, limits } = this.#deps;
    const announced = Number(headers['content-length'] ?? 0);
    const slack = 65_536; // The other parts of a form.
    if (announced > limits.fileLimit + slack) throw tooLarge(limits.fileLimit);
    const used = await fromStore('Postgres', usedBytes(db, tenant));
    if (used + announced > limits.filesPerTenant + slack) throw tenantFull(limits.filesPerTenant);
    const object = await fromStore('Postgres', beginObject(db, sharedNow() + limits.uploadTimeoutMs + MARGIN_MS));
    let body: UploadBody | undefined;
    try {
      body = await inTime(readUploadBody(payload, headers), limits.requestTimeoutMs);
      const hash = createHash('sha256');
      const meter = { bytes: 0 };
      await store.write(object, metered(body.bytes, { ...limits, onBytes: (chunk) => count(meter, hash, chunk) }));
      if (meter.bytes === 0) throw empty();
      const fields = await inTime(body.fields(), limits.requestTimeoutMs);
      return {
        object,
        sha256: hash.digest(),
        bytes: meter.bytes,
        mediaType: mediaTypeOf(body.mediaType),
        filename: filenameOf(body.filename),
        expiresInS: secondsOf(fields.expires_in),
      };
    } catch (error) {
      body?.abandon();
      await dropObject(db, object).catch(() => {});
      throw error instanceof FileStoreError ? storeAway(error) : error;
    }
  }

  /** Counts an upload. Throws `too_many_uploads`. Returns the function that ends the upload. */
  #enter(tenant: string): () => void {
    const own = this.#uploads.get(tenant) ?? 0;
    if (this.#count >= UPLOADS_MAX || own >= UPLOADS_PER_TENANT)
      throw new ApiError('too_many_uploads', 'Too many uploads are in progress. Send the file again later.', {
        retryAfterS: 1,
      });
    this.#count += 1;
    this.#uploads.set(tenant, own + 1);
    return () => {
      this.#count -= 1;
      const left = (this.#uploads.get(tenant) ?? 1) - 1;
      if (left > 0) this.#uploads.set(tenant, left);
      else this.#uploads.delete(tenant);
    };
  }
}

function count(meter: { bytes: number }, hash: ReturnType<typeof createHash>, chunk: Uint8Array): number {
  hash.update(chunk);
  meter.bytes += chunk.length;
  return meter.bytes;
}

interface Metered {
  fileLimit: number;
  requestTimeoutMs: number;
  uploadTimeoutMs: number;
  /** Returns the number of all bytes so far. */
  onBytes(chunk: Uint8Array): number;
}

/** The bytes of a stream within the limits. The stream stays open after a refusal, so that the client gets the response. */
async function* metered(stream: Readable, { fileLimit, requestTimeoutMs, uploadTimeoutMs, onBytes }: Metered) {
  const endsAt = performance.now() + uploadTimeoutMs;
  const chunks = stream.iterator({ destroyOnReturn: false });
  for (;;) {
    // Only the wait for the client counts: a slow store is no fault of the client.
    const waitMs = Math.min(requestTimeoutMs, Math.max(1, endsAt - performance.now()));
    const { done, value } = await inTime(chunks.next().catch(connectionEnded), waitMs);
    if (done === true) return;
    if (onBytes(value) > fileLimit) throw tooLarge(fileLimit);
    if (performance.now() > endsAt) throw tooSlow();
    yield value as Uint8Array;
  }
}

function connectionEnded(error: unknown): never {
  if (error instanceof ApiError) throw error;
  throw new ApiError('invalid_request', 'The connection ended before the end of the body.', { cause: error });
}

/** Rejects with `request_timeout` if the work takes longer. */
async function inTime<T>(work: Promise<T>, limitMs: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(tooSlow()), limitMs);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Drops the rest of a refused body for a while, and then closes the connection. */
function linger({ raw }: FastifyRequest, payload: Readable): void {
  if (payload.readableEnded || payload.destroyed) return;
  payload.on('error', () => {});
  payload.resume();
  const timer = setTimeout(() => raw.socket.destroy(), LINGER_MS).unref();
  payload.once('close', () => clearTimeout(timer));
}

const tooSlow = (): ApiError =>
  new ApiError('request_timeout', 'The file did not arrive in time. Send the file again.');
const empty = (): ApiError =>
  new ApiError('invalid_request', 'The upload has no bytes. Send the content of a file as the body.');
const tooLarge = (limit: number): ApiError =>
  new ApiError('payload_too_large', `The file has more than ${limit} bytes (FILE_LIMIT). Send a smaller file.`, {
    faults: [{ pointer: '', message: 'Too large', expected: `at most ${limit} bytes`, got: 'more' }],
  });

export const tenantFull = (limit: number): ApiError =>
  new ApiError(
    'files_full',
    `The files of the tenant may take ${limit} bytes in all (FILES_PER_TENANT), or 100,000 files. Delete files first.`,
  );

export const storeAway = (cause: FileStoreError): ApiError =>
  new ApiError(
    'store_unavailable',
    'The file store (FILES_URL) does not respond or takes no bytes; nothing was accepted.',
    {
      retryAfterS: 5,
      cause,
    },
  );

const TYPE = /^[\w!#$&^.+-]{1,60}\/[\w!#$&^.+-]{1,60}(?=\s*(?:;|$))/;
/** The default type of `curl --data-binary`, which says nothing about the file. */
const NO_TYPE = 'application/x-www-form-urlencoded';

function mediaTypeOf(header: string | undefined): string {
  const type = TYPE.exec(header?.trim() ?? '')?.[0]?.toLowerCase();
  return type === undefined || type === NO_TYPE ? 'application/octet-stream' : type;
}

const NAME_MAX = 255;

/** The last part of a path, because some clients send the whole path. Null without a usable name. */
export function filenameOf(text: string | undefined): string | null {
  const name = text
    ?.toWellFormed()
    .replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '')
    .split(/[/\\]/)
    .at(-1)
    ?.trim()
    .slice(0, NAME_MAX)
    .toWellFormed();
  return name === undefined || name === '' || /^\.+$/.test(name) ? null : name;
}

function secondsOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (/^[1-9]\d{0,9}$/.test(text)) return Number(text);
  throw new ApiError('invalid_request', '/expires_in: expected a whole number of seconds.', {
    faults: [
      {
        pointer: '/expires_in',
        message: 'Not a number of seconds',
        expected: 'a whole number, at least 1',
        got: text.slice(0, 100),
      },
    ],
  });
}
