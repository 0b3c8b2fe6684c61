import { expect, test } from 'vitest';
import { parseAnswer, post } from './crowd.ts';

const latin1 = (text: string): string => Buffer.from(text, 'utf8').toString('latin1');

test('an answer is parsed when all of it is there', () => {
  const answer = latin1('HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n"köln');
  expect(parseAnswer(answer.slice(0, 20))).toBeUndefined();
  expect(parseAnswer(answer.slice(0, -1))).toBeUndefined();
  expect(parseAnswer(answer)).toEqual({ status: 200, body: '"köln' });
});

test('an answer without a length fails instead of never ending', () => {
  expect(parseAnswer('HTTP/1.1 200 OK\r\n\r\n')).toMatchObject({ status: 0 });
});

test('a request says its length in bytes', () => {
  expect(post('http://127.0.0.1:80/a/b', { prefer: 'wait=1' }, '"ö"')).toBe(
    'POST /a/b HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: 4\r\nprefer: wait=1\r\n\r\n"ö"',
  );
});
