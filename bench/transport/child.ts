/** The engine side of the transport benchmark: replies to every batch with as many outputs of a usual size. */
import { Socket } from 'node:net';
import { FrameReader, textsFrame } from '../../apps/worker/src/engine/protocol/frames.ts';

const output = (row: unknown): string =>
  `{"interaction":false,"probability":0.5,"kind":"${typeof row}","drug_a":"Abiraterone","drug_b":"Warfarin","basis":"structure and profile"}`;

if (process.argv[2] === 'send') {
  process.on('message', (rows) => process.send?.((rows as string[]).map((row) => output(JSON.parse(row)))));
} else {
  const socket = new Socket({ fd: 3, readable: true, writable: true });
  const reader = new FrameReader();
  socket.on('data', (chunk) => {
    for (const { id, body } of reader.push(chunk)) {
      const rows = JSON.parse(body.toString('utf8')) as unknown[];
      socket.write(
        textsFrame({ type: 13, id }, rows.map(output), { prefixBytes: 0, before: '', between: '\n', after: '' }),
      );
    }
  });
  socket.on('end', () => process.exit(0));
}
