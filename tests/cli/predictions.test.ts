/** The commands for predictions against a real server: output and exit code, with and without a terminal. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Millrace, startMillrace } from '../support/millrace.ts';
import { makeModelFolder } from '../support/model-folder.ts';
import { type CliOptions, hasTerminal, runCli, runOnTerminal } from './run-cli.ts';

let millrace: Millrace;
let models: Awaited<ReturnType<typeof makeModelFolder>>;
let home = '';
const env = () => ({ MILLRACE_URL: millrace.url, XDG_CONFIG_HOME: home });
const cli = (args: readonly string[], options: CliOptions = {}) =>
  runCli(args, { ...options, env: { ...env(), ...options.env } });

beforeAll(async () => {
  home = await mkdtemp(path.join(tmpdir(), 'millrace-cli-'));
  models = await makeModelFolder(['rows', 'slow', 'stuck']);
  millrace = await startMillrace({ modelsDir: models.dir, models: ['rows', 'slow', 'stuck'] });
});

afterAll(async () => {
  await millrace?.close();
  await models?.remove();
  await rm(home, { recursive: true, force: true });
});

/** An input of the model `slow` that runs for some seconds. */
const LONG = 'x=[10000000]';

describe('predict', () => {
  test('prints the output of arguments, JSON, a file and standard input', async () => {
    const file = path.join(home, 'input.json');
    await writeFile(file, '{"x": [[3, 1]]}');
    const outputs = await Promise.all([
      cli(['predict', 'rows', 'x=[[3,1]]']),
      cli(['predict', 'rows', '--input', '{"x": [[3, 1]]}']),
      cli(['predict', 'rows', '--input', `@${file}`]),
      cli(['predict', 'rows', '--input', '-'], { input: '{"x": [[3, 1]]}' }),
    ]);
    for (const { code, stdout, stderr } of outputs) {
      expect([code, stderr]).toEqual([0, '']);
      expect(JSON.parse(stdout)).toEqual({ y: { dtype: 'float32', shape: [1, 2], data: [5, 0] } });
    }
  });

  test('--json prints the prediction, and --many an output for each input', async () => {
    const { code, stdout } = await cli([
      'predict',
      'rows',
      '--many',
      '--input',
      '[{"x": [[1, 1]]}, {"x": [[2, 1]]}]',
      '--json',
    ]);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ status: 'succeeded', model: 'rows', outputs: [{}, {}] });
  });

  test('--no-wait prints the accepted prediction; watch, get and list show it', async () => {
    const accepted = await cli([
      'predict',
      'slow',
      'x=[7]',
      '--no-wait',
      '--json',
      '--metadata',
      'run=a',
      '--priority',
      'high',
    ]);
    const { id, priority } = JSON.parse(accepted.stdout);
    expect([accepted.code, priority]).toEqual([0, 'high']);
    const watched = await cli(['watch', id]);
    expect(watched).toMatchObject({ code: 0, stdout: expect.stringMatching(/succeeded\n\{\n/) });
    expect((await cli(['get', id])).stdout).toMatch(new RegExp(`^id +${id}\nstatus +succeeded\nmodel +slow/1\n`));
    const { stdout } = await cli(['list', '--metadata', 'run=a', '--status', 'succeeded', '--json']);
    expect(JSON.parse(stdout)).toMatchObject([{ id }]);
    expect((await cli(['list', '--metadata', 'run=a'])).stdout).toMatch(
      new RegExp(`^ID +MODEL +STATUS +CREATED +TOTAL +CACHE +ERROR\n${id} +slow/1 +succeeded`),
    );
    expect((await cli(['list', '--metadata', 'run=none'])).stdout).toMatch(/^There are no predictions/);
  });

  test('a prediction that fails has exit code 1 and its error, and retry runs the prediction again', async () => {
    const failed = await cli(['predict', 'stuck', LONG]);
    expect(failed).toMatchObject({ code: 1, stdout: '' });
    const id = /pred_[0-9a-f]{32}/.exec(failed.stderr)?.[0] ?? '';
    expect(failed.stderr).toMatch(/ended as failed: /);
    const again = await cli(['retry', id, '--json']);
    expect(again).toMatchObject({ code: 1, stdout: '' });
    expect(JSON.parse(again.stderr)).toMatchObject({ prediction_id: id });
    expect(await cli(['watch', id])).toMatchObject({ code: 1, stdout: expect.stringMatching(/failed\n$/) });
  });
});

