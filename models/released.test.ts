/**
 * A shipped version never changes: an installation has registered the version, and refuses other content under the same name.
 * released.json has the digests of the last release; docs/models.md describes how to ship new content.
 */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { listVersions, readVersion } from '@millrace/shared/model-files/model-folder';
import { expect, test } from 'vitest';

const released = JSON.parse(readFileSync(path.join(import.meta.dirname, 'released.json'), 'utf8')) as {
  release: string;
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
