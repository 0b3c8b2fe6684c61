import { readFileSync } from 'node:fs';
import path from 'node:path';
import { loadConfig } from '@millrace/shared/process/config';
import { describe, expect, test } from 'vitest';
import { envExample, GENERATED, withTables } from './tables.ts';

const read = (file: string) => readFileSync(path.resolve(import.meta.dirname, '../..', file), 'utf8');

// When a test below fails, run `npm run docs`.
describe('generated documents', () => {
  test.each(Object.entries(GENERATED))('%s agrees with the code', (file, parts) => {
    expect(read(file)).toBe(withTables(read(file), parts));
  });

  test('.env.example agrees with the code', () => {
    expect(read('.env.example')).toBe(envExample());
  });

  test('.env.example without its comment signs equals the default configuration', () => {
    const lines = envExample().matchAll(/^# ([A-Z_]+)=(.*)$/gm);
    const env = Object.fromEntries([...lines].map(([, name, value]) => [name, value]));
    expect(loadConfig(env)).toEqual(loadConfig({}));
  });
});