describe('a wrong command line has exit code 2', { concurrent: true }, () => {
  test.each([
    [['predict'], /missing required argument 'model'/],
    [['predict', 'rows'], /needs an input/],
    [['predict', 'rows', 'x'], /'x' is not key=value/],
    [['predict', 'rows', 'x=1', '--input', '{}'], /not both/],
    [['predict', 'rows', '--input', '{'], /is not valid JSON/],
    [['predict', 'rows', '--input', '@absent.json'], /absent\.json cannot be read \(ENOENT\)/],
    [['predcit', 'rows'], /unknown command 'predcit'[\s\S]*Did you mean predict/],
    [['cancel'], /cancel needs an id, or a filter such as --model NAME/],
    [['retry', 'x', '--status', 'failed'], /retry takes ids or filters, not both/],
    [['cancel', 'x', '--limit', '3'], /--limit needs a filter/],
    [['list', '--limit', '0'], /'0' is not a whole number from 1/],
    [['list', '--nope'], /unknown option '--nope'/],
    [['get', 'x', '--profile', 'absent'], /There is no profile 'absent'/],
    [['get', 'x', '--url', 'ftp://host'], /is not a URL of a server/],
    [['get', 'x', '--url', 'http://me:secret@host'], /has no user/],
  ])('%j', async (args, message) => {
    const { code, stdout, stderr } = await cli(args);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(message);
    expect(stderr).not.toContain('secret');
  });
});

test.concurrent('a refusal has exit code 1 with faults and suggestions, and as JSON the problem', async () => {
  const wrong = await cli(['predict', 'rwos', 'x=1']);
  expect(wrong).toMatchObject({ code: 1, stderr: expect.stringContaining('Did you mean rows?') });
  const problem = await cli(['predict', 'rows', 'y=1', '--json']);
  expect([problem.code, JSON.parse(problem.stderr).status]).toEqual([1, 422]);
});

test.concurrent('a server that is away has exit code 75', async () => {
  const { code, stderr } = await cli(['get', 'pred_x'], { env: { MILLRACE_URL: 'http://127.0.0.1:1' } });
  expect(code).toBe(75);
  expect(stderr).toMatch(/got no complete response/);
});

describe.runIf(hasTerminal)('on a terminal', () => {
  const terminal = (args: readonly string[], more: Record<string, string> = {}) =>
    runOnTerminal(args, { env: { ...env(), ...more } });

  test('predict shows its progress and removes it before the output', async () => {
    const { code, stdout } = await terminal(['predict', 'rows', 'x=[[8,1]]']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/rows: (sending|queued|running)/);
    expect(stdout).toContain('"data"');
  });

  test('a table has colours, and none with NO_COLOR', async () => {
    const esc = String.fromCharCode(27);
    expect((await terminal(['list', '--limit', '2'])).stdout).toContain(`${esc}[1mID`);
    expect((await terminal(['list', '--limit', '2'], { NO_COLOR: '1' })).stdout).not.toContain(`${esc}[1m`);
    expect((await cli(['list', '--limit', '2'])).stdout).not.toContain(esc);
  });
});

/** The last tests, because a canceled run still keeps the only engine busy until its end. */
describe('while the engine is busy', () => {
  test('cancel ends a prediction, and Ctrl-C ends a command', async () => {
    const { stdout } = await cli(['predict', 'slow', LONG, '--no-wait', '--json']);
    const { id } = JSON.parse(stdout);
    expect(await cli(['cancel', id])).toMatchObject({ code: 0, stdout: `${id} is canceled\n` });
    const second = await cli(['predict', 'slow', 'x=[10000001]', '--no-wait', '--json']);
    const watching = await cli(['watch', JSON.parse(second.stdout).id], {
      onOutput: (_, child) => child.signal('SIGINT'),
    });
    expect(watching.code).toBe(130);
    await cli(['cancel', JSON.parse(second.stdout).id]);
  });

  test('cancel and retry by filter change the predictions of the filter, and print how many', {
    timeout: 180_000,
  }, async () => {
    const submit = (at: number, run: string) =>
      cli(['predict', 'slow', `x=[${20_000_000 + at}]`, '--no-wait', '--json', '--metadata', `run=${run}`]);
    const [kept] = await Promise.all([submit(0, 'kept'), submit(1, 'bulk'), submit(2, 'bulk'), submit(3, 'bulk')]);
    const bulk = ['--metadata', 'run=bulk'];
    expect(await cli(['cancel', ...bulk, '--limit', '1'])).toEqual({
      code: 0,
      stdout: 'canceled 1 of 1 prediction\n',
      stderr: '',
    });
    expect(JSON.parse((await cli(['cancel', ...bulk, '--json'])).stdout)).toEqual({ matched: 2, done: 2 });
    expect((await cli(['cancel', ...bulk])).stdout).toBe('canceled 0 of 0 predictions\n');
    const listed = async (status: string, run: string) =>
      JSON.parse((await cli(['list', '--json', '--status', status, '--metadata', `run=${run}`])).stdout).length;
    await expect.poll(() => listed('canceled', 'bulk')).toBe(3);
    expect(await listed('canceled', 'kept')).toBe(0);
    expect((await cli(['retry', ...bulk])).stdout).toBe('retried 0 of 0 predictions\n');
    const canceled = ['--model', 'slow', '--status', 'canceled', ...bulk];
    expect((await cli(['retry', ...canceled])).stdout).toBe('retried 3 of 3 predictions\n');
    await expect.poll(() => listed('canceled', 'bulk')).toBe(0);
    expect((await cli(['cancel', ...bulk])).stdout).toBe('canceled 3 of 3 predictions\n');
    await cli(['cancel', JSON.parse(kept.stdout).id]);
  });
});
