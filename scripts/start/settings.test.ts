import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { baseUrlOf, startSettings, versionNames } from './settings.ts';

describe('startSettings', () => {
  test('has a default for all, and servers of its own where none is named', () => {
    const asks = { workerModels: [], apiKeysRequired: false };
    const folders = { modelsDir: path.resolve('/somewhere/models'), dir: path.resolve('/somewhere/.millrace') };
    expect(startSettings({}, '/somewhere')).toEqual({ host: '127.0.0.1', port: 8080, ...folders, ...asks });
  });

  test('takes an empty variable for one that is not set, as compose passes them', () => {
    expect(startSettings({ PORT: '', REDIS_URL: '' }, '/somewhere')).toEqual(startSettings({}, '/somewhere'));
  });

  test('refuses what API or worker would refuse', () => {
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

  test('are the versions that have a model, of the models that are asked for', () => {
    mkdirSync(path.join(dir, 'good/1'), { recursive: true });
    writeFileSync(path.join(dir, 'good/1/model.onnx'), '');
    mkdirSync(path.join(dir, 'unfinished/1'), { recursive: true });
    writeFileSync(path.join(dir, 'README.md'), '');
    expect(versionNames(dir)).toEqual(['good/1']);
    expect(versionNames(dir, ['good'])).toEqual(['good/1']);
    expect(versionNames(dir, ['other'])).toEqual([]);
  });

  test('are none where there is no folder', () => {
    expect(versionNames(path.join(dir, 'missing'))).toEqual([]);
  });
});
