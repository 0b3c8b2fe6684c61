/** A file store in a bucket of an S3-compatible store. */
import { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { S3mini } from 's3mini';
import { type BytePart, type FileStore, storeFailed } from './file-store.ts';

export interface S3Settings {
  bucket: string;
  /** The begin of the name of each object: '' or a text that ends with a slash. */
  prefix: string;
  endpoint: string;
  region: string;
  accessKeyId: string;
  secretAccessKey: string;
}

/** An upload holds this many bytes in memory. S3 takes at most 10,000 parts, so that an object may have 78 GiB. */
const PART_BYTES = 8 * 1_048_576;
/** The time limit of one request, except for the body of a read. */
const REQUEST_MS = 60_000;
/** A read ends when the store sends no byte for this time. */
const IDLE_MS = 30_000;
const TRIES = 3;
const BACKOFF_MS = 200;
const [PARTIAL, NOT_FOUND] = [206, 404];
const TYPE = 'application/octet-stream';

export function createS3Store({ bucket, prefix, endpoint, region, ...keys }: S3Settings): FileStore {
  const address = { ...keys, region, endpoint: `${endpoint.replace(/\/+$/, '')}/${bucket}` };
  const s3 = new S3mini({ ...address, requestAbortTimeout: REQUEST_MS });
  const nameOf = (object: string) => `${prefix}${object}`;
  return {
    async write(object, source) {
      const upload = new Upload(s3, nameOf(object));
      try {
        const parts = new PartReader(source);
        const first = await parts.next();
        if (parts.isAtEnd) await upload.putWhole(first);
        else {
          await upload.begin();
          for (let part = first; part.length > 0; part = await parts.next()) await upload.putPart(part);
          await upload.finish();
        }
      } catch (error) {
        await upload.abort();
        throw error;
      }
    },
    async read(object, part) {
      const { fetch: idleFetch, limit } = fetchWithIdleLimit();
      const reader = new S3mini({ ...address, fetch: idleFetch });
      try {
        const response = part
          ? await partOf(reader, nameOf(object), part)
          : await reader.getObjectResponse(nameOf(object));
        if (!response?.body) return undefined;
        return limit(Readable.fromWeb(response.body as never));
      } catch (error) {
        throw storeFailed('read the file', error);
      }
    },
    async remove(object, unfinished) {
      try {
        await s3.deleteObject(nameOf(object));
        if (unfinished) await abortAll(s3, nameOf(object));
      } catch (error) {
        throw storeFailed('delete the file', error);
      }
    },
  };
}

/** Null for an object that does not exist. A store that ignores the range would send other bytes. */
async function partOf(reader: S3mini, name: string, { first, last }: BytePart): Promise<Response | null> {
  try {
    const response = await reader.getObjectRaw(name, false, first, last + 1);
    if (response.status === PARTIAL) return response;
    await response.body?.cancel();
    throw new Error(`the store responded to a range with status ${response.status}: expected ${PARTIAL}`);
  } catch (error) {
    if (error instanceof Error && 'status' in error && error.status === NOT_FOUND) return null;
    throw error;
  }
}

/** Cuts a source into parts of PART_BYTES in one buffer. A part is valid until the next call of `next`. */
class PartReader {
  readonly #source: AsyncIterator<Uint8Array>;
  readonly #buffer = Buffer.allocUnsafeSlow(PART_BYTES);
  #rest: Uint8Array = new Uint8Array();
  isAtEnd = false;

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  /** The next part; empty after the end. Rejects with the error of the source. */
  async next(): Promise<Buffer> {
    let filled = 0;
    while (filled < PART_BYTES) {
      if (this.#rest.length === 0) {
        const { done, value } = await this.#source.next();
        if (done === true) {
          this.isAtEnd = true;
          break;
        }
        this.#rest = value;
      }
      const piece = this.#rest.subarray(0, PART_BYTES - filled);
      this.#buffer.set(piece, filled);
      filled += piece.length;
      this.#rest = this.#rest.subarray(piece.length);
    }
    return this.#buffer.subarray(0, filled);
  }
}

/** One object that is written: whole, or in parts. Every failure of the store is a FileStoreError. */
class Upload {
  readonly #s3: S3mini;
  readonly #name: string;
  #id: string | undefined;
  readonly #parts: { partNumber: number; etag: string }[] = [];

  constructor(s3: S3mini, name: string) {
    this.#s3 = s3;
    this.#name = name;
  }

  putWhole(bytes: Buffer): Promise<unknown> {
    return written(() => this.#s3.putObject(this.#name, bytes, TYPE, undefined, undefined, bytes.length));
  }

  async begin(): Promise<void> {
    this.#id = await written(() => this.#s3.getMultipartUploadId(this.#name, TYPE));
  }

  async putPart(bytes: Buffer): Promise<void> {
    const id = this.#id ?? '';
    this.#parts.push(await written(() => this.#s3.uploadPart(this.#name, id, bytes, this.#parts.length + 1)));
  }

  async finish(): Promise<void> {
    const { etag } = await written(() => this.#s3.completeMultipartUpload(this.#name, this.#id ?? '', this.#parts));
    // S3 can report a failure in a response with status 200.
    if (!etag) throw storeFailed('write the file', new Error('the store did not complete the upload'));
  }

  /** Never rejects. Parts that remain are deleted by the worker's sweep. */
  async abort(): Promise<void> {
    if (this.#id !== undefined) await this.#s3.abortMultipartUpload(this.#name, this.#id).catch(() => {});
  }
}

/** Repeats a request that failed, because a store may be busy or restart. */
async function written<T>(request: () => Promise<T>): Promise<T> {
  for (let tried = 1; ; tried += 1) {
    try {
      return await request();
    } catch (error) {
      const status = error instanceof Error && 'status' in error ? Number(error.status) : 500;
      // The store refuses the request itself, such as a wrong key or a missing bucket.
      if (tried === TRIES || (status >= 400 && status < 500)) throw storeFailed('write the file', error);
      await delay(BACKOFF_MS * tried);
    }
  }
}

async function abortAll(s3: S3mini, name: string): Promise<void> {
  const found = await s3.listMultipartUploads('/', '', 'GET', { prefix: name });
  for (const { key, uploadId } of uploadsIn(found)) if (key === name) await s3.abortMultipartUpload(name, uploadId);
}

/** Reads the uploads of a response: one upload is an object, and several are a list. */
function uploadsIn(found: unknown): { key: string; uploadId: string }[] {
  const result = memberOf(found, 'ListMultipartUploadsResult') ?? found;
  const uploads = memberOf(result, 'Upload') ?? [];
  return (Array.isArray(uploads) ? uploads : [uploads]).map((upload) => ({
    key: String(memberOf(upload, 'Key')),
    uploadId: String(memberOf(upload, 'UploadId')),
  }));
}

const memberOf = (value: unknown, name: string): unknown =>
  typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;

/** A `fetch` whose body ends only where no byte arrives for IDLE_MS, however long the whole body takes. */
function fetchWithIdleLimit(): { fetch: typeof fetch; limit(body: Readable): Readable } {
  const controller = new AbortController();
  const end = () => controller.abort(new Error('the store sent no bytes'));
  let timer = setTimeout(end, IDLE_MS);
  const stop = () => clearTimeout(timer);
  return {
    fetch: (input, init) =>
      fetch(input, { ...init, signal: controller.signal }).catch((error: unknown) => {
        stop();
        throw error;
      }),
    limit(body) {
      body.on('data', () => {
        stop();
        timer = setTimeout(end, IDLE_MS);
      });
      body.pause();
      body.once('close', () => {
        stop();
        controller.abort();
      });
      return body;
    },
  };
}
