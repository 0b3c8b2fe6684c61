import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { request } from 'undici';
import { describe, expect, test } from 'vitest';
import { useSmallModels } from '../support/small-models.ts';

const run = promisify(execFile);
const isInstalled = (command: string) =>
  run(command, ['--version']).then(
    () => true,
    () => false,
  );
const [hasCurl, hasPython] = await Promise.all([isInstalled('curl'), isInstalled('python3')]);

const millrace = useSmallModels(['echo']);

/** A client that knows HTTP and two words of Millrace: the client follows the response headers. */
const PYTHON = `
import json, sys, time, urllib.request
base = sys.argv[1]
request = urllib.request.Request(base + '/v1/models/echo/predictions', json.dumps({'input': {'x': [31, 32]}}).encode(),
                                  {'Content-Type': 'application/json'})
response = urllib.request.urlopen(request)
place = response.headers['Location']
while response.headers['Millrace-Prediction-Status'] in ('queued', 'running'):
    time.sleep(min(float(response.headers['Retry-After']), 1))
    response = urllib.request.urlopen(base + place)
print(json.load(response)['output']['y']['data'])
`;

describe('a client that only knows HTTP gets its result:', () => {
  test.skipIf(!hasPython)('Python follows Location and Retry-After', async () => {
    const { stdout } = await run('python3', ['-c', PYTHON, millrace.url]);
    expect(stdout).toMatch(/^\['?31'?, '?32'?\]\n$/);
  });

  test.skipIf(!hasCurl)('curl waits, and reads the events', async () => {
    const url = `${millrace.url}/v1/models/echo/predictions`;
    const json = ['-sS', '-H', 'content-type: application/json', '-d', '{"input":{"x":[33,34]},"metadata":{}}'];
    const { stdout } = await run('curl', [...json, '-H', 'prefer: wait=10', url]);
    const { status, urls } = JSON.parse(stdout) as { status: string; urls: { events: string } };
    expect(status).toBe('succeeded');
    const events = await run('curl', ['-sSN', millrace.url + urls.events]);
    expect(events.stdout).toContain('event: succeeded\n');
  });

  test('undici uses one connection', async () => {
    for (const x of [35, 36, 35]) {
      const { statusCode, body } = await request(`${millrace.url}/v1/models/echo/predictions`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', prefer: 'wait=10' },
        body: JSON.stringify({ input: { x: [x, x] } }),
      });
      const response = (await body.json()) as { status: string };
      expect([statusCode, response.status]).toEqual([200, 'succeeded']);
    }
  });
});
