import { expect, test } from 'vitest';
import { CommandDeadlines, watchTraffic } from './command-deadlines.ts';

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

test('a command without a reply in its ticks is rejected once, and no earlier', () => {
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

test('a rejected command is rejected once, and a command counts only its own ticks', () => {
  const deadlines = new CommandDeadlines();
  for (let n = 0; n < 300; n++) deadlines.tick(true);
  let rejections = 0;
  const reject = () => {
    rejections += 1;
  };
  deadlines.add({ reject });
  for (let n = 0; n < 256; n++) deadlines.tick(true);
  expect(rejections).toBe(0);
  for (let n = 0; n < 100; n++) deadlines.tick();
  expect(rejections).toBe(1);
});

test('a command with more ticks is rejected after these ticks', () => {
  const deadlines = new CommandDeadlines();
  const command = commandOf();
  deadlines.add(command, 100);
  for (let n = 0; n < 100; n++) deadlines.tick();
  expect(command.failed).toBe('');
  deadlines.tick();
  expect(command.failed).toBe('Command timed out');
});

test('a command with a reply is not rejected', () => {
  const deadlines = new CommandDeadlines();
  const command = commandOf();
  deadlines.add(command);
  command.isSettled = true;
  for (let n = 0; n < 40; n++) deadlines.tick();
  expect(command.failed).toBe('');
});

test('a command is not rejected while bytes of replies arrive, but is rejected after the limit', () => {
  const deadlines = new CommandDeadlines();
  const command = commandOf();
  deadlines.add(command);
  for (let n = 0; n < 200; n++) deadlines.tick(true);
  expect(command.failed).toBe('');
  for (let n = 0; n < 16; n++) deadlines.tick(false);
  expect(command.failed).toBe('');
  deadlines.tick(false);
  expect(command.failed).toBe('Command timed out');
  const trickled = commandOf();
  deadlines.add(trickled);
  for (let n = 0; n < 300; n++) deadlines.tick(true);
  expect(trickled.failed).toBe('Command timed out');
});

test('bytes that were read count as traffic, and written bytes count only when the peer takes bytes of a backlog', () => {
  const socket = { bytesRead: 0, bytesWritten: 0, writableLength: 0 };
  const moved = watchTraffic(() => socket);
  expect(moved()).toBe(false);
  socket.bytesRead = 10;
  expect(moved()).toBe(true);
  expect(moved()).toBe(false);
  // The kernel accepts small writes even when the server is stopped.
  socket.bytesWritten = 100;
  expect(moved()).toBe(false);
  Object.assign(socket, { bytesWritten: 1_000, writableLength: 900 });
  expect(moved()).toBe(false);
  socket.writableLength = 500;
  expect(moved()).toBe(true);
  expect(moved()).toBe(false);
});
