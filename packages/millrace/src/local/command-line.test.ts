import { describe, expect, test } from 'vitest';
import { readCommandLine } from './command-line.ts';

const line = {
  usage: 'usage: program',
  commands: { list: { least: 0, most: 1 }, add: { least: 1, most: 1 } },
  options: { name: { type: 'string' }, json: { type: 'boolean' } },
} as const;
const read = (...args: string[]) => readCommandLine(line, args);

describe('a command line', () => {
  test('consists of a command, its arguments and its options', () => {
    expect(read('add', 'file', '--name', 'n')).toEqual({
      command: 'add',
      words: ['file'],
      values: { name: 'n' },
      flags: new Set(),
    });
    expect(read('list', '--json')).toEqual({ command: 'list', words: [], values: {}, flags: new Set(['json']) });
  });

  test('may contain --help anywhere', () => {
    expect(read('--help')).toBeNull();
    expect(read('add', '-h')).toBeNull();
  });

  test.each([
    [[], 'A command is needed: list, add.'],
    [['lits'], "There is no command 'lits'; did you mean list?"],
    [['constructor'], "There is no command 'constructor', only list, add."],
    [['add'], 'add takes 1 argument, got 0.'],
    [['list', 'a', 'b'], 'list takes 0 to 1 arguments, got 2: a b.'],
    [['list', '--nmae', 'x'], "Unknown option '--nmae'."],
    [['list', '--name'], "Option '--name <value>' argument missing."],
  ])('of %j is refused with the usage', (args, message) => {
    expect(() => read(...args)).toThrow(
      expect.objectContaining({ message: `${message}\nusage: program`, exitCode: 2 }),
    );
  });
});
