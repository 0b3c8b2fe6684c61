import { Command, Redis } from 'ioredis';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { CommandDeadlines, timeOutCommands, watchTraffic } from './command-deadlines.ts';

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

test('a command with a reply is forgotten at the next tick', () => {
  const deadlines = new CommandDeadlines();
  let reads = 0;
  deadlines.add({
    reject: () => {},
    get isSettled() {
      reads += 1;
      return true;
    },
  });
  for (let n = 0; n < 3; n++) deadlines.tick();
  expect(reads).toBe(1);
});

test('commands of one tick are rejected in the order in which they were sent', () => {
  const deadlines = new CommandDeadlines();
  const order: number[] = [];
  for (const number of [1, 2, 3]) deadlines.add({ reject: () => void order.push(number) });
  for (let n = 0; n < 17; n++) deadlines.tick();
  expect(order).toEqual([1, 2, 3]);
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

test('bytes that join a backlog, and a connection without a socket, are no traffic', () => {
  const socket = { bytesRead: 0, bytesWritten: 1_000, writableLength: 900 };
  const moved = watchTraffic(() => socket);
  expect(moved()).toBe(false);
  Object.assign(socket, { bytesWritten: 1_100, writableLength: 1_000 });
  expect(moved()).toBe(false);
  Object.assign(socket, { bytesWritten: 2_000, writableLength: 1_200 });
  expect(moved()).toBe(true);
  const closed = watchTraffic(() => undefined);
  expect([closed(), closed()]).toEqual([false, false]);
});

describe('a connection', () => {
  const TICK_MS = 10;
  /** 16 ticks. */
  const TIMEOUT_MS = 16 * TICK_MS;
  let redis: Redis;
  beforeEach(() => {
    vi.useFakeTimers();
    redis = new Redis({ lazyConnect: true });
    // The commands stay without a reply, as if the server was stopped.
    redis.sendCommand = (command) => command.promise;
  });
  afterEach(() => {
    redis.disconnect();
    vi.useRealTimers();
  });

  /** Sends a command. The result gets the message of its rejection. */
  function rejectionOf(command: Command) {
    const rejection = { message: '' };
    command.promise.catch((error: Error) => {
      rejection.message = error.message;
    });
    void redis.sendCommand(command);
    return rejection;
  }
  const ticks = (count: number) => vi.advanceTimersByTimeAsync(count * TICK_MS);

  test('rejects a command after 16 ticks, and a command that opens the connection after the ticks of its own time', async () => {
    redis.status = 'connecting';
    timeOutCommands(redis, TIMEOUT_MS, TIMEOUT_MS + TICK_MS / 2);
    const opening = rejectionOf(new Command('info'));
    redis.status = 'ready';
    const usual = rejectionOf(new Command('get', ['a']));
    await ticks(16);
    expect([usual.message, opening.message]).toEqual(['', '']);
    await ticks(1);
    expect([usual.message, opening.message]).toEqual(['Command timed out', '']);
    await ticks(1);
    expect(opening.message).toBe('Command timed out');
  });

  test('gives a command that opens the connection at least the time of any other command', async () => {
    redis.status = 'connecting';
    timeOutCommands(redis, TIMEOUT_MS, TIMEOUT_MS / 4);
    const opening = rejectionOf(new Command('info'));
    await ticks(16);
    expect(opening.message).toBe('');
    await ticks(1);
    expect(opening.message).toBe('Command timed out');
  });

  test('keeps the first deadline of a command that is sent again', async () => {
    redis.status = 'connecting';
    timeOutCommands(redis, TIMEOUT_MS, 4 * TIMEOUT_MS);
    const command = new Command('info');
    const rejected = rejectionOf(command);
    redis.status = 'ready';
    void redis.sendCommand(command);
    await ticks(64);
    expect(rejected.message).toBe('');
    await ticks(1);
    expect(rejected.message).toBe('Command timed out');
  });

  test('does not count the ticks in which its socket receives bytes', async () => {
    const socket = { bytesRead: 0, bytesWritten: 0, writableLength: 0 };
    Object.assign(redis, { stream: socket });
    redis.status = 'ready';
    timeOutCommands(redis, TIMEOUT_MS, TIMEOUT_MS);
    const rejected = rejectionOf(new Command('get', ['a']));
    for (let n = 0; n < 40; n += 1) {
      socket.bytesRead += 1;
      await ticks(1);
    }
    expect(rejected.message).toBe('');
    await ticks(17);
    expect(rejected.message).toBe('Command timed out');
    Object.assign(redis, { stream: undefined });
  });

  test('needs no process to stay alive for its timer, and ends the timer with itself', () => {
    const timers = vi.spyOn(globalThis, 'setInterval');
    timeOutCommands(redis, TIMEOUT_MS, TIMEOUT_MS);
    const [started] = timers.mock.results;
    timers.mockRestore();
    const timer: NodeJS.Timeout | undefined = started?.value;
    expect(timer?.hasRef()).toBe(false);
    expect(vi.getTimerCount()).toBe(1);
    redis.emit('end');
    expect(vi.getTimerCount()).toBe(0);
  });
});
