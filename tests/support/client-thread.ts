/** Sends requests from a separate thread, so that the client's work does not run in the event loop of the test. */
import { Worker } from 'node:worker_threads';

export interface Sent {
  status: number;
  text: string;
}

export interface ClientThread {
  /** Sends a POST with JSON and resolves to the response. */
  post(url: string, body: string): Promise<Sent>;
  close(): Promise<unknown>;
}

const CODE = `
  const { parentPort } = require('node:worker_threads');
  parentPort.on('message', async ({ url, body }) => {
    const headers = { 'content-type': 'application/json' };
    const response = await fetch(url, { method: 'POST', headers, body });
    parentPort.postMessage({ status: response.status, text: await response.text() });
  });
`;

/** Sends one request at a time. */
export function startClientThread(): ClientThread {
  const thread = new Worker(CODE, { eval: true });
  return {
    post: (url, body) =>
      new Promise((resolve, reject) => {
        thread.once('error', reject);
        thread.once('message', (sent: Sent) => {
          thread.off('error', reject);
          resolve(sent);
        });
        thread.postMessage({ url, body });
      }),
    close: () => thread.terminate(),
  };
}
