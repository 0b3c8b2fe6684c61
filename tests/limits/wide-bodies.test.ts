import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startClientThread } from '../support/client-thread.ts';
import { longestTurnMs } from '../support/longest-turn.ts';
import { useSmallModels } from '../support/small-models.ts';

const millrace = useSmallModels(['rows', 'image', 'doubles', 'longs'], { STORE_TIMEOUT_MS: '30000' });
const client = startClientThread();
afterAll(async () => {
  await client.close();
});

const many = (count: number, text: (at: number) => string): string =>
  Array.from({ length: count }, (_, at) => text(at)).join();
/** `key`: the Idempotency-Key. The API also compares the content of a request with a key. */
const post = (model: string, body: string, key: string = randomUUID()) => {
  const headers = { 'content-type': 'application/json', 'idempotency-key': key };
  return client.measure(`${millrace.url}/v1/models/${model}/predictions`, { method: 'POST', headers, body });
};

/** All bodies are below JSON_LIMIT. */
const WIDE: Readonly<Record<string, () => string>> = {
  'unknown members': () => `{"input":{"x":[1,2]},${many(150_000, (at) => `"k${at}":1`)}}`,
  'unknown inputs of a model': () => `{"input":{${many(150_000, (at) => `"k${at}":1`)}}}`,
  metadata: () => `{"input":{"x":[1,2]},"metadata":{${many(150_000, (at) => `"k${at}":1`)}}}`,
  'a member twice': () => `{"input":{"x":[1,2]},"metadata":{${many(150_000, (at) => `"k${at % 149_000}":1`)}}}`,
  'inputs of different members': () => `{"inputs":[${many(120_000, (at) => `{"k${at}":1}`)}]}`,
  'empty inputs': () => `{"inputs":[${many(600_000, () => '{}')}]}`,
  'numbers as inputs': () => `{"inputs":[${many(900_000, () => '1')}]}`,
  'rows as arrays': () => `{"input":{"x":[${many(400_000, () => '[1]')}]}}`,
  'rows as flat data': () => `{"input":{"x":{"shape":[450000,2],"data":[${many(900_000, () => '1')}]}}}`,
  nested: () =>
    `{"input":${'['.repeat(60)}${many(15_000, () => `${'['.repeat(60)}${']'.repeat(60)}`)}${']'.repeat(60)}}`,
  'as many different members as are allowed': () => `{"inputs":[${many(24_998, (at) => `{"k${at}":1}`)}]}`,
  'as many different members with long names as are allowed': () =>
    `{"inputs":[${many(24_998, (at) => `{"${`k${at}`.padEnd(66, '_')}":1}`)}]}`,
  'as many members in objects as are allowed': () =>
    `{"inputs":[${many(49, (at) => `{${many(999, (n) => `"k${at}_${n}":1`)}}`)}]}`,
  'rows of as many equal members as are allowed': () =>
    `{"inputs":[${many(9_999, () => `{${many(15, (n) => `"k${n}":1`)}}`)}]}`,
  'rows of many equal members and one different member': () =>
    `{"inputs":[${many(2_600, (at) => `{${many(63, (n) => `"k${n}":1`)},"n${at}":1}`)}]}`,
  'as many empty inputs as are allowed': () => `{"inputs":[${many(9_999, () => '{}')}]}`,
  'as many rows as are allowed': () => `{"inputs":[${many(10_000, (at) => `{"x":[[${at},1]]}`)}]}`,
  'as many rows in one tensor as are allowed': () => `{"input":{"x":[${many(10_000, (at) => `[${at},1]`)}]}}`,
  'as many arrays as are allowed': () => `{"inputs":[${many(190_000, () => '[]')}]}`,
  'metadata of as many members as are allowed': () =>
    `{"input":{"x":[[1,2]]},"metadata":{${many(999, (at) => `"k${at}":[${many(49, (n) => `{"k${at}_${n}":1}`)}]`)}}}`,
};

