/** Fetches an image by URL, within limits of bytes, time and redirects, and only from permitted addresses. */
import type { Agent, IncomingMessage } from 'node:http';
import https from 'node:https';
import { ApiError } from '@millrace/shared/errors';
import { http } from '@millrace/shared/process/node-http';
import { AddressRefused, createGuardedAgents, NameNotResolved } from '@millrace/shared/webhooks/guarded-agent';
import { type Resolve, readNewTarget, type TargetRules } from '@millrace/shared/webhooks/target';

export interface FetchOptions extends TargetRules {
  resolve: Resolve;
  limitBytes: number;
  timeoutMs: number;
}

export interface ImageFetcher {
  /** Rejects with `image_refused` or `image_unavailable`. */
  fetch(url: string): Promise<Buffer>;
  close(): void;
}

const REDIRECTS_MAX = 3;
const TYPES = /^(?:image\/|application\/octet-stream\b|binary\/octet-stream\b)/i;
const HEADERS = { accept: 'image/*', 'accept-encoding': 'identity', 'user-agent': 'Millrace-Images/1' };

export function createImageFetcher(options: FetchOptions): ImageFetcher {
  const agents = createGuardedAgents(options);
  const follow = async (first: string, signal: AbortSignal): Promise<Buffer> => {
    let text = first;
    for (let redirects = 0; redirects <= REDIRECTS_MAX; redirects += 1) {
      const url = readNewTarget(text, options);
      if (!(url instanceof URL)) throw refused(url.message, 'an https URL outside private networks');
      // A new connection each time: no connection is shared between tenants.
      const response = await open(url, agents.get(url.protocol, true), signal);
      const { statusCode: status = 0, headers } = response;
      if (status === 200) return read(response, options.limitBytes);
      response.destroy();
      if (status < 300 || status >= 400 || headers.location === undefined)
        throw unavailable(`The server of the image responded with status ${status}.`);
      if (!URL.canParse(headers.location, url.href)) throw refused('The image redirects to no URL.', 'a URL');
      text = new URL(headers.location, url.href).href;
    }
    throw refused('The image redirects too often.', `at most ${REDIRECTS_MAX} redirects`);
  };
  return {
    async fetch(url) {
      const signal = AbortSignal.timeout(options.timeoutMs);
      try {
        return await follow(url, signal);
      } catch (error) {
        if (signal.aborted) throw unavailable(`The image did not arrive within ${options.timeoutMs} ms.`);
        throw errorOf(error);
      }
    },
    close: () => agents.destroy(),
  };
}

function open(url: URL, agent: Agent, signal: AbortSignal): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const request = (url.protocol === 'https:' ? https : http).request(url, { agent, signal, headers: HEADERS });
    request.once('response', (response) => {
      // An error after the response belongs to the reader of the response.
      request.on('error', () => {});
      resolve(response);
    });
    request.once('upgrade', (_, socket) => {
      socket.destroy();
      reject(unavailable('The server of the image switched the protocol.'));
    });
    request.once('error', reject);
    request.end();
  });
}

/** Reads a response of at most `limit` bytes. */
async function read(response: IncomingMessage, limit: number): Promise<Buffer> {
  const {
    'content-type': type = '',
    'content-length': length,
    'content-encoding': encoding = 'identity',
  } = response.headers;
  try {
    if (!TYPES.test(type)) throw refused('The response has no type of an image.', 'image/...', type.slice(0, 100));
    if (encoding !== 'identity')
      throw refused('The image is compressed.', 'no Content-Encoding', encoding.slice(0, 100));
    if (Number(length ?? 0) > limit) throw tooLarge(limit);
    const chunks: Buffer[] = [];
    let bytes = 0;
    for await (const chunk of response) {
      bytes += chunk.length;
      if (bytes > limit) throw tooLarge(limit);
      chunks.push(chunk);
    }
    if (!response.complete) throw unavailable('The server of the image ended the response early.');
    return Buffer.concat(chunks);
  } finally {
    response.destroy();
  }
}

/** A private address and a name without an address have one message, so that a caller cannot explore a private network. */
function errorOf(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  const inner = error instanceof AggregateError ? error.errors[0] : error;
  if (inner instanceof AddressRefused || inner instanceof NameNotResolved)
    return refused('The host of the image has no public address.', 'an https URL outside private networks');
  return unavailable('The server of the image could not be reached, or its response could not be read.', error);
}

export function refused(message: string, expected: string, got?: string): ApiError {
  const fault = { pointer: '/image', message, expected, ...(got === undefined ? {} : { got }) };
  return new ApiError('image_refused', `${message} Send the bytes in the request, or expect ${expected}.`, {
    faults: [fault],
  });
}

export const tooLarge = (limit: number): ApiError =>
  refused('The image is too large.', `at most ${limit} bytes (IMAGE_LIMIT)`, 'more');

function unavailable(message: string, cause?: unknown): ApiError {
  const faults = [{ pointer: '/image', message, expected: 'an image that a GET returns' }];
  return new ApiError('image_unavailable', `${message} Send the request again, or send the bytes in the request.`, {
    faults,
    cause,
  });
}
