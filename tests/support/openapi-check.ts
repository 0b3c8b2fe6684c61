/** Holds answers against /openapi.json, by a validator that Millrace itself does not use. */
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import type { FastifyInstance } from 'fastify';

export interface SeenAnswer {
  method: string;
  /** With its query. */
  path: string;
  status: number;
  headers: Headers;
  /** JSON as parsed; anything else as text; '' for none. */
  body: unknown;
}

interface Response {
  headers?: Record<string, { schema: { type: string; pattern?: string } }>;
  content?: Record<string, { schema?: object }>;
}

export interface Document {
  paths: Record<string, Record<string, { responses: Record<string, Response> }>>;
  components: { schemas: Record<string, object> };
}

/** Headers that say something of an answer, and so must be told of where they occur. */
const TOLD = ['location', 'retry-after', 'cache-status', 'etag', 'age', 'preference-applied', 'link', 'ratelimit'];

const contracts = new WeakMap<FastifyInstance, Promise<Contract>>();

/** Throws when the answer is none that the document allows. */
export async function checkAnswer(app: FastifyInstance, answer: SeenAnswer): Promise<void> {
  let contract = contracts.get(app);
  if (!contract) {
    contract = app.inject('/openapi.json').then((document) => new Contract(document.json<Document>()));
    contracts.set(app, contract);
  }
  const fault = (await contract).faultOf(answer);
  if (fault === undefined) return;
  const { method, path, status, body } = answer;
  throw new Error(
    `${method} ${path.slice(0, 200)} got a ${status} that ${fault}: ${JSON.stringify(body).slice(0, 1_000)}`,
  );
}

export class Contract {
  readonly document: Document;
  readonly #ajv = new Ajv2020({ strict: false, allErrors: false });
  readonly #validators = new Map<object, ValidateFunction>();
  readonly #paths: { pattern: RegExp; path: string }[];

  constructor(document: Document) {
    this.document = document;
    (addFormats as unknown as (ajv: Ajv2020) => void)(this.#ajv);
    this.#ajv.addSchema(document, 'api');
    // A literal part is preferred to a parameter, as by the router.
    this.#paths = Object.keys(document.paths)
      .sort((a, b) => a.split('{').length - b.split('{').length)
      .map((path) => ({ path, pattern: new RegExp(`^${path.replaceAll(/\{\w+\}/g, '[^/]+')}$`) }));
  }

  #validate(schema: object, body: unknown): string | undefined {
    let validator = this.#validators.get(schema);
    if (!validator) {
      // References are to the whole document.
      const text = JSON.stringify(schema).replaceAll('"#/components/', '"api#/components/');
      validator = this.#ajv.compile(JSON.parse(text) as object);
      this.#validators.set(schema, validator);
    }
    return validator(body) ? undefined : this.#ajv.errorsText(validator.errors);
  }

  /** What is wrong with an answer; undefined when it is as the document says. */
  faultOf({ method, path, status, headers, body }: SeenAnswer): string | undefined {
    const [bare = ''] = path.split('?');
    if (bare.startsWith('/v2')) return undefined;
    const found = this.#paths.find(({ pattern }) => pattern.test(bare));
    const operations = this.document.paths[found?.path ?? ''] ?? {};
    const operation = operations[method.toLowerCase()] ?? (method === 'HEAD' ? operations.get : undefined);
    // HEAD is where GET is, but for streams.
    if (!operation || (method === 'HEAD' && status === 405))
      return this.#faultOfUnknown(found !== undefined && bare.length < 300, status, headers, body);
    const response = operation.responses[String(status)];
    if (!response) return 'is not in the document';
    for (const name of TOLD) {
      const told = Object.keys(response.headers ?? {}).some((known) => known.toLowerCase() === name);
      if (headers.has(name) && !told) return `has a header ${name} that the document does not tell of`;
    }
    for (const [name, { schema }] of Object.entries(response.headers ?? {})) {
      const value = headers.get(name);
      const fits = schema.type === 'integer' ? /^\d+$/ : new RegExp(schema.pattern ?? '');
      if (value !== null && !fits.test(value)) return `has ${name}: ${value}`;
    }
    if (method === 'HEAD') return undefined;
    const type = (headers.get('content-type') ?? '').split(';')[0] ?? '';
    if (!response.content) return body === '' ? undefined : 'has a body where none is told of';
    const content = response.content[type];
    if (!content) return `is of type ${type}`;
    return content.schema ? this.#validate(content.schema, body) : undefined;
  }

  #faultOfUnknown(isPath: boolean, status: number, headers: Headers, body: unknown): string | undefined {
    // Some are refused before the path is looked at.
    if (![404, 405, 400, 413, 415, 431].includes(status)) return 'no route of the document gives';
    if (isPath && status === 404) return 'should be a 405';
    if (status === 405 && !headers.has('allow')) return 'has no Allow';
    return body === '' ? undefined : this.#validate({ $ref: '#/components/schemas/Problem' }, body);
  }
}
