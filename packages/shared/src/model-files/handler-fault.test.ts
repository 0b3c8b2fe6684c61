import { expect, test } from 'vitest';
import { handlerFailure, placeIn } from './handler-fault.ts';

const HANDLER = 'file:///srv/models/m/handler.ts?handler=0a1b';
const stackOf = (message: string, ...frames: string[]) =>
  [`Error: ${message}`, ...frames.map((frame) => `    at ${frame}`)].join('\n');

test.each([
  ['the innermost frame of the handler', stackOf('x', `act (${HANDLER}:9:3)`, `canonicalize (${HANDLER}:20:5)`), '9:3'],
  ['a frame without a function', stackOf('x', `${HANDLER}:4:1`), '4:1'],
  ['a frame below a package', stackOf('x', 'parse (file:///srv/node_modules/p/index.js:1:9)', `${HANDLER}:7:2`), '7:2'],
  ['an async frame', stackOf('x', `async Object.decode (${HANDLER}:7:2)`), '7:2'],
  ['a file that cannot be parsed', `${HANDLER}:3\n  oops =\n    ^\n\nSyntaxError: Expression expected`, '3'],
])('finds %s', (_, stack, line) => {
  expect(placeIn(stack, 'x')).toBe(`handler.ts:${line}`);
});

test('names an imported file, and decodes its name', () => {
  expect(placeIn(stackOf('x', 'f (file:///srv/m/w%C3%B6rter.ts?handler=0a:1:2)'))).toBe('wörter.ts:1:2');
});

test('finds no line in the message of the error, nor in a stack without a handler', () => {
  const message = `no\n    at ${HANDLER}:66:6`;
  expect(placeIn(stackOf(message, `f (${HANDLER}:5:5)`), message)).toBe('handler.ts:5:5');
  expect(placeIn(stackOf(message, 'f (file:///srv/other.ts:5:5)'), message)).toBeUndefined();
  expect(placeIn('')).toBeUndefined();
});

test('the sentence has the stage, the version, the line, the input and a bounded message', () => {
  const named = { model: 'm', version: '2' };
  expect(handlerFailure({ stage: 'decode', place: 'handler.ts:9:3', pointer: '/text' }, named, 'no')).toBe(
    "decode in the handler of version 2 of model 'm' failed at handler.ts:9:3 (input /text): no",
  );
  expect(handlerFailure({ stage: 'encode', place: undefined }, named, 'x'.repeat(10_000)).length).toBeLessThan(600);
});
