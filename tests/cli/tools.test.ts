/** The commands for models, webhooks, load, types, profiles and completion, and the commands of this machine. */
import { execFile } from 'node:child_process';
import { cp, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { verifyWebhook } from '@millrace/client';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Millrace, startMillrace } from '../support/millrace.ts';
import { makeModelFolder } from '../support/model-folder.ts';
import { type Receiver, startReceiver } from '../support/receiver.ts';
import { type CliOptions, hasTerminal, PROGRAM, runCli, runOnTerminal } from './run-cli.ts';

const run = promisify(execFile);
let millrace: Millrace;
let models: Awaited<ReturnType<typeof makeModelFolder>>;
let receiver: Receiver;
let home = '';

const env = (): Record<string, string> => ({ MILLRACE_URL: millrace.url, XDG_CONFIG_HOME: home });
const cli = (args: readonly string[], options: CliOptions = {}) =>
  runCli(args, { ...options, env: { ...env(), ...options.env } });
const json = async (...args: string[]) => {
  const { code, stdout, stderr } = await cli([...args, '--json']);
  expect([code, stderr]).toEqual([0, '']);
  return JSON.parse(stdout);
};

beforeAll(async () => {
  home = await mkdtemp(path.join(tmpdir(), 'millrace-cli-'));
  models = await makeModelFolder(['rows', 'echo']);
  receiver = await startReceiver();
  const webhooks = { WEBHOOK_ALLOW_HTTP: 'true', WEBHOOK_ALLOWED_NETWORKS: '127.0.0.0/8' };
  millrace = await startMillrace({ modelsDir: models.dir, models: ['rows', 'echo'], env: webhooks });
});

afterAll(async () => {
  await millrace?.close();
  await receiver?.close();
  await models?.remove();
  await rm(home, { recursive: true, force: true });
});

/** These commands change nothing that another command reads. */
const AT_THE_SAME_TIME = { concurrent: true };

test('models: list, promote and rollback', async () => {
  expect((await cli(['models', 'list'])).stdout).toMatch(
    /^MODEL +VERSION +ALIASES +DESCRIPTION\necho +1 +- +Echo\.\nrows +1 /,
  );
  await cp(path.join(models.dir, 'rows/1'), path.join(models.dir, 'rows/2'), { recursive: true });
  await expect.poll(async () => (await millrace.request('/v1/models/rows/versions/2')).body.status).toBe('ready');
  expect(await cli(['models', 'promote', 'rows', '2'])).toMatchObject({ code: 0, stdout: 'rows: production is 2\n' });
  expect(await json('models', 'rollback', 'rows')).toMatchObject({
    default_version: '1',
    aliases: { production: '1' },
  });
  expect(await cli(['models', 'rollback', 'rows'])).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('no ready version before 1'),
  });
  expect(await json('models', 'list', 'rows')).toMatchObject([{ version: '2' }, { version: '1' }]);
  expect(await cli(['models', 'promote', 'rows', '9'])).toMatchObject({ code: 1 });
});

test('webhooks: endpoints, deliveries, redeliver, and listen with a signature that the client verifies', async () => {
  const endpoint = await millrace.request('/v1/webhook-endpoints', { body: { url: `${receiver.url}/200` } });
  expect((await cli(['webhooks', 'endpoints'])).stdout).toContain(endpoint.body.id);
  await millrace.predict('echo', { input: { x: [1, 2] } }, { prefer: 'wait=10' });
  await receiver.until('/200', 1);
  await expect.poll(async () => (await json('webhooks', 'deliveries', '--status', 'delivered')).length).toBe(1);
  const [delivery] = await json('webhooks', 'deliveries');
  expect((await cli(['webhooks', 'deliveries'])).stdout).toMatch(
    new RegExp(`${delivery.id} +delivered +prediction.succeeded +1`),
  );
  expect(await cli(['webhooks', 'redeliver', delivery.id])).toMatchObject({
    code: 0,
    stdout: `${delivery.id} is due again\n`,
  });
  await receiver.until('/200', 2);

  const secret = `whsec_${Buffer.from('a secret of twenty-four b').toString('base64')}`;
  const listened = await cli(['webhooks', 'listen', `${receiver.url}/200/listen`, '--from-start'], {
    env: { MILLRACE_WEBHOOK_SECRET: secret },
    onOutput: (_, child) => child.signal('SIGINT'),
  });
  expect(listened.stdout).toMatch(/prediction\.succeeded {2}pred_[0-9a-f]{32} {2}200\n/);
  const [forwarded] = receiver.at('/200/listen');
  const event = await verifyWebhook({ headers: forwarded!.headers, body: forwarded!.body }, secret);
  expect(event.type).toBe('prediction.succeeded');
});

