/** How the API serves the console: the page, its policy, its files, and the refusal of requests from other sites. */
import { request } from 'node:http';
import { brotliDecompressSync } from 'node:zlib';
import { loadConfig } from '@millrace/shared/process/config';
import pino from 'pino';
import { describe, expect, onTestFinished, test } from 'vitest';
import { startApi } from '../../apps/api/src/server.ts';
import { useMillrace } from '../support/millrace.ts';

const MODEL = 'drug-interaction-similarity';
const millrace = useMillrace({ models: [MODEL] });

const SCRIPTS_MAX = 120_000;
const STYLES_MAX = 20_000;

interface Raw {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  body: Buffer;
}

/** Unlike fetch, decompresses nothing and sends any header. */
function raw(
  path: string,
  { method = 'GET', headers = {} }: { method?: string; headers?: Record<string, string> } = {},
): Promise<Raw> {
  const { hostname, port } = new URL(millrace.url);
  return new Promise((resolve, reject) => {
    const call = request({ hostname, port, path, method, headers }, (response) => {
      const parts: Buffer[] = [];
      response.on('data', (part: Buffer) => parts.push(part));
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(parts) }),
      );
    });
    call.on('error', reject);
    call.end();
  });
}

const filesOf = (page: string): string[] =>
  [...page.matchAll(/(?:href|src)="([^"]+\/assets\/[^"]+)"/g)].map(([, file]) => file ?? '');

describe('the page of the console', () => {
  test('is served at every address below /console, with a policy without unsafe sources', async () => {
    for (const path of ['/console', '/console/', '/console/models/drug-interaction?tab=card', '/console/a/b/c']) {
      const { status, headers, body } = await raw(path);
      expect([path, status, headers['content-type']]).toEqual([path, 200, 'text/html; charset=utf-8']);
      const policy = String(headers['content-security-policy']);
      expect(policy).toContain("default-src 'none'");
      expect(policy).toContain("frame-ancestors 'none'");
      expect(policy).not.toContain('unsafe');
      expect(policy).not.toMatch(/https?:|\*/);
      expect(body.toString()).not.toMatch(/style=|onload=|onclick=/);
    }
  });

  test('names files that a browser keeps forever, compressed within the limits', async () => {
    const page = (await raw('/console')).body.toString();
    const names = filesOf(page);
    const lazy = [
      'pages/overview/page.ts',
      'pages/webhooks/page.ts',
      'pages/workers/page.ts',
      'pages/predictions/page.ts',
      'pages/prediction/page.ts',
      'pages/models/page.ts',
      'pages/model/page.ts',
    ];
    expect(names.some((name) => name.endsWith('/main.ts'))).toBe(true);
    const build = /\/assets\/([^/]+)\//.exec(names[0] ?? '')?.[1];
    const seen = new Map<string, number>();
    const visit = async (file: string): Promise<void> => {
      if (seen.has(file)) return;
      seen.set(file, 0);
      const { status, headers, body } = await raw(file, { headers: { 'accept-encoding': 'br' } });
      expect([file, status, headers['content-encoding']]).toEqual([file, 200, 'br']);
      expect(headers['cache-control']).toBe('public, max-age=31536000, immutable');
      seen.set(file, body.length);
      const text = brotliDecompressSync(body).toString();
      if (file.endsWith('.ts')) expect([file, text.match(/^ *(\/\/|\/\*).*/m)?.[0]]).toEqual([file, undefined]);
      // A relative import without a file would stop the console.
      const imports = [...text.matchAll(/(?:from|import\()\s*['"](\.[^'"]+)['"]/g)].map(([, name]) => name ?? '');
      for (const name of imports) await visit(new URL(name, `http://h${file}`).pathname);
    };
    for (const name of [...names, ...lazy.map((file) => `/console/assets/${build}/${file}`)]) await visit(name);
    const size = (pattern: RegExp) =>
      [...seen].filter(([file]) => pattern.test(file)).reduce((sum, [, bytes]) => sum + bytes, 0);
    expect(size(/\.m?[jt]s$/)).toBeLessThan(SCRIPTS_MAX);
    expect(size(/\.css$/)).toBeLessThan(STYLES_MAX);
  });

  test('serves a file of an older build without a lasting copy, and no file outside its folder', async () => {
    const old = await raw('/console/assets/000000000000/main.ts');
    expect([old.status, old.headers['cache-control'], old.headers['content-encoding']]).toEqual([
      200,
      'no-store',
      undefined,
    ]);
    for (const file of [
      '../../package.json',
      '..%2f..%2fpackage.json',
      '%2e%2e/package.json',
      'main.ts/',
      'nothing.ts',
      'core/api.test.ts',
    ])
      expect((await raw(`/console/assets/x/${file}`)).status, file).not.toBe(200);
  });

  test('returns 404, and not the page, for a wrong address of a file', async () => {
    for (const path of [
      '/console/assets',
      '/console/assets/nope.js',
      '/console/assets/%00',
      '/console/assets/x/nope.js',
    ]) {
      const { status, headers } = await raw(path);
      expect([path, status, headers['content-type']]).toEqual([path, 404, expect.stringContaining('problem+json')]);
    }
  });

  test('is linked from /docs', async () => {
    expect((await raw('/docs')).body.toString()).toContain('href="console"');
  });

  test('is absent with CONSOLE=false', async () => {
    const hidden = await startApi(loadConfig({ ...millrace.env, CONSOLE: 'false' }), pino({ level: 'silent' }));
    onTestFinished(async () => void (await hidden.close(5_000)));
    for (const path of ['/console', '/console/models', '/console/session'])
      expect((await fetch(hidden.url + path)).status, path).toBe(404);
    expect(await (await fetch(`${hidden.url}/docs`)).text()).not.toContain('href="console"');
  });
});

describe('a change that a page of another site sends', () => {
  const cancel = '/v1/predictions/pred_01a21c4608b17003b4bc3ebdc6cd43e0/cancel';

  test.each(['cross-site', 'same-site'])('is refused as %s', async (site) => {
    const changes = [
      ['POST', cancel],
      ['POST', `/v1/models/${MODEL}/predictions`],
      ['DELETE', `/v1/models/${MODEL}/cache`],
      ['PUT', `/v1/models/${MODEL}/aliases/beta`],
      ['DELETE', '/console/session'],
    ] as const;
    for (const [method, path] of changes) {
      const { status, body } = await raw(path, { method, headers: { 'sec-fetch-site': site } });
      expect([method, path, status, JSON.parse(body.toString()).code]).toEqual([
        method,
        path,
        403,
        'cross_site_request',
      ]);
    }
  });

  test('is accepted from the console itself, from a program, and with a key', async () => {
    for (const headers of [
      { 'sec-fetch-site': 'same-origin' },
      { 'sec-fetch-site': 'none' },
      {},
      { 'sec-fetch-site': 'cross-site', authorization: 'Bearer x' },
    ])
      expect((await raw(cancel, { method: 'POST', headers: headers as Record<string, string> })).status).toBe(404);
  });

  test('may read: a browser shows no page of another site the response', async () => {
    const { status, headers } = await raw('/v1/models', { headers: { 'sec-fetch-site': 'cross-site' } });
    expect(status).toBe(200);
    expect(headers['access-control-allow-origin']).toBeUndefined();
  });
});
