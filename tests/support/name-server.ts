/** A DNS server for A records over UDP with programmed replies, which can ignore AAAA queries. */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';

const A = 1;

export interface NameServer {
  /** `address:port`, as resolvers expect the address. */
  server: string;
  /** Queries for A records so far. */
  queries(): number;
  close(): Promise<void>;
}

/** `addressOf` gets the number of the query, from 0. Other queries get no records, or no reply with `silent`. */
export async function startNameServer(
  addressOf: (number: number) => string,
  { silent = false } = {},
): Promise<NameServer> {
  const socket = createSocket('udp4');
  let queries = 0;
  socket.on('message', (message, from) => {
    // The query is one name, whose labels end with an empty label, and two numbers.
    const end = message.indexOf(0, 12) + 5;
    const isA = message.readUInt16BE(end - 4) === A;
    if (!isA && silent) return;
    const head = Buffer.from(message.subarray(0, 12));
    head.writeUInt16BE(0x8180, 2);
    head.writeUInt16BE(isA ? 1 : 0, 6);
    head.writeUInt16BE(0, 8);
    head.writeUInt16BE(0, 10);
    const records = isA
      ? Buffer.from([0xc0, 12, 0, A, 0, 1, 0, 0, 0, 0, 0, 4, ...addressOf(queries++).split('.').map(Number)])
      : Buffer.alloc(0);
    socket.send(Buffer.concat([head, message.subarray(12, end), records]), from.port, from.address);
  });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  return {
    server: `127.0.0.1:${socket.address().port}`,
    queries: () => queries,
    async close() {
      socket.close();
      await once(socket, 'close');
    },
  };
}
