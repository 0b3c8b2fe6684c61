/** Generates requests from the OpenAPI document: valid requests, almost valid requests and nonsense. */
import fc from 'fast-check';

export interface FuzzRequest {
  method: string;
  path: string;
  headers: Record<string, string>;
  body: string | undefined;
}

// biome-ignore lint/suspicious/noExplicitAny: a JSON Schema is walked without a fixed type.
type Schema = any;

interface Parameter {
  name: string;
  in: 'path' | 'query' | 'header';
  schema: Schema;
  example?: string;
}

interface Operation {
  method: string;
  path: string;
  parameters: Parameter[];
  body: { schema: Schema; examples?: Record<string, { value: unknown }> } | undefined;
}

/** Values that often break code. */
const NASTY = [
  '',
  ' ',
  '\u0000',
  '%',
  '../..',
  '__proto__',
  'constructor',
  '\ud800',
  '😀',
  "'; DROP TABLE models; --",
  '1e400',
];

const text = (names: readonly string[]) =>
  fc.oneof(
    { weight: 5, arbitrary: fc.constantFrom(...names) },
    { weight: 2, arbitrary: fc.string({ maxLength: 40 }) },
    { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 20 }) },
    { weight: 2, arbitrary: fc.constantFrom(...NASTY, 'x'.repeat(5_000)) },
  );

/** Values that a schema allows, to a limited depth. */
function valid(schema: Schema, names: readonly string[]): fc.Arbitrary<unknown> {
  if (schema === undefined) return fc.jsonValue({ maxDepth: 3 });
  const choices = schema.anyOf ?? schema.oneOf;
  if (choices) return fc.oneof(...choices.map((choice: Schema) => valid(choice, names)));
  if (schema.const !== undefined) return fc.constant(schema.const);
  if (schema.enum) return fc.constantFrom(...schema.enum);
  switch (schema.type) {
    case 'string':
      return fc.oneof(fc.constantFrom(...names), fc.string({ maxLength: Math.min(schema.maxLength ?? 30, 30) }));
    case 'integer':
      return fc.integer({ min: schema.minimum ?? -5, max: Math.min(schema.maximum ?? 1_000, 2 ** 31 - 1) });
    case 'number':
      return fc.double({ min: schema.minimum ?? 0.001, max: schema.maximum ?? 1e6, noNaN: true });
    case 'array':
      return fc.array(valid(schema.items, names), { maxLength: 4 });
    case 'object': {
      const entries = Object.entries<Schema>(schema.properties ?? {}).map(([name, field]) => [
        name,
        valid(field, names),
      ]);
      const required = Object.keys(schema.properties ?? {}).filter((name) => schema.required?.includes(name));
      return fc.record(Object.fromEntries(entries), { requiredKeys: required as never[] });
    }
    default:
      return fc.jsonValue({ maxDepth: 3 });
  }
}

/** JSON text with damage at a random place. */
const damaged = (json: fc.Arbitrary<string>) =>
  fc
    .tuple(json, fc.nat(), fc.constantFrom('', '"', '{', ']', ',', ':1', '1e999', '\\ud800', '\u0000', '"a":1,"a":2'))
    .map(([whole, at, insert]) => {
      const place = at % (whole.length + 1);
      return whole.slice(0, place) + insert + whole.slice(place + (at % 3));
    });

function bodyOf(
  { body }: Operation,
  inputs: readonly unknown[],
  names: readonly string[],
): fc.Arbitrary<string | undefined> {
  const free = fc.json({ maxDepth: 5 });
  if (!body) return fc.oneof({ weight: 6, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: free });
  const examples = [...Object.values(body.examples ?? {}).map(({ value }) => value), ...inputs];
  const good = fc.constantFrom(...examples).map((value) => JSON.stringify(value));
  const formed = valid(body.schema, names).map((value) => JSON.stringify(value));
  // An example with some fields from another value.
  const mixed = fc
    .tuple(fc.constantFrom(...examples), valid(body.schema, names))
    .map(([one, other]) => JSON.stringify({ ...(one as object), ...(other as object) }));
  const deep = fc.nat({ max: 200 }).map((depth) => `{"input":${'['.repeat(depth)}${']'.repeat(depth)}}`);
  return fc.oneof(
    { weight: 4, arbitrary: good },
    { weight: 3, arbitrary: formed },
    { weight: 4, arbitrary: mixed },
    { weight: 3, arbitrary: damaged(fc.oneof(good, mixed)) },
    { weight: 1, arbitrary: free },
    { weight: 1, arbitrary: deep },
    { weight: 1, arbitrary: fc.string({ unit: 'binary' }) },
  );
}

const HEADER_VALUES: Readonly<Record<string, readonly string[]>> = {
  prefer: [
    'wait=1',
    'wait=0',
    'respond-async',
    'wait=1, respond-async',
    'wait',
    'wait=x',
    'wait="1"',
    ';;,=',
    'return=minimal',
  ],
  'cache-control': [
    'no-cache',
    'no-store',
    'only-if-cached',
    'max-age=0',
    'max-age=9',
    'max-age',
    'max-age=-1',
    ',,=',
    'no-cache, no-store',
  ],
  'idempotency-key': ['a', '"b"', '""', 'x'.repeat(256), '"c"d', 'k1', 'k2'],
  'request-id': ['x', 'a b', 'x'.repeat(300)],
  // Mostly the version of this server: another version ends a request before anything else is tried.
  'millrace-version': [...Array(20).fill('2026-12-01'), 'x'],
  'if-none-match': ['*', '"x"', 'W/"x"', ',', '"'],
  'last-event-id': ['', '1.succeeded', '0.queued.1', 'x'],
};

