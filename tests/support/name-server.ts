/** A name server for one kind of question (A over UDP), that answers as it is told and may never answer for AAAA. */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';

const A = 1;

export interface NameServer {
  /** As resolvers want it: `address:port`. */
  server: string;
  /** Questions for A so far. */
  asked(): number;
  close(): Promise<void>;
}

/** `addressOf` is given the number of the question, from 0. Other questions get no records, or with `silent` no answer. */
export async function startNameServer(
  addressOf: (number: number) => string,
  { silent = false } = {},
): Promise<NameServer> {
  const socket = createSocket('udp4');
  let asked = 0;
  socket.on('message', (message, from) => {
    // The question is one name, whose labels end with an empty one, and two numbers.
    const end = message.indexOf(0, 12) + 5;
    const isA = message.readUInt16BE(end - 4) === A;
    if (!isA && silent) return;
    const head = Buffer.from(message.subarray(0, 12));
    head.writeUInt16BE(0x8180, 2);
    head.writeUInt16BE(isA ? 1 : 0, 6);
    head.writeUInt16BE(0, 8);
    head.writeUInt16BE(0, 10);
    const answer = isA
      ? Buffer.from([0xc0, 12, 0, A, 0, 1, 0, 0, 0, 0, 0, 4, ...addressOf(asked++).split('.').map(Number)])
      : Buffer.alloc(0);
    socket.send(Buffer.concat([head, message.subarray(12, end), answer]), from.port, from.address);
  });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  return {
    server: `127.0.0.1:${socket.address().port}`,
    asked: () => asked,
    async close() {
      socket.close();
      await once(socket, 'close');
    },
  };
}
