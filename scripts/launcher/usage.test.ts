import { expect, test } from 'vitest';
import { answerInstead } from './usage.mjs';

test.each([
  'scripts/start.ts',
  'apps/api/src/main.ts',
  'apps/worker/src/main.ts',
  'scripts/migrate.ts',
  'scripts/docs.ts',
])('%s runs without arguments alone', (entry) => {
  expect(answerInstead(entry, [])).toBeUndefined();
  expect(answerInstead(entry, ['--help'])).toMatchObject({ isError: false, code: 0 });
  expect(answerInstead(entry, ['-h'])?.text).toMatch(/^usage: npm /);
  const wrong = answerInstead(entry, ['--port', '8081']);
  expect(wrong).toMatchObject({ isError: true, code: 2 });
  expect(wrong?.text).toMatch(/^npm [\w: ]+ takes no arguments, got '--port 8081'\.\nusage: npm /);
});

test('what takes arguments looks at them itself', () => {
  expect(answerInstead('scripts/keys.ts', ['--help'])).toBeUndefined();
});