test('queue prints the load once without a terminal', async () => {
  const { code, stdout, stderr } = await cli(['queue']);
  expect([code, stderr]).toEqual([0, '']);
  expect(stdout).toMatch(/WAITING +OLDEST +RATE/);
  expect(stdout).toMatch(/WORKER +STATUS +MODELS +ENGINES/);
  const load = await json('queue', '--model', 'rows');
  expect(load.workers).toHaveLength(1);
});

test('bench measures each concurrency', async () => {
  const measured = await json('bench', 'rows', 'x=[[1,2]]', '--concurrency', '1,3', '--duration', '1', '--warmup', '0');
  expect(measured).toMatchObject([
    { concurrency: 1, errors: 0 },
    { concurrency: 3, errors: 0 },
  ]);
  for (const { predictions, p50_ms, p99_ms } of measured) {
    expect(predictions).toBeGreaterThan(0);
    expect(p99_ms).toBeGreaterThanOrEqual(p50_ms);
  }
  expect((await cli(['bench', 'rows', 'x=[[1,2]]', '-c', '0'])).code).toBe(2);
});

test('types writes declarations for the client', async () => {
  const file = path.join(home, 'models.d.ts');
  expect(await cli(['types', '--output', file])).toMatchObject({
    code: 0,
    stdout: `${file} has the types of 2 models\n`,
  });
  const text = await readFile(file, 'utf8');
  expect(text).toContain(
    '"rows": {\n      input: { "x": TensorInput };\n      output: { "y": TensorOutput<"float32"> };',
  );
  expect((await cli(['types'])).stdout).toBe(text);
});

describe('profiles', AT_THE_SAME_TIME, () => {
  test('keep a key in a file of the user, and send the key only to the URL of the profile', async () => {
    const own = path.join(home, 'profiles');
    const noUrl = { XDG_CONFIG_HOME: own };
    const profiles = (args: readonly string[], options: CliOptions = {}) =>
      runCli(['profiles', ...args], { env: noUrl, ...options });
    const modelsList = async (...args: string[]) => (await runCli(['models', 'list', ...args], { env: noUrl })).code;
    const key = 'mrk_secret';
    expect(await profiles(['add', 'away', 'http://127.0.0.1:1'], { input: `${key}\n` })).toMatchObject({ code: 0 });
    expect(await profiles(['add', 'here', millrace.url, '--no-key'])).toMatchObject({ code: 0 });
    const listed = await profiles(['list']);
    expect(listed.stdout).toMatch(/away \* +http:\/\/127\.0\.0\.1:1 +yes\nhere /);
    expect(listed.stdout).not.toContain(key);
    expect((await stat(path.join(own, 'millrace/profiles.json'))).mode & 0o077).toBe(0);
    // The commands run at the same time: each repeats its request for ten seconds.
    const codes = [modelsList(), modelsList('--profile', 'away'), modelsList('--profile', 'here')];
    expect(await Promise.all(codes)).toEqual([75, 75, 0]);
    expect((await profiles(['use', 'here'])).code).toBe(0);
    expect(await modelsList()).toBe(0);
    expect((await profiles(['remove', 'away', '--json'])).stdout).toBe('{"name":"away","removed":true}\n');
    expect(await readdir(path.join(own, 'millrace'))).toEqual(['profiles.json']);
    expect((await profiles(['add', '../x', 'http://127.0.0.1:1', '--no-key'])).code).toBe(2);
    expect((await profiles(['use', 'toString'])).code).toBe(2);
    await writeFile(path.join(own, 'millrace/profiles.json'), '{');
    expect(await profiles(['list'])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('is no file of profiles'),
    });
  });
});

