/**
 * Time-outs of Redis commands that count ticks of this process and not the clock: when its own event loop was held up,
 * by a thousand requests that came at once, the answer lies in the socket, unread, and Redis is not to blame. One timer
 * for all commands also costs less than ioredis's one for each.
 */
import type { Command, Redis } from 'ioredis';

const TICKS = 16;

type Pending = Pick<Command, 'reject'> & { isSettled?: boolean };

export class CommandDeadlines {
  #pending: { command: Pending; tick: number }[] = [];
  #tick = 0;

  add(command: Pending): void {
    this.#pending.push({ command, tick: this.#tick });
  }

  /** To be called TICKS times in the time that a command may take. What has been answered is let go at once. */
  tick(): void {
    this.#tick += 1;
    this.#pending = this.#pending.filter(({ command, tick }) => {
      if (command.isSettled) return false;
      // One more than TICKS: the first may come right behind the command.
      if (this.#tick - tick <= TICKS) return true;
      command.reject(new Error('Command timed out'));
      return false;
    });
  }
}

/** Gives every command of a connection `timeoutMs`. */
export function timeOutCommands(redis: Redis, timeoutMs: number): void {
  const deadlines = new CommandDeadlines();
  const timer = setInterval(() => deadlines.tick(), timeoutMs / TICKS);
  timer.unref();
  redis.once('end', () => clearInterval(timer));
  const send = redis.sendCommand.bind(redis);
  const timed = new WeakSet<object>();
  redis.sendCommand = (command, stream) => {
    // A command comes here again when it is sent again: its time goes on.
    if (!timed.has(command)) {
      timed.add(command);
      deadlines.add(command as Pending);
    }
    return send(command, stream);
  };
}
