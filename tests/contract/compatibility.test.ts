/**
 * A breaking change of the HTTP contract needs a new `Millrace-Version`. docs/openapi has the document of each release, and the document of
 * the present version of the contract. `KEEP_CONTRACT=true npm test -- tests/contract/compatibility.test.ts` writes the latter again, for a
 * release.
 */
import { existsSync, readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { API_VERSION } from '@millrace/shared/predictions/event-constants';
import { beforeAll, describe, expect, test } from 'vitest';
import { useMillrace } from '../support/millrace.ts';
import { breakingChanges, hasOasdiff, lineOf } from './oasdiff.ts';

const DOCS = path.resolve(import.meta.dirname, '../../docs');
const fileOf = (version: string): string => path.join(DOCS, 'openapi', `${version}.json`);
/** The last release, whose contract had no version. */
const RELEASE = fileOf('0.1.0');
const PRESENT = fileOf(API_VERSION);

const oasdiff = await hasOasdiff();
const millrace = useMillrace({ models: [] });
// biome-ignore lint/suspicious/noExplicitAny: the tests change single members of an OpenAPI document.
type Json = any;
let document: Json;

beforeAll(async () => {
  document = (await millrace.request('/openapi.json')).body;
});

/** A copy of the document with a change. */
function changed(change: (copy: Json) => void): Json {
  const copy = structuredClone(document);
  change(copy);
  return copy;
}

const CREATE = '/v1/models/{model}/predictions';
const schema = (copy: Json, name: string): Json => copy.components.schemas[name];
const parameter = (copy: Json, name: string): Json =>
  copy.paths['/v1/predictions'].get.parameters.find((one: Json) => one.name === name);

describe.skipIf(!oasdiff)('with oasdiff, which needs Go', () => {
  test(`the contract has no breaking change since its version ${API_VERSION}`, async () => {
    const found = existsSync(PRESENT) ? (await breakingChanges(PRESENT, document)).map(lineOf) : [];
    expect(
      found,
      'These changes break clients. Keep the old form beside the new form, or give API_VERSION (event.ts) a new date and list each change in CHANGELOG.md.',
    ).toEqual([]);
    if (process.env.KEEP_CONTRACT === 'true') await writeFile(PRESENT, `${JSON.stringify(document, null, 1)}\n`);
    expect(
      existsSync(PRESENT),
      'Run this test with KEEP_CONTRACT=true, which writes the document of a new version.',
    ).toBe(true);
  });

  test('each breaking change since the last release is in CHANGELOG.md', async () => {
    const found = await breakingChanges(RELEASE, document);
    expect(found.length).toBeGreaterThan(100);
    const released = JSON.parse(readFileSync(RELEASE, 'utf8'));
    // The release has no version of the contract: so the present version is a new version.
    expect(JSON.stringify(released)).not.toContain(API_VERSION);
    const log = readFileSync(path.join(DOCS, '../CHANGELOG.md'), 'utf8');
    const unreleased = log.slice(log.indexOf('## [Unreleased]'), log.indexOf('\n## [0.1.0]'));
    const names = found
      .filter(({ id }) => /^(re(quest|sponse)-.*(parameter|property)-removed|api-path-removed)/.test(id))
      .map(({ text, path: where, id }) =>
        id.startsWith('api-path') ? lastName(where) : lastName(/`([^`]+)`/.exec(text)?.[1]),
      );
    const missing = [...new Set(names)].filter((name) => !unreleased.includes(name));
    expect(missing).toEqual([]);
  });

  test.each<[string, (copy: Json) => void]>([
    ['a removed route', (copy) => delete copy.paths['/v1/events']],
    ['a removed operation', (copy) => delete copy.paths['/v1/webhook-endpoints/{id}'].delete],
    ['a renamed operation', (copy) => (copy.paths[CREATE].post.operationId = 'makePrediction')],
    ['a removed field of a response', (copy) => delete schema(copy, 'Prediction').properties.attempt],
    ['a field of a response that is optional now', (copy) => schema(copy, 'Prediction').required.splice(0, 1)],
    ['another type of a field', (copy) => (schema(copy, 'Prediction').properties.attempt = { type: 'string' })],
    ['a removed field of a request', (copy) => delete schema(copy, 'CreatePrediction').properties.metadata],
    ['a new required field of a request', (copy) => (schema(copy, 'CreatePrediction').required = ['input'])],
    ['a smaller limit of a field', (copy) => (schema(copy, 'CreateEndpoint').properties.url.maxLength = 100)],
    ['a removed value of a request', (copy) => schema(copy, 'CreatePrediction').properties.priority.enum.pop()],
    ['a removed parameter', (copy) => (parameter(copy, 'model').name = 'of_model')],
    ['a new default of a parameter', (copy) => (parameter(copy, 'limit').schema.default = 50)],
    ['a removed status of success', (copy) => delete copy.paths[CREATE].post.responses['202']],
    ['a removed header of a response', (copy) => delete copy.paths[CREATE].post.responses['202'].headers.Location],
    [
      'a body that became required',
      (copy) => (copy.paths['/v1/predictions/{id}/cancel'].post.requestBody.required = true),
    ],
  ])('finds %s', async (_, change) => {
    expect((await breakingChanges(document, changed(change))).length).toBeGreaterThan(0);
  });

  test.each<[string, (copy: Json) => void]>([
    [
      'a new route',
      (copy) => (copy.paths['/v1/batches'] = { get: { ...copy.paths['/v1'].get, operationId: 'listBatches' } }),
    ],
    [
      'a new field of a response',
      (copy) => (schema(copy, 'Prediction').properties.steps = { type: 'array', items: {} }),
    ],
    [
      'a new optional field of a request',
      (copy) => (schema(copy, 'CreatePrediction').properties.store = { type: 'boolean' }),
    ],
    [
      'a new value of an enum in a response',
      (copy) => schema(copy, 'PredictionStatus')['x-extensible-enum'].push('paused'),
    ],
    [
      'a new value of an enum in a request',
      (copy) => schema(copy, 'CreatePrediction').properties.priority.enum.push('urgent'),
    ],
    ['a larger limit', (copy) => (schema(copy, 'CreateEndpoint').properties.url.maxLength = 4_096)],
    [
      'a new optional parameter',
      (copy) =>
        copy.paths['/v1/events'].get.parameters.push({
          in: 'query',
          name: 'type',
          required: false,
          schema: { type: 'string' },
        }),
    ],
    [
      'a new header of a response',
      (copy) => (copy.paths['/v1'].get.responses['200'].headers.Age = { schema: { type: 'integer' } }),
    ],
    ['a new error', (copy) => (copy.paths['/v1'].get.responses['402'] = { description: 'Payment is due.' })],
    ['other texts and examples', (copy) => (copy.paths['/v1'].get.summary = 'This server')],
  ])('permits %s', async (_, change) => {
    expect((await breakingChanges(document, changed(change))).map(lineOf)).toEqual([]);
  });
});

/** The last part of a path or of a property such as `data/items/queue_ms`. */
const lastName = (text = ''): string =>
  text
    .split('/')
    .filter((part) => !/^\{|^items$/.test(part) && part !== '')
    .at(-1) ?? '';