describe('completion', AT_THE_SAME_TIME, () => {
  test('of bash completes commands, subcommands and options', async () => {
    const { stdout } = await cli(['completion', 'bash']);
    const completed = async (...words: string[]) => {
      const set = `COMP_WORDS=(${words.map((word) => `'${word}'`).join(' ')}); COMP_CWORD=${words.length - 1}; _millrace; echo "\${COMPREPLY[*]}"`;
      return (await run('bash', ['-c', `${stdout}\n${set}`])).stdout.trim();
    };
    expect(await completed('millrace', 'pre')).toBe('predict');
    expect(await completed('millrace', 'webhooks', 'li')).toBe('listen');
    expect(await completed('millrace', 'models', 'list', '--j')).toBe('--json');
    expect(await completed('millrace', 'list', '--st')).toBe('--status');
  });

  test('of zsh and fish names every command', async () => {
    for (const shell of ['zsh', 'fish']) {
      const { code, stdout } = await cli(['completion', shell]);
      expect([code, stdout.includes('rollback')]).toEqual([0, true]);
    }
    expect((await cli(['completion', 'csh'])).code).toBe(2);
  });
});

describe('on this machine', AT_THE_SAME_TIME, () => {
  const local = (args: readonly string[], more: Record<string, string> = {}) =>
    runCli(args, { cwd: home, env: { ...millrace.env, ...more } });

  test('migrate, keys and models work on the stores and the folder', async () => {
    expect(await local(['migrate', '--json'])).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/"applied":\[\]/),
    });
    expect((await local(['keys', 'create', 'default', '--name', 'test', '--days', '1', '--json'])).stdout).toMatch(
      /^\{"key":"mrk_/,
    );
    expect((await local(['keys', 'list'])).stdout).toContain('default  test');
    const [key] = JSON.parse((await local(['keys', 'list', '--json'])).stdout);
    expect(await local(['keys', 'revoke', key.prefix])).toMatchObject({ code: 0, stderr: '' });
    expect(await local(['models', 'check', 'echo/1', '--json'])).toMatchObject({ code: 0 });
    expect(await local(['models', 'check', 'absent'])).toMatchObject({ code: 1 });
    expect(await local(['models', 'retire', 'echo'])).toMatchObject({ code: 2 });
  });

  test('doctor finds no fault in a healthy system, and names the fix of a fault', async () => {
    const { port } = new URL(millrace.url);
    const healthy = await local(['doctor', '--json'], { PORT: port });
    const failed = JSON.parse(healthy.stdout).filter(({ status }: { status: string }) => status === 'failed');
    expect([healthy.code, failed]).toEqual([0, []]);
    const away = await local(['doctor'], { PORT: port, DATABASE_URL: 'postgres://me:secret@127.0.0.1:1/db' });
    expect(away.code).toBe(1);
    expect(away.stdout).toMatch(/FAILED {3}Postgres .*\n +Start Postgres, or correct DATABASE_URL\./);
    expect(away.stdout).not.toContain('secret');
    expect((await local(['doctor'], { PORT: 'x' })).stdout).toMatch(/FAILED {3}settings [\s\S]*PORT must be/);
  });

  test('init writes a starter folder once, and replaces no file', async () => {
    const folder = path.join(home, 'starter');
    expect(await local(['init', folder])).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('npx millrace serve'),
    });
    expect((await readdir(folder)).sort()).toEqual(
      ['.env', '.gitignore', 'client.mjs', 'docker-compose.yml', 'models', 'package.json'].sort(),
    );
    expect((await stat(path.join(folder, '.env'))).mode & 0o077).toBe(0);
    expect(await local(['init', folder])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('init replaces no file'),
    });
    const checked = await local(['models', 'check'], { MODELS_DIR: path.join(folder, 'models') });
    expect(checked).toMatchObject({ code: 0, stdout: expect.stringContaining('example/1: good') });
  });
});

test.runIf(hasTerminal)('queue is live on a terminal', async () => {
  const { stdout } = await runOnTerminal(['queue', '--interval', '1'], {
    env: env(),
    onOutput: (output, child) => output.split('WAITING').length > 2 && child.signal('SIGTERM'),
  });
  expect(stdout.split(`${String.fromCharCode(27)}[2J`).length).toBeGreaterThan(2);
});

test('the program is executable, and prints its version and its help', async () => {
  expect((await stat(PROGRAM)).mode & 0o111).toBe(0o111);
  expect((await cli(['--version'])).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  const { code, stdout } = await cli(['--help']);
  expect([code, stdout.includes('Servers on this machine:')]).toEqual([0, true]);
  expect((await cli([])).code).toBe(2);
});
