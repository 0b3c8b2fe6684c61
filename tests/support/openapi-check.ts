/** Compares responses with /openapi.json, with a validator that Millrace itself does not use. */
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import type { FastifyInstance } from 'fastify';

export interface SeenResponse {
  method: string;
  /** Path with its query. */
  path: string;
  status: number;
  headers: Headers;
  /** Parsed JSON, other content as text, or '' for no body. */
  body: unknown;
}

interface DocumentedHeader {
  $ref?: string;
  schema: { type: string; pattern?: string };
}

interface DocumentedResponse {
  $ref?: string;
  headers?: Record<string, DocumentedHeader>;
  content?: Record<string, { schema?: object }>;
}

export interface Document {
  paths: Record<string, Record<string, { responses: Record<string, DocumentedResponse>; 'x-error-codes'?: string[] }>>;
  components: {
    schemas: Record<string, object>;
    responses: Record<string, DocumentedResponse>;
    headers: Record<string, DocumentedHeader>;
  };
}

/** Headers with information about a response. The document must list these headers wherever they occur. */
const INFORMATIVE = [
  'location',
  'content-location',
  'retry-after',
  'cache-status',
  'etag',
  'age',
  'preference-applied',
  'link',
  'ratelimit',
  'millrace-prediction-status',
];

/** The folders of other protocols, and the name of the response with the errors of each protocol. */
const PROTOCOLS = [
  ['/openai/v1/', 'OpenAIError'],
  ['/tei/', 'TeiError'],
  ['/v2/', 'InferenceError'],
] as const;

const contracts = new WeakMap<FastifyInstance, Promise<Contract>>();

/** Throws when the document does not allow the response. */
export async function checkResponse(app: FastifyInstance, response: SeenResponse): Promise<void> {
  let contract = contracts.get(app);
  if (!contract) {
    contract = app.inject('/openapi.json').then((document) => new Contract(document.json<Document>()));
    contracts.set(app, contract);
  }
  const fault = (await contract).faultOf(response);
  if (fault === undefined) return;
  const { method, path, status, body } = response;
  throw new Error(
    `${method} ${path.slice(0, 200)} got a ${status} that ${fault}: ${JSON.stringify(body).slice(0, 1_000)}`,
  );
}

/** A copy of the document in which the schemas allow no further members. */
function closed(part: unknown): object {
  if (Array.isArray(part)) return part.map(closed);
  if (typeof part !== 'object' || part === null) return part as never;
  const copy = Object.fromEntries(Object.entries(part).map(([name, value]) => [name, closed(value)]));
  return 'properties' in copy ? { additionalProperties: false, ...copy } : copy;
}

export class Contract {
  readonly document: Document;
  readonly #ajv = new Ajv2020({ strict: false, allErrors: false });
  readonly #validators = new Map<object, ValidateFunction>();
  readonly #paths: { pattern: RegExp; path: string }[];

  constructor(document: Document) {
    this.document = document;
    (addFormats as unknown as (ajv: Ajv2020) => void)(this.#ajv);
    // Clients must accept unknown values. The API itself must document each value that it sends.
    this.#ajv.addKeyword({
      keyword: 'x-extensible-enum',
      validate: (values: readonly unknown[], value: unknown) => values.includes(value),
    });
    // Clients must accept unknown members. The API itself must document each member that it sends.
    this.#ajv.addSchema(closed(document), 'api');
    // A literal path part takes precedence over a parameter, as in the router.
    this.#paths = Object.keys(document.paths)
      .sort((a, b) => a.split('{').length - b.split('{').length)
      .map((path) => ({ path, pattern: new RegExp(`^${path.replaceAll(/\{\w+\}/g, '[^/]+')}$`) }));
  }

  #validate(schema: object, body: unknown): string | undefined {
    let validator = this.#validators.get(schema);
    if (!validator) {
      // References point into the whole document.
      const text = JSON.stringify(schema).replaceAll('"#/components/', '"api#/components/');
      validator = this.#ajv.compile(JSON.parse(text) as object);
      this.#validators.set(schema, validator);
    }
    return validator(body) ? undefined : this.#ajv.errorsText(validator.errors);
  }

  /** Describes the difference between a response and the document. Returns undefined without a difference. */
  faultOf({ method, path, status, headers, body }: SeenResponse): string | undefined {
    const [bare = ''] = path.split('?');
    const plain = bare === '/v2/' ? '/v2' : bare;
    const found = this.#paths.find(({ pattern }) => pattern.test(plain));
    const operations = this.document.paths[found?.path ?? ''] ?? {};
    const operation = operations[method.toLowerCase()] ?? (method === 'HEAD' ? operations.get : undefined);
    // HEAD exists wherever GET exists, except for streams.
    if (!operation || (method === 'HEAD' && status === 405))
      return this.#faultOfUnknown(
        { method, path: bare, status, headers, body },
        found !== undefined && bare.length < 300,
      );
    // An operation of the Open Inference Protocol has one response for all errors.
    const response = this.#resolve(operation.responses[String(status)] ?? operation.responses.default);
    if (!response) return 'is not in the document';
    const code = (body as { code?: unknown } | null)?.code;
    if (status >= 400 && typeof code === 'string' && !operation['x-error-codes']?.includes(code))
      return `has the code ${code}, which the document does not list for the operation`;
    for (const name of INFORMATIVE) {
      const listed = Object.keys(response.headers ?? {}).some((known) => known.toLowerCase() === name);
      if (headers.has(name) && !listed) return `has a header ${name} that the document does not list`;
    }
    for (const [name, header] of Object.entries(response.headers ?? {})) {
      const { schema } = header.$ref
        ? (this.document.components.headers[header.$ref.split('/').at(-1) ?? ''] ?? header)
        : header;
      const value = headers.get(name);
      const fits = schema.type === 'integer' ? /^\d+$/ : new RegExp(schema.pattern ?? '');
      if (value !== null && !fits.test(value)) return `has ${name}: ${value}`;
    }
    if (method === 'HEAD') return undefined;
    const type = (headers.get('content-type') ?? '').split(';')[0] ?? '';
    if (!response.content) return body === '' ? undefined : 'has a body although the document has none';
    const content = response.content[type];
    if (!content) return `is of type ${type}`;
    return content.schema ? this.#validate(content.schema, body) : undefined;
  }

  #resolve(response: DocumentedResponse | undefined): DocumentedResponse | undefined {
    const name = response?.$ref?.split('/').at(-1);
    return name === undefined ? response : this.document.components.responses[name];
  }

  #faultOfUnknown({ path, status, headers, body }: SeenResponse, isPath: boolean): string | undefined {
    // Some requests are refused before the path is read.
    if (![404, 405, 400, 413, 415, 431].includes(status)) return 'is not a refusal of an unknown route';
    if (isPath && status === 404) return 'should be a 405';
    if (status === 405 && !headers.has('allow')) return 'has no Allow';
    if (body === '') return undefined;
    const protocol = PROTOCOLS.find(([folder]) => `${path}/`.startsWith(folder))?.[1] ?? '';
    const schema = this.document.components.responses[protocol]?.content?.['application/json']?.schema;
    return this.#validate(schema ?? { $ref: '#/components/schemas/Problem' }, body);
  }
}
