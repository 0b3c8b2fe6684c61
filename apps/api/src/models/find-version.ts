/** Finds a model and its version by name. Throws the error of a request for an unknown name, or for a version that cannot be served. */
import { ApiError } from '@millrace/shared/errors';
import type { ModelVersion, RegisteredModel } from '@millrace/shared/registry/registry-types';
import { nearNames } from '@millrace/shared/text/near-names';

export const canServe = ({ state }: ModelVersion): boolean => state === 'ready' || state === 'draining';

export function findModel(byName: ReadonlyMap<string, RegisteredModel>, name: string): RegisteredModel {
  const model = byName.get(name);
  if (model) return model;
  const suggestions = nearNames(name, byName.keys());
  throw new ApiError('model_not_found', `There is no model '${name.slice(0, 100)}'.`, { suggestions });
}

export function findVersion(model: RegisteredModel, versionOrAlias: string): ModelVersion {
  const wanted = model.aliases[versionOrAlias] ?? versionOrAlias;
  const version = model.versions.find((candidate) => candidate.version === wanted);
  if (version) return version;
  throw new ApiError(
    'version_not_found',
    `Model '${model.model}' has no version or alias '${versionOrAlias.slice(0, 100)}'.`,
    {
      suggestions: [...Object.keys(model.aliases), ...model.versions.map((candidate) => candidate.version)].slice(
        0,
        10,
      ),
    },
  );
}

/** The version with this name or alias; without a name, the version that serves the model. Throws ApiError. */
export function pickVersion(model: RegisteredModel, versionOrAlias: string | undefined): ModelVersion {
  const wanted = versionOrAlias ?? model.defaultVersion;
  if (wanted === null) {
    const failed = model.versions.find(({ state }) => state === 'failed');
    const why = failed ? ` Version ${failed.version} failed: ${failed.reason}` : '';
    // A version that is loading can become ready. A failed version stays as it is.
    if (failed && !model.versions.some(({ state }) => state === 'loading'))
      throw new ApiError('version_failed', `Model '${model.model}' has no version that is ready.${why}`);
    throw new ApiError('model_unavailable', `Model '${model.model}' has no version that is ready.${why}`, {
      retryAfterS: 2,
    });
  }
  const version = findVersion(model, wanted);
  if (canServe(version)) return version;
  const why = version.reason ? `: ${version.reason}` : '.';
  const detail = `Version ${version.version} of '${model.model}' is ${version.state}${why}`;
  if (version.state !== 'loading') throw new ApiError('version_failed', detail);
  throw new ApiError('model_unavailable', detail, { retryAfterS: 2 });
}
