/** Once an hour a worker names each registered version that the worker does not serve, and the reason. */
import { resolveModelConfig } from '@millrace/shared/model-files/model-config';
import type { FoundVersion } from '@millrace/shared/model-files/read-version';
import type { ModelVersion, VersionState } from '@millrace/shared/registry/registry-types';
import pino from 'pino';
import { expect, test } from 'vitest';
import { UnservedVersions } from './unserved-versions.ts';

const version = (model: string, state: VersionState, reason: string | null = null): ModelVersion => ({
  tenant: 'default',
  model,
  version: '1',
  digest: 'a'.repeat(64),
  state,
  reason,
  signature: { inputs: [], outputs: [] },
  config: resolveModelConfig({}, {}),
  handlerDigest: null,
  inputSchema: null,
  outputSchema: null,
  entitySets: {},
  createdAt: 1,
});

function watched(found: Record<string, string>, folder: readonly string[]) {
  const lines: Record<string, unknown>[] = [];
  const log = pino({ base: null }, { write: (line: string) => void lines.push(JSON.parse(line)) });
  const unserved = new UnservedVersions({
    log,
    found: new Map(Object.entries(found).map(([name, digest]) => [name, { digest } as FoundVersion])),
    inFolder: (name) => folder.includes(name),
    isSought: (name) => name !== 'unsought/1',
    serves: (model) => model !== 'elsewhere',
  });
  return { unserved, lines };
}

const serving = (...names: string[]) => ({
  isRunnable: (name: string) => names.includes(name),
  faultOf: (name: string) => (name === 'gpu/1' ? 'It needs cuda.' : undefined),
});

test('a version in service without its files here has the reason', () => {
  const { unserved, lines } = watched({ 'other/1': 'b'.repeat(64), 'here/1': 'a'.repeat(64) }, []);
  const registered = ['missing', 'other', 'here', 'elsewhere', 'gpu'].map((model) => version(model, 'ready'));
  unserved.update(registered, serving('here/1'));
  expect(unserved.list().map(({ version: { model }, reason }) => [model, reason])).toEqual([
    ['missing', expect.stringContaining('does not have the files of missing/1')],
    ['other', expect.stringContaining('have the digest bbbbbbbbbbbb')],
    ['gpu', 'gpu/1 cannot run here. It needs cuda.'],
  ]);
  expect(lines).toMatchObject([
    { msg: 'version not served here', model: 'missing', version: '1', found: null, reason: expect.any(String) },
    { model: 'other', registered: 'a'.repeat(64), found: 'b'.repeat(64) },
    { model: 'gpu', reason: 'gpu/1 cannot run here. It needs cuda.' },
  ]);
});

test('a version has no missing files before a scan has looked for them', () => {
  const { unserved, lines } = watched({}, []);
  unserved.update([version('unsought', 'ready')], serving());
  expect([unserved.list(), lines]).toEqual([[], []]);
});

test('a failed version is named while its folder is here, and a draining version is not', () => {
  const { unserved } = watched({}, ['broken/1']);
  const registered = [version('broken', 'failed', 'no model'), version('gone', 'failed', 'no model')];
  unserved.update([...registered, version('old', 'draining'), version('new', 'loading')], serving());
  expect(unserved.list().map(({ version: { model }, reason }) => [model, reason])).toEqual([['broken', 'no model']]);
});

test('an unchanged state is logged once, and again after a recovery', () => {
  const { unserved, lines } = watched({}, []);
  const registered = [version('missing', 'ready')];
  unserved.update(registered, serving());
  unserved.update(registered, serving());
  expect(lines).toHaveLength(1);
  unserved.update(registered, serving('missing/1'));
  expect(unserved.list()).toEqual([]);
  unserved.update(registered, serving());
  expect(lines).toHaveLength(2);
});
