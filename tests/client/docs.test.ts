/** Runs every example of docs/client.md against a server, and checks its types. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import net, { type AddressInfo } from 'node:net';
import path from 'node:path';
import { promisify } from 'node:util';
import { Webhook } from 'standardwebhooks';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { useMillrace } from '../support/millrace.ts';

const run = promisify(execFile);
const ROOT = path.resolve(import.meta.dirname, '../..');
const SECRET = `whsec_${Buffer.alloc(24, 7).toString('base64')}`;
const env = { PATH: process.env.PATH ?? '', MILLRACE_WEBHOOK_SECRET: SECRET };

const page = await readFile(path.join(ROOT, 'docs/client.md'), 'utf8');
const examples = [...page.matchAll(/```ts\n([\s\S]*?)```/g)].map(([, text]) => text!);
const programs = examples.filter((text) => !text.includes('listen(') && !text.includes('export '));
const receivers = examples.filter((text) => text.includes('listen('));

const millrace = useMillrace({ models: ['drug-interaction'] });
let folder: string;
beforeAll(async () => {
  // Below the repository, so that the examples find the packages.
  const cache = path.join(ROOT, '.build');
  await mkdir(cache, { recursive: true });
  folder = await mkdtemp(path.join(cache, 'millrace-docs-'));
  await writeFile(path.join(folder, 'package.json'), '{"type": "module"}');
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function write(text: string, port = 3000): Promise<string> {
  const file = path.join(folder, `example-${examples.indexOf(text)}.ts`);
  await writeFile(file, text.replaceAll('http://localhost:8080', millrace.url).replaceAll('3000', String(port)));
  return file;
}

test('the page has programs and receivers', () => {
  expect(programs.length).toBeGreaterThanOrEqual(6);
  expect(receivers).toHaveLength(2);
});

test('the types of every example are right', { timeout: 180_000 }, async () => {
  const files = await Promise.all(examples.map((text) => write(text)));
  const config = { extends: '../../tsconfig.json', files: files.map((file) => path.basename(file)), include: [] };
  await writeFile(path.join(folder, 'tsconfig.json'), JSON.stringify(config));
  const compiler = path.join(ROOT, 'node_modules/typescript/bin/tsc');
  const output = await run(process.execPath, [compiler, '-p', folder]).catch((error: { stdout: string }) => error);
  expect(output.stdout).toBe('');
});

/** The part of the output of the example that is equal in each run. */
const PRINTS = [
  /probability/,
  /^pred_\w+\n[\s\S]*succeeded[\s\S]*probability/,
  /\/input\/drug_a \[ 'Warfarin/,
  /^true$/,
  /probability/,
  /Warfarin\n\d/,
];

describe.each(programs.map((text, index) => ({ text, index })))('the example $index', ({ text, index }) => {
  test('runs', { timeout: 180_000 }, async () => {
    const { stdout } = await run(process.execPath, [await write(text)], { env });
    expect(stdout.trim()).toMatch(PRINTS[index] ?? /^$/);
  });
});

describe.each(receivers.map((text, index) => ({ text, index })))('the receiver $index', ({ text }) => {
  test('prints a signed event, and refuses other events', { timeout: 180_000 }, async () => {
    const port = await freePort();
    const child = spawn(process.execPath, [await write(text, port)], { env, stdio: ['ignore', 'pipe', 'inherit'] });
    let printed = '';
    child.stdout.on('data', (chunk) => {
      printed += chunk;
    });
    try {
      const body = JSON.stringify({
        id: 'event-1',
        type: 'prediction.succeeded',
        data: { id: 'pred_1', metadata: {} },
      });
      const at = new Date();
      const headers = {
        'webhook-id': 'event-1',
        'webhook-timestamp': String(Math.floor(at.getTime() / 1_000)),
        'webhook-signature': new Webhook(SECRET).sign('event-1', at, body),
      };
      const send = (text: string) =>
        fetch(`http://127.0.0.1:${port}/webhooks/millrace`, { method: 'POST', body: text, headers });
      await expect
        .poll(() =>
          send(body).then(
            ({ status }) => status,
            () => 0,
          ),
        )
        .toBe(204);
      expect((await send('{}')).status).toBe(400);
      await expect.poll(() => printed).toContain('pred_1');
    } finally {
      child.kill();
      await once(child, 'exit');
    }
  });
});

async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
