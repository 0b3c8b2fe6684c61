import { expect, test } from 'vitest';
import { CommandDeadlines } from './command-deadlines.ts';

function commandOf() {
  const command = {
    isSettled: false,
    failed: '',
    reject: (error: Error) => {
      command.isSettled = true;
      command.failed = error.message;
    },
  };
  return command;
}

test('a command that is not answered in its ticks is rejected, once, and no earlier', () => {
  const deadlines = new CommandDeadlines();
  const first = commandOf();
  deadlines.add(first);
  deadlines.tick();
  const second = commandOf();
  deadlines.add(second);
  for (let n = 1; n < 16; n++) deadlines.tick();
  expect(first.failed).toBe('');
  deadlines.tick();
  expect(first.failed).toBe('Command timed out');
  expect(second.failed).toBe('');
  deadlines.tick();
  expect(second.failed).toBe('Command timed out');
});

test('an answered command is left alone', () => {
  const deadlines = new CommandDeadlines();
  const command = commandOf();
  deadlines.add(command);
  command.isSettled = true;
  for (let n = 0; n < 40; n++) deadlines.tick();
  expect(command.failed).toBe('');
});
