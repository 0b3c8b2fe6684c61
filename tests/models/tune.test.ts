import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ROOT_MODELS } from '../support/millrace.ts';
import { perceptron } from '../support/onnx-models.ts';
import { runModels } from '../support/run-models.ts';

let dir = '';
beforeAll(async () => {
  dir = await mkdtemp(path.join(tmpdir(), 'millrace-tune-'));
  for (const version of ['1', '2']) {
    await mkdir(path.join(dir, 'm', version), { recursive: true });
    await writeFile(path.join(dir, 'm', version, 'model.onnx'), perceptron());
  }
  await writeFile(path.join(dir, 'm/model.json'), '{"timeout_ms": 9000, "engine": {"providers": ["cpu"]}}');
  await writeFile(path.join(dir, 'm/1/model.json'), '{"max_batch": 4}');
  await cp(path.join(ROOT_MODELS, 'drug-interaction'), path.join(dir, 'drugs'), { recursive: true });
  await writeFile(path.join(dir, 'input.json'), '{"x": [[1, 2]]}');
  await writeFile(path.join(dir, 'wrong.json'), '{"x": [[1, 2, 3]]}');
});
afterAll(() => rm(dir, { recursive: true, force: true }));

const LONG = { timeout: 180_000 };
const tune = (...args: string[]) => runModels({ dir, args: ['tune', ...args] });
const settings = async (file: string) => JSON.parse(await readFile(path.join(dir, file), 'utf8'));
const withinHour = ['--p99', '3600s', '--seconds', '0.02'];

test('the command prints a table, and --write writes the setting to the file that decides', LONG, async () => {
  const { code, text } = await tune('m', ...withinHour, '--write');
  expect(text).toMatch(/^m\/2 on cpu, \d+ cores\./);
  expect(text).toMatch(/^ +1 +1 +1 +[\d.]+ +[\d.]+ +[\d.]+/m);
  expect(text.match(/ {2}\*$/gm)).toHaveLength(1);
  expect(text).toMatch(
    /^Written to .*m\/model\.json: "max_batch": \d+, "engine": \{ "threads": \d+, "instances": \d+ \}/m,
  );
  expect(code).toBe(0);
  expect(await settings('m/model.json')).toEqual({
    timeout_ms: 9_000,
    max_batch: expect.any(Number),
    engine: { providers: ['cpu'], threads: expect.any(Number), instances: expect.any(Number) },
  });
  await tune('m/1', ...withinHour, '--write', '--input', path.join(dir, 'input.json'));
  expect(await settings('m/1/model.json')).toMatchObject({ engine: { threads: expect.any(Number) } });
  expect((await runModels({ dir, args: ['check', 'm'] })).code).toBe(0);
});

test('a handler is measured with its first example, and --json has every measurement', LONG, async () => {
  const before = await settings('drugs/model.json');
  const { code, text } = await tune('drugs', ...withinHour, '--json');
  const { measured, chosen, written, p99_ms } = JSON.parse(text);
  expect({ code, written, p99_ms }).toEqual({ code: 0, written: null, p99_ms: 3_600_000 });
  expect(measured).toContainEqual(chosen);
  for (const one of measured) {
    expect(one.rows_per_s).toBeGreaterThan(0);
    expect(one.p99_ms).toBeGreaterThanOrEqual(one.p50_ms);
  }
  expect(await settings('drugs/model.json')).toEqual(before);
});

test('a limit that no setting holds changes nothing and fails', LONG, async () => {
  const before = await settings('m/model.json');
  const { code, text } = await tune('m', '--p99', '0.0001ms', '--seconds', '0.02', '--write');
  expect(text).toMatch(/^No setting has a p99 of at most 0\.0001 ms: the least is [\d.]+ ms\.$/m);
  expect(code).toBe(1);
  expect(await settings('m/model.json')).toEqual(before);
});

test.each<[string[], number, RegExp]>([
  [['m'], 2, /^tune needs --p99 with a duration, such as --p99 50ms/],
  [['m', '--p99', 'fast'], 2, /^tune needs --p99/],
  [['m', '--p99', '5ms', '--seconds', '0'], 2, /^--seconds must be a number above 0 and at most 600, and is '0'/],
  [['m', '--p99', '5ms', '--name', 'x'], 2, /^tune takes no --name\./],
  [['none', '--p99', '5ms'], 1, /^There is no none in /],
  [['m', '--p99', '5ms', '--input', 'none.json'], 1, /^none\.json cannot be read \(ENOENT\)/],
])('%j is refused with a sentence', LONG, async (args, expected, message) => {
  const { code, text } = await tune(...args);
  expect(text).toMatch(message);
  expect(code).toBe(expected);
});

test('an input that the model does not take is refused', LONG, async () => {
  const { code, text } = await tune('m', '--p99', '5ms', '--input', path.join(dir, 'wrong.json'));
  expect(text).toMatch(/^m\/2: The input cannot be used: /);
  expect(code).toBe(1);
});
