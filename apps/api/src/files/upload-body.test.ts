import { PassThrough } from 'node:stream';
import { expect, test } from 'vitest';
import { readUploadBody } from './upload-body.ts';

const HEADERS = { 'content-type': 'multipart/form-data; boundary=b' };

test('a form whose connection closes before its file is a fault of the request', async () => {
  const payload = new PassThrough();
  const read = readUploadBody(payload, HEADERS);
  payload.write('--b\r\ncontent-disposition: form-data; name="expires_in"\r\n\r\n60\r\n--b');
  payload.destroy(new Error('aborted'));
  await expect(read).rejects.toMatchObject({ code: 'invalid_request', message: expect.stringContaining('closed') });
});
