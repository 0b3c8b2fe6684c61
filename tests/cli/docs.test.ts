/** Runs every example of docs/cli.md in a shell against a real server. */
import { execFile } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createProgram } from '../../packages/millrace/src/program.ts';
import { type Millrace, startMillrace } from '../support/millrace.ts';
import { PROGRAM } from './run-cli.ts';

const run = promisify(execFile);
const FILE = path.resolve(import.meta.dirname, '../../docs/cli.md');
const text = await readFile(FILE, 'utf8');
const examples = [...text.matchAll(/^```sh\n([\s\S]*?)^```$/gm)]
  .flatMap(([, block = '']) => block.split('\n'))
  .filter((line) => line !== '');

let millrace: Millrace;
let dir = '';
let prediction = '';

beforeAll(async () => {
  dir = await mkdtemp(path.join(tmpdir(), 'millrace-docs-'));
  await mkdir(path.join(dir, 'bin'));
  await writeFile(path.join(dir, 'bin/millrace'), `#!/bin/sh\nexec '${process.execPath}' '${PROGRAM}' "$@"\n`);
  await chmod(path.join(dir, 'bin/millrace'), 0o755);
  millrace = await startMillrace({ models: ['drug-interaction'] });
  const input = { drug_a: 'Warfarin', drug_b: 'Fluconazole' };
  prediction = (await millrace.predict('drug-interaction', { input }, { prefer: 'wait=30' })).body.id;
});

afterAll(async () => {
  await millrace?.close();
  await rm(dir, { recursive: true, force: true });
});

test('every example runs', { timeout: 300_000 }, async () => {
  expect(examples.length).toBeGreaterThan(20);
  const { PATH = '', HOME = '' } = process.env;
  const env = { PATH: `${dir}/bin${path.delimiter}${PATH}`, HOME, XDG_CONFIG_HOME: dir, MILLRACE_URL: millrace.url };
  for (const example of examples) {
    const line = example.replaceAll('pred_01a2...', prediction);
    await run('bash', ['-c', line], { cwd: dir, env }).catch((error: { code: number; stderr: string }) => {
      throw new Error(`${line}\nexit code ${error.code}\n${error.stderr}`);
    });
  }
});

test('the page names every command and every option', () => {
  const program = createProgram();
  for (const command of program.commands) {
    expect(text, command.name()).toContain(command.name());
    for (const child of command.commands) expect(text, `${command.name()} ${child.name()}`).toContain(child.name());
    for (const { long } of [command, ...command.commands].flatMap(({ options }) => options))
      expect(text, `${command.name()} ${long}`).toContain(long);
  }
});
