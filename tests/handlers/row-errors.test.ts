import { afterAll, describe, expect, test } from 'vitest';
import { makeHandlerModels } from '../support/handler-models.ts';
import { useMillrace } from '../support/millrace.ts';
import { untilCached } from '../support/until-cached.ts';
import { withoutTimeline } from '../support/without-timeline.ts';

const SOURCE = `
import { defineHandler, InputError, Type } from '@millrace/handler';
export default defineHandler({
  input: Type.Object({ x: Type.Number() }, { additionalProperties: false }),
  output: Type.Object({ y: Type.Number(), text: Type.String() }),
  canonicalize: ({ x }) => {
    if (x === 13) throw new InputError({ pointer: '/x', message: 'There is no thirteenth.' });
    return x;
  },
  encode: (rows) => {
    if (rows.includes(77)) throw new InputError({ pointer: '/x', message: '77 has no tensor.', expected: 'another', suggestions: ['78'] });
    return tensors(rows);
  },
  decode: ({ y }, rows) => {
    if (rows.includes(88)) throw new InputError({ pointer: '/x', message: '88 has no output.' });
    if (rows.includes(99)) throw new Error('99 cannot be decoded');
    return rows.map((x, at) => ({ y: y.data[at], text: 'a'.repeat(x >= 1000 ? 300_000 : 1) }));
  },
});
function tensors(rows) {
  return ({ x: { dtype: 'float32', dims: [rows.length, 1], data: Float32Array.from(rows) } });
}
`;

let remove = async () => {};
const millrace = useMillrace(async () => {
  const folder = await makeHandlerModels({ picky: SOURCE }, { row_independent: true });
  remove = folder.remove;
  return { modelsDir: folder.dir, models: ['picky'] };
});
afterAll(() => remove());

const wait = { prefer: 'wait=30' };
const send = (inputs: unknown[], more: object = {}, headers: Record<string, string> = wait) =>
  millrace.predict('picky', { inputs, on_error: 'row', ...more }, headers);
const out = (y: number) => ({ y, text: 'a' });
const invalid = (row: number) => ({
  row,
  error: expect.objectContaining({
    code: 'invalid_input',
    errors: [expect.objectContaining({ pointer: `/inputs/${row}/x` })],
  }),
});
const malformed = (row: number) => ({ row, error: expect.objectContaining({ code: 'invalid_request' }) });
const FAILURE = "decode in the handler of version 1 of model 'picky' failed at handler.ts:16:34: 99 cannot be decoded";
const failed = (row: number) => ({
  row,
  error: expect.objectContaining({ code: 'inference_failed', detail: FAILURE }),
});

