/** Reads the body of a request: JSON, within the limit of all JSON of the request. */
import { ApiError } from '@millrace/shared/errors';
import { BytePieces } from '@millrace/shared/tensors/byte-pieces';
import type { FastifyRequest } from 'fastify';
import { LONG_TEXT } from '../http/parse-json.ts';
import { type Bytes, whole } from './binary-tensors.ts';
import type { V2Deps } from './deps.ts';
import { statusOf, V2Error } from './errors.ts';
import { HANDLER_INPUT } from './request.ts';
/** Returns the parser of JSON bodies, within the limit of all JSON of a request. */
export function bodyParser({ jsonLimit, ...deps }: V2Deps): (json: Buffer) => unknown {
  return (json) => {
    if (json.length <= jsonLimit) return json.length > LONG_TEXT ? deps.parseLongBody(json) : deps.parseBody(json);
    throw new V2Error(413, `the JSON has more than ${jsonLimit} bytes: send tensors of this size as binary data`);
  };
}

/** Returns the parser of the elements of a handler's input, which are JSON texts. */
export function elementParser({ jsonLimit, ...deps }: V2Deps): (texts: readonly string[]) => unknown[] {
  return (texts) => {
    const length = texts.reduce((sum, text) => sum + text.length, 0);
    if (length > jsonLimit)
      throw new V2Error(413, `the elements of input '${HANDLER_INPUT}' have more than ${jsonLimit} characters in all`);
    const budget = { items: deps.limits.jsonItems };
    return texts.map((text, at) => {
      try {
        return deps.parseJson(text, budget);
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        const { code, message } = error;
        throw new V2Error(
          statusOf(error),
          `input '${HANDLER_INPUT}': element ${at} ${code === 'invalid_json' ? 'is not JSON: ' : ''}${message}`,
        );
      }
    });
  };
}

export function bodyOf(request: FastifyRequest, parseJson: (json: Buffer) => unknown): unknown {
  const body = bytesOfBody(request);
  return body && body.length > 0 ? parseJson(whole(body)) : undefined;
}

export const bytesOfBody = ({ body }: FastifyRequest): Bytes | undefined =>
  Buffer.isBuffer(body) || body instanceof BytePieces ? body : undefined;
