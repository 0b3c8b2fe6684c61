/** The errors of protocols of others: one shared response for all errors of an operation, in the form of the protocol. */
import { RESPONSE_HEADERS } from '../http/documented-headers.ts';
import { headerJson } from './problems.ts';

/** The protocol of a path, and the name of its shared response. */
const PROTOCOLS: readonly (readonly [path: RegExp, response: string])[] = [
  [/^\/v2(\/|$)/, 'InferenceError'],
  [/^\/openai\//, 'OpenAIError'],
  [/^\/(tei\/|embed$|rerank$)/, 'TeiError'],
];

export const foreignErrorOf = (url: string): string | undefined => PROTOCOLS.find(([path]) => path.test(url))?.[1];

const errorOf = (name: string, description: string, properties: object) => ({
  description,
  headers: { 'Retry-After': headerJson(RESPONSE_HEADERS['Retry-After']) },
  content: {
    'application/json': { schema: { $id: name, type: 'object', required: Object.keys(properties), properties } },
  },
});

const text = { type: 'string' };

/** The shared responses by name. */
export const foreignResponses = {
  InferenceError: errorOf('InferenceError', 'Any error, in the form of the Open Inference Protocol.', { error: text }),
  OpenAIError: errorOf('OpenAIError', 'Any error, in the form of the OpenAI API.', {
    error: {
      $id: 'OpenAIErrorDetails',
      type: 'object',
      required: ['message', 'type', 'param', 'code'],
      properties: { message: text, type: text, param: { anyOf: [text, { type: 'null' }] }, code: text },
    },
  }),
  TeiError: errorOf('TeiError', 'Any error, in the form of text-embeddings-inference.', {
    error: text,
    error_type: text,
  }),
};
