/** Walks the OpenAPI document and compares each part with docs/api-conventions.md. The protocols of others have their own rules. */

import { PREDICTION_EVENTS } from '@millrace/shared/webhooks/event';
import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { beforeAll, expect, test } from 'vitest';
import { useMillrace } from '../support/millrace.ts';

// biome-ignore lint/suspicious/noExplicitAny: the tests read single members of an OpenAPI document.
type Json = any;

const millrace = useMillrace({ models: [] });
let document: Json;

beforeAll(async () => {
  document = (await millrace.request('/openapi.json')).body;
});

/** Each object of the document with its place. */
function* objects(part: unknown, place = '#'): Generator<{ part: Json; place: string }> {
  if (typeof part !== 'object' || part === null) return;
  yield { part, place };
  for (const [name, value] of Object.entries(part)) yield* objects(value, `${place}/${name}`);
}

const operationsOf = (paths: Json): { name: string; operation: Json }[] =>
  Object.entries<Json>(paths).flatMap(([path, methods]) =>
    Object.entries<Json>(methods).map(([method, operation]) => ({ name: `${method} ${path}`, operation })),
  );
const allOperations = () => [...operationsOf(document.paths), ...operationsOf(document.webhooks)];
/** The operations of our own API. */
const operations = () =>
  operationsOf(document.paths).filter(({ name }) => !/^[a-z]+ \/(v2|openai|tei|embed|rerank)(\/|$)/.test(name));

/** The names of the schemas that requests to our own API use. */
function requestSchemas(): Set<string> {
  const requests = new Set<string>();
  const collect = (part: unknown): void => {
    for (const { part: found } of objects(part)) {
      const name = typeof found.$ref === 'string' ? found.$ref.split('/').at(-1) : undefined;
      if (name === undefined || requests.has(name)) continue;
      requests.add(name);
      collect(document.components.schemas[name]);
    }
  };
  for (const { operation } of operations()) collect(operation.requestBody);
  return requests;
}

test('an enum is a list of texts, and never a union of constants', () => {
  const wrong = [...objects(document)].filter(
    ({ part }) =>
      (Array.isArray(part.anyOf) && part.anyOf.length > 1 && part.anyOf.every((choice: Json) => 'const' in choice)) ||
      (Array.isArray(part.enum) && part.type !== 'string'),
  );
  expect(wrong.map(({ place }) => place)).toEqual([]);
});

test('no response has an enum: a client must accept a value that a later version adds', () => {
  const requests = requestSchemas();
  const responses = Object.entries<Json>(document.components.schemas).filter(([name]) => !requests.has(name));
  const wrong = [...objects(Object.fromEntries(responses))].filter(
    ({ part }) => Array.isArray(part.enum) || typeof part.const === 'string',
  );
  expect(wrong.map(({ place }) => place)).toEqual([]);
  expect(document.components.schemas.PredictionStatus['x-extensible-enum']).toContain('succeeded');
});

test('the schemas of responses are open, and the schemas of requests are closed', () => {
  const requests = requestSchemas();
  expect(requests.size).toBeGreaterThan(4);
  const named = Object.entries<Json>(document.components.schemas).filter(([, schema]) => schema.type === 'object');
  for (const [name, schema] of named)
    expect([name, schema.additionalProperties]).toEqual([name, requests.has(name) ? false : undefined]);
});

test('every body of a request and every JSON response has a named schema', () => {
  const unnamed: string[] = [];
  for (const { name, operation } of allOperations()) {
    const body = operation.requestBody?.content['application/json']?.schema;
    if (body && !body.$ref) unnamed.push(`${name}: body`);
    for (const [status, response] of Object.entries<Json>(operation.responses ?? {})) {
      const schema = response.content?.['application/json']?.schema;
      // The document describes itself only as an object.
      if (schema && !schema.$ref && !name.endsWith('/openapi.json')) unnamed.push(`${name}: ${status}`);
    }
  }
  expect(unnamed).toEqual([]);
});

