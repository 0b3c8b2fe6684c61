/** SET of a value in pieces. The SET of ioredis copies a value twice: into one Buffer, and into the Buffer of the command. */
import type { Duplex } from 'node:stream';
import { Command } from 'ioredis';
import type { Connection } from './connection.ts';
import type { Pieces } from './long-values.ts';

export interface SetPiecesParams {
  key: string;
  value: Pieces;
  /** Lifetime in milliseconds, an integer. */
  ttlMs: number;
}

class SetPieces extends Command {
  readonly #params: SetPiecesParams;

  constructor(params: SetPiecesParams) {
    super('set', [params.key], { replyEncoding: 'utf8' });
    this.#params = params;
  }

  /** Writes all but the end of the command to the connection. ioredis writes the end. */
  override toWritable(connection: object): string {
    const { key, value, ttlMs } = this.#params;
    const socket = connection as Duplex;
    // One call of the system writes the command.
    socket.cork();
    process.nextTick(() => socket.uncork());
    socket.write(`*5\r\n$3\r\nSET\r\n${bulk(key)}$${value.length}\r\n`);
    for (const piece of value.pieces) socket.write(piece);
    return `\r\n$2\r\nPX\r\n${bulk(String(ttlMs))}`;
  }
}

const bulk = (text: string): string => `$${Buffer.byteLength(text)}\r\n${text}\r\n`;

/** Nobody may change the pieces before the reply. */
export const setPieces = async (redis: Connection, params: SetPiecesParams): Promise<void> => {
  await redis.sendCommand(new SetPieces(params));
};
