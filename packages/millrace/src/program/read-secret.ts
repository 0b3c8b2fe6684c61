/** Reads an API key from the terminal. */
import { createInterface } from 'node:readline';
import { Writable } from 'node:stream';

interface Terminal {
  stdin: NodeJS.ReadStream;
  stderr: NodeJS.WriteStream;
}

/** Reads a line from the terminal without showing the line. */
export async function readSecret(prompt: string, { stdin, stderr }: Terminal): Promise<string> {
  stderr.write(prompt);
  const hidden = new Writable({ write: (_chunk, _encoding, done) => done() });
  const lines = createInterface({ input: stdin, output: hidden, terminal: true, historySize: 0 });
  try {
    return await new Promise<string>((resolve) => {
      lines.once('line', resolve);
      lines.once('close', () => resolve(''));
    });
  } finally {
    lines.close();
    stderr.write('\n');
  }
}
