import { expect, test } from 'vitest';
import { usageFor } from './usage.mjs';

test.each(['apps/api/src/main.ts', 'apps/worker/src/main.ts', 'scripts/migrate.ts', 'scripts/docs.ts'])(
  '%s takes no arguments',
  (entry) => {
    expect(usageFor(entry, [])).toBeUndefined();
    expect(usageFor(entry, ['--help'])).toMatchObject({ isError: false, code: 0 });
    expect(usageFor(entry, ['-h'])?.text).toMatch(/^usage: npm /);
    const wrong = usageFor(entry, ['--port', '8081']);
    expect(wrong).toMatchObject({ isError: true, code: 2 });
    expect(wrong?.text).toMatch(/^npm [\w: ]+ takes no arguments, got '--port 8081'\.\nusage: npm /);
  },
);

test('npm start takes --watch', () => {
  expect(usageFor('scripts/start.ts', [])).toBeUndefined();
  expect(usageFor('scripts/start.ts', ['--watch'])).toBeUndefined();
  expect(usageFor('scripts/start.ts', ['--help'])).toMatchObject({ isError: false, code: 0 });
  expect(usageFor('scripts/start.ts', ['--watch', '--port'])?.text).toMatch(
    /^npm start takes --watch, got '--watch --port'\.\nusage: npm start \[-- --watch\]/,
  );
});

test('an entry that takes arguments checks them itself', () => {
  expect(usageFor('scripts/keys.ts', ['--help'])).toBeUndefined();
});
