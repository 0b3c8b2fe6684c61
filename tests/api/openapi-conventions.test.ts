/** Walks the OpenAPI document and compares each part with docs/api-conventions.md. */
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

const operations = (): { name: string; operation: Json }[] =>
  Object.entries<Json>(document.paths).flatMap(([path, methods]) =>
    Object.entries<Json>(methods).map(([method, operation]) => ({ name: `${method} ${path}`, operation })),
  );

test('an enum is a list of texts, and never a union of constants', () => {
  const wrong = [...objects(document)].filter(
    ({ part }) =>
      (Array.isArray(part.anyOf) && part.anyOf.length > 1 && part.anyOf.every((choice: Json) => 'const' in choice)) ||
      (Array.isArray(part.enum) && part.type !== 'string'),
  );
  expect(wrong.map(({ place }) => place)).toEqual([]);
});

test('the schemas of responses are open, and the schemas of requests are closed', () => {
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
  expect(requests.size).toBeGreaterThan(4);
  const named = Object.entries<Json>(document.components.schemas).filter(([, schema]) => schema.type === 'object');
  for (const [name, schema] of named)
    expect([name, schema.additionalProperties]).toEqual([name, requests.has(name) ? false : undefined]);
});

test('every body of a request and every JSON response has a named schema', () => {
  const unnamed: string[] = [];
  for (const { name, operation } of operations()) {
    const body = operation.requestBody?.content['application/json'].schema;
    if (body && !body.$ref) unnamed.push(`${name}: body`);
    for (const [status, response] of Object.entries<Json>(operation.responses)) {
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