const headersOf = (operation: Operation, hasBody: boolean) => {
  const own = operation.parameters.filter((one) => one.in === 'header').map(({ name }) => name.toLowerCase());
  const some = Object.fromEntries(own.map((name) => [name, fc.constantFrom(...(HEADER_VALUES[name] ?? ['x']))]));
  const type = hasBody
    ? fc.constantFrom(...Array(12).fill('application/json'), 'text/plain', 'application/json; charset=x')
    : fc.constant('');
  return fc.tuple(fc.record(some, { requiredKeys: [] }), type).map(([headers, contentType]) => ({
    ...(headers as Record<string, string>),
    ...(contentType === '' ? {} : { 'content-type': contentType }),
  }));
};

export interface FuzzParams {
  // biome-ignore lint/suspicious/noExplicitAny: an OpenAPI document.
  document: any;
  /** Existing models, ids and drugs. */
  names: readonly string[];
  /** Bodies that a model accepts, or that only the model refuses, by the name of the model. */
  bodies: Readonly<Record<string, readonly object[]>>;
}

/** Requests that reach a model: a body of the model, with a fresh field or a number changed, and headers that are valid. */
function reachingRequests(bodies: FuzzParams['bodies']): fc.Arbitrary<FuzzRequest> {
  const pairs = Object.entries(bodies).flatMap(([model, of]) => of.map((body) => ({ model, body })));
  const headers = fc.record(
    {
      prefer: fc.constantFrom('wait=1', 'wait=0', 'respond-async', 'return=minimal', 'wait=x'),
      'cache-control': fc.constantFrom('no-cache', 'no-store', 'max-age=9', 'no-cache', 'only-if-cached'),
      'idempotency-key': fc.integer({ min: 0, max: 400 }).map(String),
    },
    { requiredKeys: [] },
  );
  return fc.tuple(fc.constantFrom(...pairs), headers, fc.nat({ max: 9 })).map(([{ model, body }, sent, number]) => ({
    method: 'POST',
    path: `/v1/models/${model}/predictions`,
    headers: { 'content-type': 'application/json', ...(sent as Record<string, string>) },
    body: JSON.stringify(body, (_, value) => (value === FRESH ? number : value)),
  }));
}

/** Routes that take a model out of service: the other requests would no longer reach the model. */
const LEFT_OUT = /\/(retire|unload)$/;

/** A number that each request replaces, so that not all requests are hits. */
export const FRESH = -987_654;

export function fuzzRequests({ document, names, bodies }: FuzzParams): fc.Arbitrary<FuzzRequest> {
  const inputs = Object.values(bodies).flat();
  const operations = Object.entries<Schema>(document.paths)
    .filter(([path]) => !LEFT_OUT.test(path))
    .flatMap(([path, methods]) =>
      Object.entries<Schema>(methods).map(
        ([method, { parameters = [], requestBody }]): Operation => ({
          method: method.toUpperCase(),
          path,
          parameters,
          body: requestBody?.content['application/json'],
        }),
      ),
    );
  const requestOf = (operation: Operation): fc.Arbitrary<FuzzRequest> => {
    const parts = operation.parameters.filter((one) => one.in === 'path');
    const query = operation.parameters.filter((one) => one.in === 'query');
    const queryValues = Object.fromEntries(
      query.map(({ name, schema }) => [name, fc.oneof(valid(schema, names).map(String), text(names))]),
    );
    return fc
      .tuple(
        fc.tuple(...parts.map(() => text(names))),
        fc.record({ ...queryValues, nonsense: fc.string({ maxLength: 5 }) }, { requiredKeys: [] }),
        operation.method === 'GET' ? fc.constant(undefined) : bodyOf(operation, inputs, names),
        fc.integer({ min: 0, max: 40 }),
      )
      .chain(([values, search, body, dice]) =>
        headersOf(operation, body !== undefined).map((headers) => {
          const filled = parts.reduce(
            (path, { name }, at) => path.replace(`{${name}}`, encode(values[at] as string)),
            operation.path,
          );
          const parameters = Object.entries(search).map(([name, value]) => `${name}=${encode(String(value))}`);
          // Sometimes a method that the path does not have.
          const method = dice === 0 ? 'PUT' : dice === 1 ? 'DELETE' : operation.method;
          return {
            method: dice === 1 && filled.endsWith('/cache') ? 'GET' : method,
            path: parameters.length > 0 && dice > 10 ? `${filled}?${parameters.join('&')}` : filled,
            headers,
            body: method === 'GET' || (dice === 1 && filled.endsWith('/cache')) ? undefined : body,
          };
        }),
      );
  };
  // Predictions get most of the requests.
  const weighted = operations.map((operation) => ({
    weight: operation.path.endsWith('/predictions') && operation.method === 'POST' ? 12 : 1,
    arbitrary: requestOf(operation),
  }));
  const others = fc.oneof(...weighted);
  return fc.oneof({ weight: 2, arbitrary: others }, { weight: 1, arbitrary: reachingRequests(bodies) });
}

/**
 * Encodes a path segment as a client does. An unpaired surrogate cannot be encoded. Clients resolve '.' and '..' before they
 * send a path, and would then request another path.
 */
const encode = (value: string): string => encodeURIComponent(value.toWellFormed().replace(/^\.{1,2}$/, 'dots'));
