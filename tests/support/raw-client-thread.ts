/**
 * Writes bytes to a connection from a separate thread, so that the client's work does not run in the event loop of the
 * test.
 */
import { Worker } from 'node:worker_threads';

export interface RawClientThread {
  /** Writes `text` and resolves to all received text when the server has closed the connection. */
  send(url: string, text: string): Promise<string>;
  close(): Promise<unknown>;
}

const CODE = `
  const { createConnection } = require('node:net');
  const { parentPort } = require('node:worker_threads');
  parentPort.on('message', ({ hostname, port, text }) => {
    const socket = createConnection(Number(port), hostname).setEncoding('latin1');
    let got = '';
    socket.on('data', (chunk) => { got += chunk; });
    socket.on('error', () => {});
    socket.on('close', () => parentPort.postMessage(got));
    socket.write(text);
  });
`;

/** Uses one connection at a time. */
export function startRawClientThread(): RawClientThread {
  const thread = new Worker(CODE, { eval: true });
  return {
    send: (url, text) =>
      new Promise((resolve, reject) => {
        const { hostname, port } = new URL(url);
        thread.once('error', reject);
        thread.once('message', (got: string) => {
          thread.off('error', reject);
          resolve(got);
        });
        thread.postMessage({ hostname, port, text });
      }),
    close: () => thread.terminate(),
  };
}
