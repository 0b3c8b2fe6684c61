import { Readable } from 'node:stream';
import { ApiError } from '@millrace/shared/errors';
import { expect, test } from 'vitest';
import { readBody } from './body-pieces.ts';

test('a body whose connection closes is a fault of the request, and not an unexpected error', async () => {
  const payload = Object.assign(new Readable({ read() {} }), { headers: { 'content-length': '100' } });
  const { promise, resolve } = Promise.withResolvers<Error | null>();
  readBody(payload as never, 1_000, resolve);
  payload.push('{"input"');
  payload.destroy(new Error('aborted'));
  expect(await promise).toMatchObject({ code: 'invalid_request', message: expect.stringContaining('closed') });
});

test('a refusal by the API itself stays as it is', async () => {
  const payload = Object.assign(new Readable({ read() {} }), { headers: {} });
  const { promise, resolve } = Promise.withResolvers<Error | null>();
  readBody(payload as never, 1_000, resolve);
  payload.push('{"input"');
  const refusal = new ApiError('body_memory_full', 'full');
  payload.emit('error', refusal);
  expect(await promise).toBe(refusal);
});
