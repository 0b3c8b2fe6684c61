/** The published form of the client in each runtime: Node.js 20, 22 and 24, Bun, Deno and Chromium. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { chromium } from 'playwright-core';
import { rolldown } from 'rolldown';
import { Webhook } from 'standardwebhooks';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { installRuntimes } from '../support/runtimes.ts';
import { useSmallModels } from '../support/small-models.ts';

const run = promisify(execFile);
const SOURCE = path.resolve(import.meta.dirname, '../../packages/client/src/index.ts');
const FIXTURE = path.resolve(import.meta.dirname, 'fixtures/every-runtime.js');
const CHROMIUM = process.env.CHROMIUM ?? '/usr/bin/chromium';
/** The most bytes of the minified client. */
const LIMIT = 15_000;

const millrace = useSmallModels(['echo', 'slow'], { INFERENCE_CONCURRENCY: '1' });
const runtimes = await installRuntimes();
let folder: string;
let minified: string;

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'millrace-client-'));
  const bundle = await rolldown({ input: SOURCE, platform: 'neutral' });
  const { output } = await bundle.generate({ format: 'esm', minify: true });
  minified = output[0].code;
  await writeFile(path.join(folder, 'package.json'), '{"type": "module"}');
  await writeFile(path.join(folder, 'client.js'), minified);
  await copyFile(FIXTURE, path.join(folder, 'every-runtime.js'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const SECRET = `whsec_${Buffer.alloc(24, 7).toString('base64')}`;
const EVENT = { id: 'event-1', type: 'prediction.succeeded', data: { id: 'pred_1' } };

let turns = 700_000;

/** The message of a webhook, and inputs that no other runtime has used. */
function argumentsOf() {
  turns += 10;
  const body = JSON.stringify(EVENT);
  const at = new Date();
  const headers = {
    'webhook-id': 'event-1',
    'webhook-timestamp': String(Math.floor(at.getTime() / 1_000)),
    'webhook-signature': new Webhook(SECRET).sign('event-1', at, body),
  };
  return { turns, secret: SECRET, body, headers };
}

const expected = (of: number) => ({
  output: { y: { dtype: 'int64', shape: [2], data: [1, 2] } },
  waited: { y: { dtype: 'int64', shape: [1], data: [of] } },
  states: [expect.stringMatching(/^(queued|running|succeeded)$/), 'succeeded'],
  events: 'succeeded',
  isListed: true,
  refused: [true, 'model_not_found', 404],
  aborted: [true, 'AbortError', 'canceled'],
  event: EVENT,
});

test('the minified client is smaller than 15 kB, and uses only the platform of the web', () => {
  expect(minified.length).toBeLessThan(LIMIT);
  expect(minified).not.toMatch(/\bnode:|\bprocess\b|\bBuffer\b|\brequire\b/);
});

test.each(runtimes.filter(({ name }) => name.startsWith('node')))('require loads the client in $name', async (node) => {
  const main = path.join(folder, 'required.cjs');
  await writeFile(main, "console.log(new (require('./client.js').Millrace)() instanceof Object);");
  const { stdout } = await run(node.command[0]!, [main], { cwd: folder });
  expect(stdout.trim()).toBe('true');
});

/** The runtimes call at the same time: most of a call is the wait for the only engine. */
const AT_THE_SAME_TIME = { concurrent: true, timeout: 280_000 };

describe.each(runtimes)('$name', AT_THE_SAME_TIME, ({ name, command }) => {
  test('makes every call', async () => {
    const parameters = argumentsOf();
    const main = path.join(folder, `${name.replace(' ', '-')}.js`);
    await writeFile(
      main,
      `import * as client from './client.js';
       import { callEverything } from './every-runtime.js';
       console.log(JSON.stringify(await callEverything(client, ${JSON.stringify(millrace.url)}, ${JSON.stringify(parameters)})));`,
    );
    const [program, ...args] = command;
    const { stdout } = await run(program!, [...args, main], { cwd: folder, timeout: 240_000 });
    expect(JSON.parse(stdout)).toEqual(expected(parameters.turns));
  });
});

describe.runIf(existsSync(CHROMIUM))('chromium', AT_THE_SAME_TIME, () => {
  test('makes every call, also on a page without https', async () => {
    const server = http.createServer(async (request, response) => {
      const file = request.url?.slice(1) ?? '';
      if (file === '')
        return response.setHeader('content-type', 'text/html').end('<!doctype html><title>Millrace</title>');
      if (!['client.js', 'every-runtime.js'].includes(file)) return forward(request, response);
      response.setHeader('content-type', 'text/javascript').end(await readFile(path.join(folder, file)));
    });
    server.listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const browser = await chromium.launch({
      executablePath: CHROMIUM,
      args: [
        '--no-sandbox',
        '--disable-gpu',
        '--disable-quic',
        '--disable-background-networking',
        '--host-resolver-rules=MAP millrace.test 127.0.0.1',
      ],
    });
    try {
      for (const host of ['127.0.0.1', 'millrace.test']) {
        const parameters = argumentsOf();
        const page = await browser.newPage();
        await page.goto(`http://${host}:${(server.address() as AddressInfo).port}/`);
        // A page without https has no crypto.subtle, which only a receiver of webhooks uses.
        const isSecure = host === '127.0.0.1';
        const webhook = isSecure ? parameters : { turns: parameters.turns };
        // A text: the test runner would change the imports of a function.
        const result = await page.evaluate(`Promise.all([import('/client.js'), import('/every-runtime.js')]).then(
          ([client, { callEverything }]) => callEverything(client, '', ${JSON.stringify(webhook)}),
        )`);
        expect(result).toEqual({ ...expected(parameters.turns), event: isSecure ? EVENT : null });
      }
    } finally {
      await browser.close();
      server.closeAllConnections();
      server.close();
    }
  });
});

/** Sends a request on to the API, so that the page and the API have one origin. */
function forward(request: http.IncomingMessage, response: http.ServerResponse): void {
  const { method, headers } = request;
  const upstream = http.request(new URL(request.url ?? '/', millrace.url), { method, headers }, (reply) => {
    response.writeHead(reply.statusCode ?? 502, reply.headers);
    reply.pipe(response);
  });
  upstream.on('error', () => response.destroy());
  response.on('close', () => upstream.destroy());
  request.pipe(upstream);
}
