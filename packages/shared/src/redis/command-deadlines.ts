/**
 * Time-outs of Redis commands, counted in timer ticks of this process and not in wall time. While the event loop is blocked, for
 * example by a thousand requests that arrive at once, the reply may already be in the socket. A tick in which bytes of replies
 * arrived does not count either: a slow reply does not mean that Redis is unreachable. A single timer for all commands also costs
 * less than the timer per command of ioredis.
 */
import type { Socket } from 'node:net';
import type { Command, Redis } from 'ioredis';

const TICKS = 16;
/** Limit of the ticks that do not count, as a multiple of TICKS: a peer that sends a byte now and then times out too. */
const PATIENCE = 16;

type Pending = Pick<Command, 'reject'> & { isSettled?: boolean };

export class CommandDeadlines {
  #pending: { command: Pending; tick: number; idleTick: number; ticks: number }[] = [];
  #tick = 0;
  /** Ticks in which nothing moved on the connection. */
  #idleTick = 0;

  /** `ticks`: the ticks that the command may take. */
  add(command: Pending, ticks = TICKS): void {
    this.#pending.push({ command, tick: this.#tick, idleTick: this.#idleTick, ticks });
  }

  /**
   * Rejects the commands that are out of time, and removes the commands that have a reply. The caller calls `tick` TICKS times in
   * the time that a command may take. `moved`: the connection transferred bytes since the last tick.
   */
  tick(moved = false): void {
    this.#tick += 1;
    if (!moved) this.#idleTick += 1;
    this.#pending = this.#pending.filter(({ command, tick, idleTick, ticks }) => {
      if (command.isSettled) return false;
      // The command is rejected one tick later, because the first tick may follow immediately after the command.
      if (this.#idleTick - idleTick <= ticks && this.#tick - tick <= ticks * PATIENCE) return true;
      command.reject(new Error('Command timed out'));
      return false;
    });
  }
}

type Traffic = Pick<Socket, 'bytesRead' | 'bytesWritten' | 'writableLength'>;

/**
 * Returns a function that returns whether the socket transferred bytes since the last call: bytes read, or bytes written out of a
 * backlog. A write without a backlog proves nothing, because the kernel accepts the bytes even when the peer has stopped.
 */
export function watchTraffic(socketOf: () => Traffic | undefined): () => boolean {
  let read = 0;
  let written = 0;
  let backlog = 0;
  return () => {
    const socket = socketOf();
    const nowRead = socket?.bytesRead ?? 0;
    const nowBacklog = socket?.writableLength ?? 0;
    const nowWritten = (socket?.bytesWritten ?? 0) - nowBacklog;
    const moved = nowRead > read || (backlog > 0 && nowWritten > written);
    read = nowRead;
    written = nowWritten;
    backlog = nowBacklog;
    return moved;
  };
}

/**
 * Limits every command of a connection to `timeoutMs`, not counting the time in which replies arrive. The commands with which ioredis
 * opens a connection may take `openMs`: a Redis on busy cores would else be reconnected to forever.
 */
export function timeOutCommands(redis: Redis, timeoutMs: number, openMs: number): void {
  const openTicks = Math.max(TICKS, Math.ceil((TICKS * openMs) / timeoutMs));
  const deadlines = new CommandDeadlines();
  const moved = watchTraffic(() => redis.stream);
  const timer = setInterval(() => deadlines.tick(moved()), timeoutMs / TICKS);
  timer.unref();
  redis.once('end', () => clearInterval(timer));
  const timed = new WeakSet<object>();
  const send = redis.sendCommand.bind(redis);
  redis.sendCommand = (command, stream) => {
    // A command that ioredis sends again keeps its first deadline.
    if (!timed.has(command)) {
      timed.add(command);
      deadlines.add(command, redis.status === 'ready' ? TICKS : openTicks);
    }
    return send(command, stream);
  };
}
