import { expect, test } from 'vitest';
import { changelogFaults, fileFaults, hasUnreleased, versionFaults } from './checks.ts';

test('every package has the version of the repository, and needs the others in this version', () => {
  const good = { name: '@millrace/api', version: '1.0.0', dependencies: { '@millrace/shared': '1.0.0', pg: '8.0.0' } };
  expect(versionFaults({ version: '1.0.0' }, [good])).toEqual([]);
  expect(versionFaults({ version: '1.1.0' }, [good])).toEqual([
    '@millrace/api has version 1.0.0, and package.json has 1.1.0.',
    '@millrace/api needs @millrace/shared 1.0.0, and the release is 1.1.0.',
  ]);
});

test('the changelog has a dated section of the version', () => {
  expect(changelogFaults('## [Unreleased]\n\n## [1.0.0] - 2026-01-02\n', '1.0.0')).toEqual([]);
  expect(changelogFaults('## [1.0.0]\n', '1.0.0')).toEqual([expect.stringContaining('needs the date')]);
  expect(changelogFaults('## [1.0.0] - 2026-01-02\n', '1.1.0')).toEqual([expect.stringContaining('no section')]);
});

test('entries under Unreleased belong to no version', () => {
  expect(hasUnreleased('## [Unreleased]\n\n## [1.0.0] - 2026-01-02\n\n- old\n')).toBe(false);
  expect(hasUnreleased('## [Unreleased]\n\n### Added\n\n- new\n\n## [1.0.0] - 2026-01-02\n')).toBe(true);
});

test('a package has its licence and its README, and no sources or tests', () => {
  const packed = (...paths: string[]) => ({
    name: 'p',
    version: '1.0.0',
    folder: '',
    tarball: '',
    files: paths.map((path) => ({ path, size: 1 })),
  });
  const whole = ['package.json', 'README.md', 'LICENSE', 'src/a.js', 'src/a.d.ts', 'launcher/b.d.mts'];
  expect(fileFaults(packed(...whole))).toEqual([]);
  expect(fileFaults(packed(...whole, 'src/a.ts', 'src/a.test.js', '.env'))).toHaveLength(3);
  expect(fileFaults({ ...packed(...whole, 'src/a.ts'), name: '@millrace/console' })).toEqual([]);
  expect(fileFaults(packed('package.json'))).toEqual(['p lacks README.md.', 'p lacks LICENSE.']);
});
