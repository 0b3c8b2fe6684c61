/** A registered version whose files in the models folder are others: versions never change, so the files are not run. */
import type { ModelVersion } from './registry-types.ts';

const SHOWN = 12;

/** What differs and what to do, in a sentence for the operator; null where nothing differs, or the version serves nobody. */
export function mismatchOf(version: ModelVersion): string | null {
  const { model, version: name, digest, foundDigest, state } = version;
  if (!foundDigest || (state !== 'ready' && state !== 'draining')) return null;
  return (
    `The files of ${model}/${name} in the models folder have the digest ${foundDigest.slice(0, SHOWN)}, and the version was ` +
    `registered with ${digest.slice(0, SHOWN)}: versions never change. Put the registered files back, or give the new files ` +
    'a new version number.'
  );
}
