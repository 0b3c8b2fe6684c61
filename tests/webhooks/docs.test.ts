import { execFile, execFileSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { PREDICTION_EVENTS } from '@millrace/shared/webhooks/event';
import { newSecret } from '@millrace/shared/webhooks/secret';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { signatureHeaders } from '../../apps/worker/src/webhooks/sign-message.ts';

const doc = await readFile(path.resolve(import.meta.dirname, '../../docs/webhooks.md'), 'utf8');
const example = (language: string) => new RegExp(`\`\`\`${language}\n(.*?)\`\`\``, 's').exec(doc)?.[1] ?? '';
const body = '{"type":"prediction.succeeded","data":{"name":"Ω"}}';
const [secret, next] = [newSecret(), newSecret()];
const now = Date.now();
const signed = (secrets: string[], atMs = now) => signatureHeaders({ id: 'evt-1', atMs, body, secrets });

interface Case {
  name: string;
  headers: Record<string, string>;
  body: string;
  secret: string;
  accepted: boolean;
}
const cases: Case[] = [
  { name: 'unchanged', headers: signed([secret]), body, secret, accepted: true },
  { name: 'rotated, with the old secret', headers: signed([next, secret]), body, secret, accepted: true },
  { name: 'rotated, with the new secret', headers: signed([next, secret]), body, secret: next, accepted: true },
  { name: 'signed with another secret', headers: signed([next]), body, secret, accepted: false },
  { name: 'with another body', headers: signed([secret]), body: `${body} `, secret, accepted: false },
  { name: 'with another id', headers: { ...signed([secret]), 'webhook-id': 'evt-2' }, body, secret, accepted: false },
  { name: 'too old', headers: signed([secret], now - 301_000), body, secret, accepted: false },
  { name: 'too new', headers: signed([secret], now + 900_000), body, secret, accepted: false },
  { name: 'unsigned', headers: {}, body, secret, accepted: false },
  {
    name: 'with an invalid signature',
    headers: { ...signed([secret]), 'webhook-signature': 'v1 v1, ,' },
    body,
    secret,
    accepted: false,
  },
];

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'millrace-docs-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('the TypeScript example', () => {
  let verify: (headers: Record<string, string>, body: string, secret: string) => unknown;
  beforeAll(async () => {
    const file = path.join(folder, 'verify.ts');
    await writeFile(file, example('ts'));
    verify = (await import(/* @vite-ignore */ pathToFileURL(file).href)).verifyWebhook;
  });

  test.each(cases)('gives the right verdict on a message: $name', (given) => {
    const check = () => verify(given.headers, given.body, given.secret);
    if (given.accepted) expect(check()).toEqual(JSON.parse(body));
    else expect(check).toThrow();
  });
});

const python = ['python3', 'python'].find((name) => {
  try {
    return /Python 3\.(9|\d\d)/.test(execFileSync(name, ['--version'], { encoding: 'utf8' }));
  } catch {
    return false;
  }
});
if (!python)
  console.log('Python 3.9 or later is not installed, so the Python example of docs/webhooks.md was not run.');

describe('the Python example', () => {
  const harness = `
import sys
for case in json.load(sys.stdin):
    try:
        verify_webhook(case["headers"], case["body"].encode(), case["secret"])
        print(case["name"])
    except ValueError:
        pass
`;

  test.skipIf(!python)('accepts exactly the valid messages', async () => {
    const file = path.join(folder, 'verify.py');
    await writeFile(file, example('python') + harness);
    const run = promisify(execFile)(python as string, [file]);
    run.child.stdin?.end(JSON.stringify(cases));
    const { stdout } = await run;
    const accepted = cases.filter((one) => one.accepted).map(({ name }) => name);
    expect(stdout.trim().split(/\r?\n/)).toEqual(accepted);
  });
});

test('the page lists every event and every error of an attempt', async () => {
  const verdict = await readFile(
    path.resolve(import.meta.dirname, '../../apps/worker/src/webhooks/retry-policy.ts'),
    'utf8',
  );
  const errors = /type AttemptError =(.*?);/s.exec(verdict)?.[1]?.match(/\w+(?=')/g) ?? [];
  expect(errors.length).toBeGreaterThan(5);
  for (const word of [...PREDICTION_EVENTS, ...errors]) expect(doc).toContain(`\`${word}\``);
});
