import { describe, expect, test } from 'vitest';
import { staleReason } from './install.mjs';

const wanted = {
  '': { version: '0.1.0' },
  'node_modules/a': { version: '1.0.0' },
  'node_modules/a/node_modules/b': { version: '2.0.0' },
  'node_modules/tool': { version: '1.0.0', dev: true },
  'node_modules/native-elsewhere': { version: '1.0.0', optional: true },
};

/** Returns why an installation without the `missing` packages is stale. */
function reasonWithout(missing: string[], dev = true) {
  const installed = Object.entries(wanted).filter(([name]) => name && !missing.includes(name));
  return staleReason(wanted, Object.fromEntries(installed), { dev });
}

describe('an installation', () => {
  test('is fresh without the packages of other platforms', () => {
    expect(reasonWithout([])).toBeUndefined();
    expect(reasonWithout(['node_modules/native-elsewhere'])).toBeUndefined();
  });

  test('is stale when a package is missing, or has another version', () => {
    expect(reasonWithout(['node_modules/a/node_modules/b'])).toBe('b is missing');
    const other = { ...wanted, 'node_modules/a': { version: '1.0.1' } };
    expect(staleReason(wanted, other, { dev: true })).toBe('a is not at 1.0.0');
  });

  test('needs development packages only in development', () => {
    expect(reasonWithout(['node_modules/tool'])).toBe('tool is missing');
    expect(reasonWithout(['node_modules/tool'], false)).toBeUndefined();
  });
});
