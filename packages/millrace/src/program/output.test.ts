import { PassThrough } from 'node:stream';
import { expect, test } from 'vitest';
import { Output } from './output.ts';

const HEAD = ['ID', 'STATUS', 'URL', 'ERROR'];
const ROWS = [
  ['ep_1234567890', 'succeeded', `https://receiver.example/${'a'.repeat(60)}`, ''],
  ['ep_2', 'failed', 'https://receiver.example/', ''],
];

function outputOf(terminal: { columns?: number } | undefined): Output {
  const stdout = Object.assign(new PassThrough(), terminal && { isTTY: true, ...terminal });
  const streams = { stdout, stderr: new PassThrough() } as unknown as Record<'stdout' | 'stderr', NodeJS.WriteStream>;
  return new Output({ ...streams, env: { NO_COLOR: '1' } });
}

test.each([60, 40])(
  'a table on a terminal of %i columns fits, with whole ids and states and without empty columns',
  (columns) => {
    const lines = outputOf({ columns }).table(HEAD, ROWS).split('\n');
    expect(lines).toHaveLength(3);
    for (const line of lines) expect(line.length).toBeLessThanOrEqual(columns);
    expect(lines[0]).toMatch(/^ID +STATUS +URL$/);
    expect(lines[1]).toMatch(/^ep_1234567890 +succeeded +https:.*…$/);
  },
);

test('a terminal without a width has 80 columns', () => {
  const [, line] = outputOf({}).table(HEAD, ROWS).split('\n');
  expect(line).toHaveLength(80);
});

test('a pipe gets every column and the whole text', () => {
  const lines = outputOf(undefined).table(HEAD, ROWS).split('\n');
  expect(lines[0]).toMatch(/^ID +STATUS +URL +ERROR$/);
  expect(lines[1]).toContain(ROWS[0]![2]);
});

test('a terminal gets local times, with the date of another day, and a pipe gets the time of the server', () => {
  const now = new Date();
  expect(outputOf({}).time(now.toISOString())).toMatch(/^\d\d:\d\d:\d\d$/);
  expect(outputOf({}).time('2020-02-03T12:00:00.123Z')).toMatch(/^2020-02-0[234] \d\d:\d\d:\d\d$/);
  expect(outputOf(undefined).time('2020-02-03T12:00:00.123Z')).toBe('2020-02-03T12:00:00.123Z');
});