const HELD_MS = 50;
const TRIES = 10;

/**
 * Repeats the work until a turn is below HELD_MS, and returns the shortest turn: in some tries, earlier garbage is
 * collected.
 */
async function leastTurnMs(work: () => Promise<unknown>): Promise<number> {
  let least = Number.POSITIVE_INFINITY;
  for (let n = 0; n < TRIES && least >= HELD_MS; n += 1) least = Math.min(least, await longestTurnMs(work));
  return least;
}

test.each(Object.keys(WIDE))('%s: no turn of the event loop takes 50 ms', { timeout: 180_000 }, async (name) => {
  const body = WIDE[name]?.() ?? '';
  expect(await leastTurnMs(() => post('rows', body))).toBeLessThan(HELD_MS);
});

test('as many rows as are allowed, all of them in the cache: no turn of the event loop takes 50 ms', {
  timeout: 180_000,
}, async () => {
  const body = WIDE['as many rows in one tensor as are allowed']?.() ?? '';
  const cached = async () => {
    const request = { method: 'POST', headers: { 'content-type': 'application/json', prefer: 'wait=60' }, body };
    return (await client.measure(`${millrace.url}/v1/models/rows/predictions`, request)).status;
  };
  // The first request computes the rows.
  expect(await cached()).toBe(200);
  expect(await leastTurnMs(async () => expect(await cached()).toBe(200))).toBeLessThan(HELD_MS);
});

const pixels = (size: number) =>
  `[${many(size, (row) => `[${many(size, (column) => `[0.${row},0.${column},0.5]`)}]`)}]`;

async function expectAccepted(model: string, body: string, key?: string): Promise<void> {
  const { status, start } = await post(model, body, key);
  expect(`${status} ${start}`).toMatch(/^202 /);
}

/** Each body differs, because a cached result would be sent as another kind of response. */
const flat = (shape: string, count: number, element: string) => {
  first += 1;
  return `{"input":{"x":{"shape":${shape},"data":[${first},${many(count - 1, () => element)}]}}}`;
};
let first = 0;
const base64 = (shape: string, values: Float32Array | Float64Array) => {
  first += 1;
  values[0] = first;
  return `{"input":{"x":{"shape":${shape},"base64":"${Buffer.from(values.buffer).toString('base64')}"}}}`;
};

describe('without a worker, so that no other process works on these inputs:', () => {
  beforeAll(() => millrace.stopWorkers('stop'));
  test.each([
    ['an image of 224 pixels a side', 'image', () => `{"input":{"x":[${pixels(224)}]}}`],
    ['an image of 299 pixels a side', 'image', () => `{"input":{"x":[${pixels(299)}]}}`],
    ['a million floats', 'image', () => flat('[1,1000,1000,1]', 1_000_000, '1')],
    ['a million doubles', 'doubles', () => flat('[1000000]', 1_000_000, '1')],
    ['a million longs', 'longs', () => flat('[1000000]', 1_000_000, '1')],
    ['350,000 floats as base64', 'image', () => base64('[1,1000,350,1]', new Float32Array(350_000).fill(1.5))],
    ['175,000 doubles as base64', 'doubles', () => base64('[175000]', new Float64Array(175_000).fill(1.5))],
    ['500,000 longs in quotes', 'longs', () => flat('[500000]', 500_000, '"1"')],
  ])('%s is accepted, and no turn of the event loop takes 50 ms', { timeout: 180_000 }, async (_, model, write) => {
    const bodies = Array.from({ length: TRIES }, write);
    expect(await leastTurnMs(() => expectAccepted(model, bodies.pop() ?? ''))).toBeLessThan(HELD_MS);
    const [key, body] = [randomUUID(), write()];
    await expectAccepted(model, body, key);
    expect(await leastTurnMs(() => expectAccepted(model, body, key))).toBeLessThan(HELD_MS);
  });
});