describe('with "on_error": "row"', () => {
  test('an invalid row and a failing row have null and an error each, and the other rows have their outputs', async () => {
    const { status, body } = await send([{ x: 1 }, { x: 13 }, { x: 2 }, { z: 1 }, { x: 99 }, { x: 3 }]);
    expect({ status, ...body }).toMatchObject({ status: 'succeeded', rows: 6, output: null, error: null });
    expect(body.outputs).toEqual([out(1), null, out(2), null, null, out(3)]);
    expect(body.row_errors).toEqual([invalid(1), malformed(3), failed(4)]);
    // Only the error of a request can be retryable.
    expect(JSON.stringify(body.row_errors)).not.toContain('retryable');
    expect(withoutTimeline((await millrace.request(`/v1/predictions/${body.id}`)).body)).toEqual(body);
  });

  test('the same request again has the same outputs and errors from the cache, also as a promise and in the list', async () => {
    const inputs = [{ x: 13 }, { x: 41 }, { x: 42 }];
    const first = await send(inputs);
    // An invalid row has no result in the cache, and `only-if-cached` requires none.
    await untilCached(millrace, 'picky', { inputs, on_error: 'row' });
    const again = await send(inputs);
    expect(again.headers.get('cache-status')).toMatch(/; hit; ttl=[1-9]/);
    for (const { body } of [first, again]) {
      expect(body.outputs).toEqual([null, out(41), out(42)]);
      expect(body.row_errors).toEqual([invalid(0)]);
    }
    const promise = await send([...inputs, { x: 43 }], {}, {});
    expect(promise.status).toBe(202);
    const ended = await millrace.request(`/v1/predictions/${promise.body.id}?wait=30`);
    expect(ended.body).toMatchObject({ status: 'succeeded', row_errors: [invalid(0)] });
    const list = await millrace.request('/v1/predictions?include=output&limit=100');
    const listed = (list.body.data ?? list.body.predictions).find(({ id }: { id: string }) => id === promise.body.id);
    expect(listed).toMatchObject({ outputs: [null, out(41), out(42), out(43)], row_errors: [invalid(0)] });
    await millrace.forget(promise.body.id);
    await expect
      .poll(async () => (await millrace.request(`/v1/predictions/${promise.body.id}`)).body)
      .toMatchObject({ outputs: [null, out(41), out(42), out(43)], row_errors: [invalid(0)] });
  });

  test('an InputError of encode and of decode is a fault of the input', async () => {
    const { body } = await send([{ x: 71 }, { x: 77 }, { x: 72 }, { x: 88 }]);
    expect(body.outputs).toEqual([out(71), null, out(72), null]);
    expect(body.row_errors).toEqual([
      {
        row: 1,
        error: expect.objectContaining({
          code: 'invalid_input',
          detail: '77 has no tensor.',
          suggestions: ['78'],
          errors: [
            {
              in: 'body',
              pointer: '/inputs/1/x',
              message: '77 has no tensor.',
              expected: 'another',
              suggestions: ['78'],
            },
          ],
        }),
      },
      invalid(3),
    ]);
    const single = await millrace.predict('picky', { input: { x: 77 } }, wait);
    expect(single.body).toMatchObject({
      status: 'failed',
      error: { code: 'invalid_input', status: 422, errors: [{ pointer: '/input/x' }] },
    });
  });

  test('long outputs and errors are sent together', async () => {
    const { body } = await send([{ x: 1_000 }, { x: 13 }, { x: 1_001 }, { x: 1_002 }, { x: 1_003 }]);
    expect(body.outputs.map((row: { y: number } | null) => row?.y ?? null)).toEqual([1_000, null, 1_001, 1_002, 1_003]);
    expect(body.row_errors).toEqual([invalid(1)]);
  });

  test('without an invalid row, row_errors is empty', async () => {
    expect((await send([{ x: 51 }, { x: 52 }])).body).toMatchObject({ outputs: [out(51), out(52)], row_errors: [] });
  });

  test('requests with and without on_error that arrive together do not share a result', async () => {
    const inputs = [{ x: 61 }, { x: 99 }];
    const [row, whole] = await Promise.all([send(inputs), millrace.predict('picky', { inputs }, wait)]);
    expect(row.body).toMatchObject({ status: 'succeeded', outputs: [out(61), null], row_errors: [failed(1)] });
    expect(whole.body).toMatchObject({ status: 'failed', outputs: null, row_errors: null });
  });

  test('a request without a valid row is refused, and a prediction without an output fails', async () => {
    const refused = await send([{ x: 13 }, { x: 13 }]);
    expect(refused).toMatchObject({
      status: 422,
      body: { code: 'invalid_input', errors: [{ pointer: '/inputs/0/x' }, { pointer: '/inputs/1/x' }] },
    });
    expect((await send([{ x: 13 }, { x: 99 }])).body).toMatchObject({ status: 'failed', outputs: null });
  });

  test('a single input has no on_error', async () => {
    const { status, body } = await millrace.predict('picky', { input: { x: 1 }, on_error: 'row' });
    expect({ status, ...body }).toMatchObject({
      status: 400,
      code: 'invalid_request',
      errors: [{ pointer: '/on_error' }],
    });
  });
});
