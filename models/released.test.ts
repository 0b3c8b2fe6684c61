/**
 * A shipped version never changes: an installation has registered the version, and refuses other content under the same name.
 * released.json has the digests of the last release; docs/models.md describes how to ship new content.
 */
import { readFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import path from 'node:path';
import { listVersions } from '@millrace/shared/model-files/model-folder';
import { readVersion } from '@millrace/shared/model-files/read-version';
import { expect, test } from 'vitest';

const released = JSON.parse(readFileSync(path.join(import.meta.dirname, 'released.json'), 'utf8')) as {
  release: string;
  packages: Record<string, string>;
  versions: Record<string, string>;
};
const shipped = (await listVersions(import.meta.dirname)).versions;

test.each(Object.entries(released.versions))(`%s has the content of ${released.release}`, async (name, digest) => {
  const files = shipped.find(({ model, version }) => `${model}/${version}` === name);
  expect(
    files,
    `${name} was released and does not exist: predictions can wait for this version. Keep the version beside the new version`,
  ).toBeDefined();
  const found = files && (await readVersion(files));
  expect(
    found?.digest,
    `The content of ${name} has changed since ${released.release}: an upgrade would leave it unserved. Restore its files, and ship the new content as a new version (docs/models.md, "Change a shipped model")`,
  ).toBe(digest);
});

// The digest of a shipped version leaves out the packages of Millrace, because an installation has only one version of a package.
test.each(Object.entries(released.packages))('%s has the version of the release', (name, version) => {
  const file = path.join(import.meta.dirname, '../node_modules', name, 'package.json');
  const { version: installed } = JSON.parse(readFileSync(file, 'utf8')) as { version: string };
  expect(
    installed,
    `Shipped handlers import ${name}, and another version can give other results: ship their models as new versions, and then write the version into released.json (docs/models.md, "Change a shipped model")`,
  ).toBe(version);
});

test('released.json names the packages that shipped handlers import', () => {
  const handlers = new Set(shipped.flatMap(({ handlerPath }) => (handlerPath === null ? [] : [handlerPath])));
  const imported = [...handlers].flatMap((handler) =>
    [...readFileSync(handler, 'utf8').matchAll(/ from '((?:@[^/']+\/)?[^./'@][^/']*)/g)].map(([, name]) => name!),
  );
  const packages = imported.filter((name) => !name.startsWith('@millrace/') && !isBuiltin(name));
  expect([...new Set(packages)]).toEqual(Object.keys(released.packages));
});
