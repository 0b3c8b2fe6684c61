/** Finds the handler of a version, or the files of its task, in the models folder of this process. */
import { join } from 'node:path';
import { ApiError } from '@millrace/shared/errors';
import {
  digestHandler,
  isHandlerOf,
  type VerifiedHandler,
  verifyHandler,
} from '@millrace/shared/model-files/handler-file';
import { readTaskFiles } from '@millrace/shared/model-files/task-files';
import type { ModelVersion } from '@millrace/shared/registry/registry-types';
import type { TaskSource } from '../handlers/messages.ts';

/** Finds the files of a task in the models folder of this process. The files must have the digest of the registered files. */
export async function findTaskFiles(version: ModelVersion, modelsDir: string): Promise<TaskSource> {
  const { config, model, version: name, handlerDigest, signature } = version;
  const folder = join(modelsDir, model, config.editOf ?? name);
  const files = config.task === undefined ? undefined : await readTaskFiles(folder, config.task).catch(() => undefined);
  if (files?.digest === handlerDigest && files !== undefined) return { ...files, names: signature };
  throw new ApiError(
    'model_unavailable',
    `This server does not have the files with which version ${name} of model '${model}' was registered: ` +
      `put the registered files (config.json, tokenizer.json and the others) back into the models folder, or give the new files a new version number.`,
    { retryAfterS: 5 },
  );
}

/** Finds the handler in the models folder of this process. The file must have the digest of the registered handler. */
export async function findHandler(version: ModelVersion, modelsDir: string): Promise<VerifiedHandler> {
  const places = [
    join(modelsDir, version.model, version.config.editOf ?? version.version, 'handler.ts'),
    join(modelsDir, version.model, 'handler.ts'),
  ];
  for (const path of places) {
    const digests = await digestHandler(path).catch(() => null);
    if (digests !== null && version.handlerDigest !== null && isHandlerOf(digests, version.handlerDigest))
      return verifyHandler(path, version.handlerDigest);
  }
  throw new ApiError(
    'model_unavailable',
    `This server does not have the handler.ts with which version ${version.version} of model '${version.model}' was registered: ` +
      `put the registered files back into the models folder, or give the new files a new version number.`,
    { retryAfterS: 5 },
  );
}

export function notLoaded({ model, version }: ModelVersion, error: unknown): ApiError {
  const why = error instanceof Error ? error.message : String(error);
  return new ApiError(
    'model_unavailable',
    `The handler of version ${version} of model '${model}' cannot be loaded: ${why.slice(0, 500)}`,
    { retryAfterS: 5, cause: error },
  );
}