test('every error is a reference to a shared response, and the operation lists its codes', () => {
  for (const { name, operation } of operations()) {
    expect([name, operation['x-error-codes'].length > 0]).toEqual([name, true]);
    for (const [status, response] of Object.entries<Json>(operation.responses))
      if (Number(status) >= 400 && !response.content?.['application/json'])
        expect([name, status, response.$ref]).toEqual([
          name,
          status,
          expect.stringMatching(/^#\/components\/responses\//),
        ]);
  }
});

test('every operation but the public operations can need a key', () => {
  expect(document.components.securitySchemes.apiKey).toMatchObject({ type: 'http', scheme: 'bearer' });
  const open = operations().filter(({ operation }) => operation.security?.length === 0);
  expect(open.map(({ name }) => name).sort()).toEqual([
    'get /',
    'get /docs',
    'get /healthz',
    'get /metrics',
    'get /openapi.json',
    'get /readyz',
  ]);
  for (const { operation } of operations()) expect('401' in operation.responses).toBe(operation.security?.length !== 0);
});

test('names are snake_case, and times end in _at or _until', () => {
  const wrong: string[] = [];
  for (const { part, place } of objects(document.components.schemas)) {
    if (!place.endsWith('/properties')) continue;
    for (const [name, schema] of Object.entries<Json>(part)) {
      if (!/^[a-z][a-z0-9_]*$/.test(name)) wrong.push(`${place}/${name}`);
      const isTime = [schema, ...(schema.anyOf ?? [])].some(({ format }: Json) => format === 'date-time');
      if (isTime && !/_at$|_until$|^at$|^timestamp$|_since$/.test(name)) wrong.push(`${place}/${name}`);
    }
  }
  expect(wrong).toEqual([]);
});

test('every reference leads to a component', () => {
  for (const { part } of objects(document)) {
    if (typeof part.$ref !== 'string') continue;
    const [, kind, group, name] = part.$ref.split('/');
    expect([part.$ref, document[kind]?.[group]?.[name] !== undefined]).toEqual([part.$ref, true]);
  }
});

test('every response that is no reference names the general headers', () => {
  for (const { name, operation } of operations())
    for (const response of Object.values<Json>(operation.responses))
      if (!response.$ref)
        expect([name, Object.keys(response.headers)]).toEqual([
          name,
          expect.arrayContaining(['Request-Id', 'Millrace-Version']),
        ]);
});

/** Each body that the document describes as JSON, with its examples. */
function* jsonBodies(): Generator<{ place: string; content: Json }> {
  for (const { name, operation } of allOperations()) {
    const described: [string, Json][] = [
      ['request', operation.requestBody],
      ...Object.entries<Json>(operation.responses).filter(([, response]) => !response.$ref),
    ];
    for (const [part, body] of described) {
      const content = body?.content?.['application/json'];
      // The document is its own example.
      if (content && !name.endsWith('/openapi.json')) yield { place: `${name}: ${part}`, content };
    }
  }
}

/** A copy of a schema in which objects allow no further members: an example shows only documented members. */
function closed(part: unknown): Json {
  if (Array.isArray(part)) return part.map(closed);
  if (typeof part !== 'object' || part === null) return part;
  const copy = Object.fromEntries(Object.entries(part).map(([name, value]) => [name, closed(value)]));
  return 'properties' in copy ? { additionalProperties: false, ...copy } : copy;
}

test('every request and every JSON response has an example that fits its schema', () => {
  const ajv = new Ajv2020({ strict: false });
  (addFormats as unknown as (target: Ajv2020) => void)(ajv);
  ajv.addSchema({ ...closed({ components: document.components }) }, 'api');
  const wrong: string[] = [];
  let count = 0;
  for (const { place, content } of jsonBodies()) {
    const examples = Object.entries<Json>(content.examples ?? {});
    if (examples.length === 0) wrong.push(`${place} has no example`);
    const fits = ajv.compile(
      JSON.parse(JSON.stringify(content.schema).replaceAll('"#/components/', '"api#/components/')),
    );
    for (const [name, { value }] of examples) {
      count += 1;
      if (!fits(value)) wrong.push(`${place}, ${name}: ${ajv.errorsText(fits.errors)}`);
    }
  }
  expect(wrong).toEqual([]);
  expect(count).toBeGreaterThan(50);
});

test('every list has the form of all lists, its parameters and a Link', () => {
  const lists = Object.entries<Json>(document.components.schemas).filter(([name]) => name.endsWith('List'));
  expect(lists.length).toBeGreaterThan(6);
  for (const [name, { properties, required }] of lists) {
    expect([name, Object.keys(properties)]).toEqual([name, ['data', 'next', 'has_more']]);
    expect([name, required]).toEqual([name, ['data', 'next', 'has_more']]);
  }
  const names = new Set(lists.map(([name]) => `#/components/schemas/${name}`));
  for (const { name, operation } of operations()) {
    const { content, headers } = operation.responses['200'] ?? {};
    if (!names.has(content?.['application/json']?.schema.$ref)) continue;
    // A history has steps of a period: `from`, `to` and `step` select them.
    if (operation.operationId === 'listStats') continue;
    const parameters = operation.parameters.map((parameter: Json) => parameter.name);
    expect([name, parameters]).toEqual([name, expect.arrayContaining(['limit', 'cursor'])]);
    // `next` of the feed is a bookmark, also after the last page.
    if (operation.operationId !== 'listEvents')
      expect([name, Object.keys(headers)]).toEqual([name, expect.arrayContaining(['Link'])]);
  }
});

test('every response has all members: only named exceptions are optional, and a missing value is null', () => {
  // A prediction has inputs, outputs and errors of rows on request, and a problem has only the parts that apply.
  const exceptions = [
    'EventData',
    'EndpointEventData',
    'EventError',
    'Fault',
    'ListedPrediction',
    'Prediction',
    'PredictionError',
    'Problem',
    'Readiness',
  ];
  const requests = requestSchemas();
  const foreign = /^(OpenAI|Tei|Inference|Repository|Server|Model(Metadata|Ready|Statistics)|TensorMetadata)/;
  const wrong = Object.entries<Json>(document.components.schemas)
    .filter(([name]) => !exceptions.includes(name) && !requests.has(name) && !foreign.test(name))
    .flatMap(([name, { properties = {}, required = [] }]) =>
      Object.keys(properties)
        .filter((field) => !required.includes(field))
        .map((field) => `${name}.${field}`),
    );
  expect(wrong).toEqual([]);
});

test('a count is an integer, and a duration ends in _ms or _s', () => {
  const wrong: string[] = [];
  for (const { part, place } of objects(document.components.schemas)) {
    if (!place.endsWith('/properties')) continue;
    for (const [name, schema] of Object.entries<Json>(part)) {
      const types = [schema, ...(schema.anyOf ?? [])].map(({ type }: Json) => type);
      // Shares, and rates per second, which the name states.
      const isFraction =
        types.includes('number') && !/_(ms|s|share)$|^rate$|^score$|_per_s$|^ns$|^expires_in$/.test(name);
      if (isFraction) wrong.push(`${place}/${name}`);
    }
  }
  expect(wrong).toEqual([]);
});

test('a verb stands only at the end of a POST path, and paths are plural nouns with hyphens', () => {
  const verbs = ['cancel', 'retry', 'redeliver', 'rotate', 'test'];
  for (const { name } of operations()) {
    const [method, path = ''] = name.split(' ');
    const parts = path.split('/').slice(1);
    for (const [at, part] of parts.entries()) {
      if (/^\{[a-z_]+\}$/.test(part) || part === '') continue;
      expect([name, part]).toEqual([name, expect.stringMatching(/^[a-z0-9.-]+$/)]);
      if (verbs.includes(part)) expect([name, method, at]).toEqual([name, 'post', parts.length - 1]);
    }
  }
});

test('an operation has an id of a verb and a noun, a tag and a summary', () => {
  for (const { name, operation } of allOperations()) {
    expect([name, operation.operationId]).toEqual([name, expect.stringMatching(/^[a-z]+([A-Z][A-Za-z]*)+$/)]);
    expect([name, operation.tags.length, operation.summary.length > 5]).toEqual([name, 1, true]);
  }
});

test('DELETE is 204, an action returns 200 or 202, and only POST of an action has an optional body', () => {
  for (const { name, operation } of operations()) {
    const successes = Object.keys(operation.responses).filter((status) => status < '300');
    if (name.startsWith('delete ')) expect([name, successes]).toEqual([name, ['204']]);
    if (name.startsWith('post ') && successes.includes('201'))
      expect(operation.responses['201'].headers).toHaveProperty('Location');
    if (!name.startsWith('post ') && operation.requestBody)
      expect([name, operation.requestBody.required]).toEqual([name, true]);
  }
});

test('every single resource has an ETag, and every change of a resource takes If-Match', () => {
  const names = (operation: Json): string[] => operation.parameters.map(({ name }: Json) => name);
  const reads = operations().filter(({ name, operation }) => {
    const schema = operation.responses['200']?.content?.['application/json']?.schema.$ref ?? '';
    // The state of a worker changes all the time, and no request changes a worker.
    const isResource = operation.operationId !== 'getWorker' && !schema.endsWith('List');
    return /^get \/v1\/.*(\}|-secret)$/.test(name) && schema !== '' && isResource;
  });
  expect(reads.length).toBeGreaterThan(8);
  for (const { name, operation } of reads) {
    expect([name, names(operation)]).toEqual([name, expect.arrayContaining(['If-None-Match'])]);
    expect([name, Object.keys(operation.responses)]).toEqual([name, expect.arrayContaining(['304'])]);
    expect([name, Object.keys(operation.responses['200'].headers)]).toEqual([name, expect.arrayContaining(['ETag'])]);
  }
  // A purge changes no representation.
  const changes = operations().filter(({ name }) => /^(put|patch|delete) /.test(name) && !name.endsWith('/cache'));
  expect(changes.length).toBeGreaterThan(3);
  for (const { name, operation } of changes) {
    expect([name, names(operation)]).toEqual([name, expect.arrayContaining(['If-Match'])]);
    expect([name, operation['x-error-codes']]).toEqual([name, expect.arrayContaining(['precondition_failed'])]);
  }
});

test('the document describes each event that a receiver gets', () => {
  expect(Object.keys(document.webhooks)).toEqual([...PREDICTION_EVENTS, 'webhook_endpoint.test']);
});
