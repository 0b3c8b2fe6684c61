/**
 * Describes a mismatch between a registered version and its files in the models folder. Versions never change, so changed files
 * are not run.
 */
import type { ModelVersion } from './registry-types.ts';

const SHOWN = 12;

/** The difference and the next step, for the operator. Null without a difference, and for a version that serves no requests. */
export function mismatchOf(version: ModelVersion): string | null {
  const { model, version: name, digest, foundDigest, state } = version;
  if (!foundDigest || (state !== 'ready' && state !== 'draining')) return null;
  return (
    `The files of ${model}/${name} in the models folder have the digest ${foundDigest.slice(0, SHOWN)}, but the version is ` +
    `registered with the digest ${digest.slice(0, SHOWN)}. Versions never change: restore the registered files, or give the ` +
    'new files a new version number.'
  );
}
