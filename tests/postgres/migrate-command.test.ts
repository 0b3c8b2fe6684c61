import { execFile } from 'node:child_process';
import path from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, inject, test } from 'vitest';
import { asAdmin, urlOfDatabase } from '../services/template.ts';

const program = path.resolve(import.meta.dirname, '../../scripts/migrate.ts');

/** Runs the program of `npm run migrate`. */
async function run(databaseUrl: string) {
  const env = { ...process.env, DATABASE_URL: databaseUrl };
  const { code, stdout, stderr } = await promisify(execFile)(process.execPath, [program], { env }).then(
    (output) => ({ ...output, code: 0 }),
    (error) => error as { code: number; stdout: string; stderr: string },
  );
  return { code, stdout, stderr };
}

describe('npm run migrate', () => {
  test('reports the applied migrations and applies them once', async () => {
    const name = `command_${Math.random().toString(36).slice(2)}`;
    const url = urlOfDatabase(inject('databaseUrl'), name);
    try {
      expect(await run(url)).toMatchObject({ code: 0, stderr: '', stdout: expect.stringContaining('applied 0001_') });
      expect(await run(url)).toMatchObject({ code: 0, stderr: '', stdout: expect.stringMatching(/: up to date\.\n$/) });
    } finally {
      await asAdmin(inject('databaseUrl'), `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
    }
  });

  test('fails with one sentence when no server responds', async () => {
    const { code, stdout, stderr } = await run('postgres://someone:secret@127.0.0.1:1/millrace');
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(
      /^Postgres at postgres:\/\/127\.0\.0\.1:1\/millrace cannot be used \(.+\): check DATABASE_URL\.\n$/,
    );
  });

  test('fails with one sentence for an invalid setting', async () => {
    const { code, stderr } = await run('nonsense');
    expect(code).toBe(1);
    expect(stderr).toContain('DATABASE_URL must be a URL');
    expect(stderr).not.toContain('    at ');
  });
});
