import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { baseUrlOf, startSettings, versionNames } from './settings.ts';

describe('startSettings', () => {
  test('has a default for every setting, and no server URLs without variables', () => {
    const rest = { workerModels: [], apiKeysRequired: false, watches: false, hasConsole: true };
    const folders = { modelsDir: path.resolve('/somewhere/models'), dir: path.resolve('/somewhere/.millrace') };
    expect(startSettings({}, '/somewhere')).toEqual({ host: '127.0.0.1', port: 8080, ...folders, ...rest });
  });

  test('treats an empty variable as a variable that is not set, because compose passes empty variables', () => {
    expect(startSettings({ PORT: '', REDIS_URL: '' }, '/somewhere')).toEqual(startSettings({}, '/somewhere'));
  });

  test('rejects the settings that API and worker would reject', () => {
    expect(() => startSettings({ PORT: '80a', ENGINES: '-1' }, '/somewhere')).toThrow(/PORT must.*\n.*ENGINES must/);
  });
});

test.each([
  ['127.0.0.1', 'http://127.0.0.1:8080'],
  ['0.0.0.0', 'http://127.0.0.1:8080'],
  ['::', 'http://[::1]:8080'],
  ['here.example', 'http://here.example:8080'],
])('an API that listens on %s is reached at %s', (host, url) => {
  expect(baseUrlOf(host, 8080)).toBe(url);
});

describe('versionNames', () => {
  let dir = '';
  beforeEach(() => {
    dir = mkdtempSync(path.join(tmpdir(), 'millrace-models-'));
  });
  afterEach(() => rmSync(dir, { recursive: true }));

  test('are the versions with a model.onnx, limited to the given models', () => {
    mkdirSync(path.join(dir, 'good/1'), { recursive: true });
    writeFileSync(path.join(dir, 'good/1/model.onnx'), '');
    mkdirSync(path.join(dir, 'unfinished/1'), { recursive: true });
    writeFileSync(path.join(dir, 'README.md'), '');
    expect(versionNames(dir)).toEqual(['good/1']);
    expect(versionNames(dir, ['good'])).toEqual(['good/1']);
    expect(versionNames(dir, ['other'])).toEqual([]);
  });

  test('are empty without a models folder', () => {
    expect(versionNames(path.join(dir, 'missing'))).toEqual([]);
  });
});
