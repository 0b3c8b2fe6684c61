/** SET of a value in pieces. The SET of ioredis copies a value twice: into one Buffer, and into the Buffer of the command. */
import type { Duplex } from 'node:stream';
import { Command } from 'ioredis';
import type { Connection } from './connection.ts';
import type { Pieces } from './long-values.ts';
import { isRefusal } from './redis-fault.ts';

export interface SetPiecesParams {
  key: string;
  value: Pieces;
  /** Lifetime in milliseconds, an integer. */
  ttlMs: number;
}

const PING = '*1\r\n$4\r\nPING\r\n';

class SetPieces extends Command {
  readonly #params: SetPiecesParams;
  #socket: Duplex | undefined;

  constructor(params: SetPiecesParams) {
    super('set', [params.key], { replyEncoding: 'utf8' });
    this.#params = params;
  }

  /** Writes all but the end of the command to the connection. ioredis writes the end. */
  override toWritable(connection: object): string {
    // ioredis sends a command without a reply again on a new connection, also after a time-out: the pieces may be gone by then. The queue of
    // commands expects one reply.
    if (this.isSettled) return PING;
    const { key, value, ttlMs } = this.#params;
    const { pieces } = value;
    const socket = connection as Duplex;
    this.#socket = socket;
    // One call of the system writes the command.
    socket.cork();
    process.nextTick(() => socket.uncork());
    socket.write(`*5\r\n$3\r\nSET\r\n${bulk(key)}$${value.length}\r\n`);
    for (const piece of pieces) socket.write(piece);
    return `\r\n$2\r\nPX\r\n${bulk(String(ttlMs))}`;
  }

  /** Closes the connection, which may still have to send pieces. ioredis opens a new connection. */
  drop(): void {
    this.#socket?.destroy();
  }
}

const bulk = (text: string): string => `$${Buffer.byteLength(text)}\r\n${text}\r\n`;

/** Nobody may change the pieces, or free their memory, until the promise settles. Without a reply, the connection is replaced. */
export const setPieces = async (redis: Connection, params: SetPiecesParams): Promise<void> => {
  const command = new SetPieces(params);
  try {
    await redis.sendCommand(command);
  } catch (error) {
    // The caller may now free the pieces. Redis would take the next commands of the connection for the rest of the value.
    if (!isRefusal(error)) command.drop();
    throw error;
  }
};
