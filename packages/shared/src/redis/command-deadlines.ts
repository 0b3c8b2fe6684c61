/**
 * Time-outs of Redis commands that count ticks of this process and not the clock: when its own event loop was held up,
 * by a thousand requests that came at once, the answer lies in the socket, unread, and Redis is not to blame. A tick in
 * which bytes of replies arrived is not counted either: a slow reply is not an absent Redis. One timer
 * for all commands also costs less than ioredis's one for each.
 */
import type { Socket } from 'node:net';
import type { Cluster, Command, Redis } from 'ioredis';

const TICKS = 16;
/** Bound of the ticks that are not counted, as a multiple of TICKS: a peer that sends one byte now and then times out too. */
const PATIENCE = 16;

type Pending = Pick<Command, 'reject'> & { isSettled?: boolean };

export class CommandDeadlines {
  #pending: { command: Pending; tick: number; idleTick: number }[] = [];
  #tick = 0;
  /** Ticks in which nothing moved on the connection. */
  #idleTick = 0;

  /** Commands that may not be answered yet. */
  get size(): number {
    return this.#pending.length;
  }

  /** `used`: ticks that the command has used on another connection. */
  add(command: Pending, used = 0): void {
    this.#pending.push({ command, tick: this.#tick - used, idleTick: this.#idleTick - used });
  }

  /**
   * Lets go a command that is sent again, here or elsewhere. Returns how many ticks it has used. Every tick counts then: what
   * arrived was not its reply.
   */
  release(command: Pending): number {
    const at = this.#pending.findIndex((one) => one.command === command);
    const [one] = at < 0 ? [] : this.#pending.splice(at, 1);
    return one ? this.#tick - one.tick : 0;
  }

  /**
   * To be called TICKS times in the time that a command may take. What has been answered is let go at once. `moved`: bytes
   * went over the connection since the last tick.
   */
  tick(moved = false): void {
    this.#tick += 1;
    if (!moved) this.#idleTick += 1;
    this.#pending = this.#pending.filter(({ command, tick, idleTick }) => {
      if (command.isSettled) return false;
      // One more than TICKS: the first may come right behind the command.
      if (this.#idleTick - idleTick <= TICKS && this.#tick - tick <= TICKS * PATIENCE) return true;
      command.reject(new Error('Command timed out'));
      return false;
    });
  }
}

type Traffic = Pick<Socket, 'bytesRead' | 'bytesWritten' | 'writableLength'>;

/**
 * Returns a function that tells whether bytes have moved since its last call: read, or written out of a backlog. A write that
 * met no backlog proves nothing: the kernel takes it for a peer that has stopped.
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

/** Gives every command of a connection `timeoutMs`, not counting the time in which replies arrive. */
export function timeOutCommands(redis: Redis, timeoutMs: number): void {
  const timed = new WeakSet<object>();
  watchCommands(redis, timeoutMs, (command, deadlines) => {
    // A command comes here again when it is sent again: its time goes on.
    if (timed.has(command)) return;
    timed.add(command);
    deadlines.add(command);
  });
}

/**
 * As `timeOutCommands` for each node of a cluster: replies of one node do not prolong the time of a command on another.
 * A command that is redirected, or repeated after a refusal, keeps the time that it has used.
 */
export function timeOutClusterCommands(cluster: Cluster, timeoutMs: number): void {
  const owners = new WeakMap<object, CommandDeadlines>();
  cluster.on('+node', (node: Redis) =>
    watchCommands(node, timeoutMs, (command, deadlines) => {
      deadlines.add(command, owners.get(command)?.release(command));
      owners.set(command, deadlines);
    }),
  );
}

type OnSend = (command: Pending, deadlines: CommandDeadlines) => void;

function watchCommands(redis: Redis, timeoutMs: number, onSend: OnSend): void {
  const deadlines = new CommandDeadlines();
  const moved = watchTraffic(() => redis.stream as Traffic | undefined);
  let ended = false;
  const timer = setInterval(() => {
    deadlines.tick(moved());
    // The node of a cluster is gone, and its last commands wait for another node.
    if (ended && deadlines.size === 0) clearInterval(timer);
  }, timeoutMs / TICKS);
  timer.unref();
  redis.once('end', () => {
    ended = true;
  });
  const send = redis.sendCommand.bind(redis);
  redis.sendCommand = (command, stream) => {
    onSend(command as Pending, deadlines);
    return send(command, stream);
  };
}
