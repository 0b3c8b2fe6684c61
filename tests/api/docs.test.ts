/** Compares docs/http.md and the other documents with a running server: examples, routes, parameters and public routes. */
import { execFile } from 'node:child_process';
import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { useMillrace } from '../support/millrace.ts';

const ROOT = path.resolve(import.meta.dirname, '../..');
const read = (file: string) => readFileSync(path.join(ROOT, file), 'utf8');
const http = read('docs/http.md');
const millrace = useMillrace({ models: ['drug-interaction'] });

interface Operation {
  parameters?: { in: string; name: string }[];
  security?: unknown[];
}
const paths = async (): Promise<Record<string, Record<string, Operation>>> =>
  (await millrace.request('/openapi.json')).body.paths;

/** The commands of the page. The example with an image needs a model that is not bundled. */
const examples = [...http.matchAll(/^```sh\n([\s\S]*?)^```$/gm)]
  .map(([, text]) => text!)
  .filter((text) => !text.includes('/vit/'));

test('every example gets a response without an error', { timeout: 60_000 }, async () => {
  expect(examples.length).toBeGreaterThanOrEqual(4);
  for (const example of examples) {
    const command = example.replaceAll('localhost:8080', millrace.url).replace('curl ', 'curl -sS --fail-with-body ');
    const { stdout } = await promisify(execFile)('bash', ['-c', command]);
    expect(stdout, example).toContain('{');
  }
});

test('every route that a document names exists', async () => {
  const known = await paths();
  const patterns = Object.entries(known).map(([path, operations]) => ({
    pattern: new RegExp(`^${path.replace(/\{[^}]*\}/g, '[^/]+')}$`),
    methods: Object.keys(operations).map((method) => method.toUpperCase()),
  }));
  const exists = (method: string, given: string) =>
    patterns.some(({ pattern, methods }) => pattern.test(given) && methods.includes(method));
  const named = globSync('docs/*.md', { cwd: ROOT }).flatMap((file) =>
    [...read(file).matchAll(/`(GET|POST|PUT|PATCH|DELETE)\s+(\/(?:v1|v2|openai|embed|rerank)\b[\w/{}.:-]*)/g)].map(
      ([, method = '', route = '']) => ({
        file,
        method,
        route: route.replace(/:(\w+)/g, '{$1}').replace(/[.:]+$/, ''),
      }),
    ),
  );
  expect(named.length).toBeGreaterThan(40);
  expect(named.filter(({ method, route }) => !exists(method, route))).toEqual([]);
});

test('the tables name every parameter of the list and of the history', async () => {
  const known = await paths();
  for (const route of ['/v1/predictions', '/v1/stats', '/v1/models']) {
    const parameters = known[route]?.get?.parameters?.filter((parameter) => parameter.in === 'query') ?? [];
    expect(parameters.length, route).toBeGreaterThan(2);
    for (const { name } of parameters) expect(http, `${route} has ${name}`).toMatch(new RegExp(`[\`?&]${name}\\b`));
  }
});

test('the documents name every route that needs no API key', async () => {
  const known = await paths();
  const open = Object.entries(known).flatMap(([route, operations]) =>
    Object.values(operations).some(({ security }) => security?.length === 0) ? [route] : [],
  );
  expect(open.length).toBeGreaterThan(5);
  for (const file of ['docs/security.md', 'docs/operations.md'])
    expect(
      open.filter((route) => !read(file).includes(`\`${route}\``)),
      file,
    ).toEqual([]);
});
