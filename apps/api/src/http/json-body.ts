/** The parser of request bodies: JSON within limits, in one turn of the event loop or, for a long body, in several. */
import { freeBytes } from '@millrace/shared/predictions/free-bytes';
import type { Config } from '@millrace/shared/process/config';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { isOptionalBody } from './action-body.ts';
import { bodyError, readWholeBody } from './body-pieces.ts';
import { wrongType } from './error-handler.ts';
import type { JsonLimits } from './json-members.ts';
import { LONG_TEXT, parseBody, parseJson, parseLongBody, parseLongJson } from './parse-json.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** A short body as received; '' for a longer body, and where the request has no body. */
    bodyText: string;
  }
  interface FastifyContextConfig {
    /** Large arrays of numbers inside `input` and `inputs` of the body are NumberArrays. */
    numberArrays?: boolean;
  }
  interface FastifyInstance {
    /** The most bytes of a JSON body. */
    jsonLimit: number;
  }
}

export function jsonLimitsOf(config: Config): JsonLimits {
  const { jsonDepth: depth, maxStringLength: stringLength, jsonMembers: members, jsonItems: items } = config;
  return { depth, stringLength, members, items };
}

export interface JsonBodyParams {
  limits: JsonLimits;
  /** The most bytes of a body. */
  bodyLimit: number;
  /** The body that the same text gave before, or undefined. */
  parsedBefore(text: string): unknown;
}

/** Makes JSON the only type of bodies. */
export function registerJsonBody(app: FastifyInstance, { limits, bodyLimit, parsedBefore }: JsonBodyParams): void {
  app.removeAllContentTypeParsers();
  app.decorateRequest('bodyText', '');
  app.decorate('jsonLimit', bodyLimit);
  refuseOtherTypes(app);
  const parse = (request: FastifyRequest, bytes: Buffer, done: Done): void => {
    try {
      // Many clients always send the header. An empty body of a route without a body is no body.
      if (bytes.length === 0 && hasNoBody(request)) {
        done(null, undefined);
        return;
      }
      if (bytes.length > LONG_TEXT) {
        // With setImmediate, an exception of `done` is not a rejection of the parser.
        (hasArrays(request) ? parseLongBody(bytes, limits) : parseLongJson(bytes.toString(), limits))
          // The parsed body has no part of the bytes.
          .finally(() => freeBytes(bytes))
          .then(
            (body) => setImmediate(done, null, body),
            (error: Error) => setImmediate(done, error),
          );
        return;
      }
      if (bytes.length > SHORT_BYTES) {
        done(null, hasArrays(request) ? parseBody(bytes, limits) : parseJson(bytes.toString(), limits));
        return;
      }
      const text = bytes.toString();
      request.bodyText = text;
      const before = parsedBefore(text);
      if (before !== undefined) {
        done(null, before);
        return;
      }
      const mayHaveArrays = text.includes('[') && hasArrays(request);
      done(null, mayHaveArrays ? parseBody(bytes, limits, text) : parseJson(text, limits));
    } catch (error) {
      done(error instanceof Error ? error : new Error(String(error)));
    }
  };
  // Fastify's own reader keeps the pieces of a long body until a collection: each ten bodies of 1.5 MB cost a collection of 60 ms.
  app.addContentTypeParser('application/json', { bodyLimit }, (request, payload, done) =>
    readWholeBody(payload, bodyLimit, (error, bytes) => {
      if (bytes === undefined) done(error);
      else parse(request, bytes, done);
    }),
  );
}

type Done = (error: Error | null, body?: unknown) => void;

// Fastify builds an object for each look at `routeOptions`, so a short body without an array does without.
const hasArrays = ({ routeOptions }: FastifyRequest): boolean => routeOptions.config.numberArrays === true;

function hasNoBody({ routeOptions: { schema } }: FastifyRequest): boolean {
  return schema?.body === undefined || isOptionalBody(schema.body);
}

/** A body of another type, or without a type: an empty body in chunks is no body, and any other body is refused. */
function refuseOtherTypes(app: FastifyInstance): void {
  app.addContentTypeParser('*', (request, payload, done) => {
    // The handler of unknown routes reads no body.
    if (request.is404) return done(null);
    const { headers } = request;
    if (headers['content-length'] !== undefined) return done(wrongType(request));
    const end = (error: Error | null): void => {
      payload.off('data', began).off('end', ended).off('error', failed);
      done(error);
    };
    const began = (): void => {
      payload.pause();
      end(wrongType(request));
    };
    const ended = (): void => end(null);
    const failed = (error: Error): void => end(bodyError(error));
    payload.on('data', began).on('end', ended).on('error', failed);
  });
}

/** The text of a longer body is not kept: see cache/parsed-requests.ts. */
const SHORT_BYTES = 1_024;
