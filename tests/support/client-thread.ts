/** Sends requests from a separate thread, so that the client's work does not run in the event loop of the test. */
import { Worker } from 'node:worker_threads';

export interface Sent {
  status: number;
  text: string;
}

export interface ClientThread {
  /** Sends a POST with JSON and resolves to the response. */
  post(url: string, body: string): Promise<Sent>;
  /** Sends any request, and resolves to the length, the start and the end of a long response. */
  measure(url: string, request: Measured): Promise<Measure>;
  close(): Promise<unknown>;
}

export interface Measured {
  method?: string;
  headers?: Record<string, string>;
  body?: string;
}

export interface Measure {
  status: number;
  bytes: number;
  /** The first 400 characters. */
  start: string;
  /** The last 1,000 characters. */
  end: string;
}

const CODE = `
  const { parentPort } = require('node:worker_threads');
  parentPort.on('message', async ({ url, body, request }) => {
    if (request) {
      const response = await fetch(url, request);
      const bytes = Buffer.from(await response.arrayBuffer());
      const [start, end] = [bytes.toString('latin1', 0, 400), bytes.toString('latin1', Math.max(0, bytes.length - 1000))];
      parentPort.postMessage({ status: response.status, bytes: bytes.length, start, end });
      return;
    }
    const headers = { 'content-type': 'application/json' };
    const response = await fetch(url, { method: 'POST', headers, body });
    parentPort.postMessage({ status: response.status, text: await response.text() });
  });
`;

/** Sends one request at a time. */
export function startClientThread(): ClientThread {
  const thread = new Worker(CODE, { eval: true });
  const send = <T>(message: object): Promise<T> =>
    new Promise((resolve, reject) => {
      thread.once('error', reject);
      thread.once('message', (sent: T) => {
        thread.off('error', reject);
        resolve(sent);
      });
      thread.postMessage(message);
    });
  return {
    post: (url, body) => send({ url, body }),
    measure: (url, request) => send({ url, request }),
    close: () => thread.terminate(),
  };
}
