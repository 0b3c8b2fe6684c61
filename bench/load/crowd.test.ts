import { expect, test } from 'vitest';
import { parseResponse, post } from './crowd.ts';

const latin1 = (text: string): string => Buffer.from(text, 'utf8').toString('latin1');

test('a response is parsed as soon as it is complete', () => {
  const response = latin1('HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n"köln');
  expect(parseResponse(response.slice(0, 20))).toBeUndefined();
  expect(parseResponse(response.slice(0, -1))).toBeUndefined();
  expect(parseResponse(response)).toEqual({ status: 200, body: '"köln' });
});

test('a response without a content-length fails instead of waiting forever', () => {
  expect(parseResponse('HTTP/1.1 200 OK\r\n\r\n')).toMatchObject({ status: 0 });
});

test('a request states its length in bytes', () => {
  expect(post('http://127.0.0.1:80/a/b', { prefer: 'wait=1' }, '"ö"')).toBe(
    'POST /a/b HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: 4\r\nprefer: wait=1\r\n\r\n"ö"',
  );
});
