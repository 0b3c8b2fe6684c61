/**
 * Versions never change, the shipped ones included: an installation has registered them, and refuses other content under their
 * names. released.json lists the digests of the versions that the last release shipped; docs/models.md says how to change one.
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

test.each(Object.entries(released.versions))(
  `%s is shipped with the content that ${released.release} shipped`,
  async (name, digest) => {
    const files = shipped.find(({ model, version }) => `${model}/${version}` === name);
    expect(
      files,
      `${name} was released and is gone: predictions wait for it. Keep the version beside the new one`,
    ).toBeDefined();
    const found = files && (await readVersion(files));
    expect(
      found?.digest,
      `The content of ${name} has changed since ${released.release}: an upgrade would leave it unserved. Restore its files, and ship the new content as a new version (docs/models.md, "Change a shipped model")`,
    ).toBe(digest);
  },
);
