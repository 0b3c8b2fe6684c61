/** Replaces each image that an input names by URL or file with its bytes, as a data URL. The cache key is then over the content. */
import { createHash } from 'node:crypto';
import { ApiError } from '@millrace/shared/errors';
import type { FileStore } from '@millrace/shared/files/file-store';
import type { StoredFile } from '@millrace/shared/files/file-table';
import { uuidOf } from '@millrace/shared/predictions/public-ids';
import type { Config } from '@millrace/shared/process/config';
import { addressRule } from '@millrace/shared/webhooks/address';
import { createResolve } from '@millrace/shared/webhooks/resolve';
import { createImageFetcher, type ImageFetcher, refused, tooLarge } from './fetch-image.ts';

export interface ImageReaderParams {
  /** Rejects with an ApiError if Postgres fails. */
  findFile(tenant: string, id: string): Promise<StoredFile | undefined>;
  /** Undefined without FILES_URL. */
  store: FileStore | undefined;
  config: Pick<Config, 'imageLimit' | 'imageTimeoutMs' | 'imageHttp' | 'imageNetworks'>;
}

/** The most URLs and files of one request, and the most that are read at the same time. */
const IMAGES_MAX = 64;
const IMAGES_AT_ONCE = 4;
/** The bytes of all images of a request, in multiples of the limit of one image. */
const LIMITS_PER_REQUEST = 4;
/** The most images that an API process reads at the same time, and the most that it reads for one tenant. */
const READS_MAX = 32;
const READS_PER_TENANT = 16;

export class ImageReader {
  readonly #params: ImageReaderParams;
  readonly #fetcher: ImageFetcher;
  readonly #reads = new Map<string, number>();
  #count = 0;

  constructor(params: ImageReaderParams) {
    const { imageLimit, imageTimeoutMs, imageHttp, imageNetworks } = params.config;
    this.#params = params;
    this.#fetcher = createImageFetcher({
      allowHttp: imageHttp,
      mayReach: addressRule(imageNetworks, 'IMAGE_ALLOWED_NETWORKS'),
      resolve: createResolve({ timeoutMs: 2_000, tries: 1 }),
      limitBytes: imageLimit,
      timeoutMs: imageTimeoutMs,
    });
  }

  /** Inputs without a URL or a file are returned unchanged. Rejects where the whole request is refused. */
  async resolve(inputs: readonly unknown[], tenant: string): Promise<unknown[]> {
    const resolved = [...inputs];
    const named = [...inputs.entries()].filter(([, input]) => placeOf(input) !== undefined);
    if (named.length > IMAGES_MAX)
      throw new ApiError(
        'invalid_request',
        `A request names at most ${IMAGES_MAX} images by URL or file, and this request ${named.length}. Send several requests.`,
      );
    const queue = named.values();
    const most = LIMITS_PER_REQUEST * this.#params.config.imageLimit;
    let bytes = 0;
    const work = async () => {
      for (const [at, input] of queue) {
        const image = await this.#read(placeOf(input) ?? '', tenant).catch((error: unknown) => {
          if (error instanceof ApiError && error.faults.length > 0) return error;
          throw error;
        });
        if (image instanceof ApiError) resolved[at] = image;
        else {
          bytes += image.length;
          if (bytes > most)
            throw new ApiError(
              'payload_too_large',
              `The images of a request have at most ${most} bytes. Send several requests.`,
            );
          resolved[at] = { ...(input as object), image: `data:;base64,${image.toString('base64')}` };
        }
      }
    };
    await Promise.all(Array.from({ length: Math.min(IMAGES_AT_ONCE, named.length) }, work));
    return resolved;
  }

  close(): void {
    this.#fetcher.close();
  }

  async #read(place: Place, tenant: string): Promise<Buffer> {
    const own = this.#reads.get(tenant) ?? 0;
    if (this.#count >= READS_MAX || own >= READS_PER_TENANT)
      throw new ApiError(
        'body_memory_full',
        'The API reads as many images as it can; nothing was accepted. Send the request again later.',
        { retryAfterS: 1 },
      );
    this.#count += 1;
    this.#reads.set(tenant, own + 1);
    try {
      return typeof place === 'string' ? await this.#fetcher.fetch(place) : await this.#readFile(place.file, tenant);
    } finally {
      this.#count -= 1;
      const left = (this.#reads.get(tenant) ?? 1) - 1;
      if (left > 0) this.#reads.set(tenant, left);
      else this.#reads.delete(tenant);
    }
  }

  async #readFile(given: string, tenant: string): Promise<Buffer> {
    const { store, config } = this.#params;
    if (store === undefined) throw unknownFile(given);
    const id = uuidOf('file', given);
    const file = id && (await this.#params.findFile(tenant, id));
    if (!file) throw unknownFile(given);
    if (file.bytes > config.imageLimit) throw tooLarge(config.imageLimit);
    const stored = await contentOf(store, file.object);
    if (stored === undefined) throw unknownFile(given);
    if (!createHash('sha256').update(stored).digest().equals(file.sha256))
      throw refused('The file store has other bytes than the file.', 'a file whose content is uploaded again');
    return stored;
  }
}

async function contentOf(store: FileStore, object: string): Promise<Buffer | undefined> {
  try {
    const stream = await store.read(object);
    return stream === undefined ? undefined : Buffer.concat(await stream.toArray());
  } catch (cause) {
    throw new ApiError('store_unavailable', 'The file store (FILES_URL) does not respond; nothing was accepted.', {
      retryAfterS: 5,
      cause,
    });
  }
}

/** A URL, or a file. */
type Place = string | { file: string };

/** Where the image of an input is; undefined for a data URL, and for an input that the task refuses. */
function placeOf(input: unknown): Place | undefined {
  if (typeof input !== 'object' || input === null || !('image' in input)) return undefined;
  const { image } = input;
  if (typeof image === 'string') return /^https?:/i.test(image) ? image : undefined;
  if (typeof image !== 'object' || image === null || !('file' in image)) return undefined;
  return typeof image.file === 'string' ? { file: image.file } : undefined;
}

function unknownFile(id: string): ApiError {
  const message = `No file has the id '${id.slice(0, 64)}'.`;
  return new ApiError('invalid_input', `${message} Send the file again with POST /v1/files.`, {
    faults: [{ pointer: '/image/file', message, expected: 'the id of a file of /v1/files', got: id.slice(0, 64) }],
  });
}
