/** Makes the canonicalizer of a version: of its handler or task, or for raw tensors of its signature. */
import type { Entity } from '@millrace/shared/entities/entity';
import { buildEntities } from '@millrace/shared/entities/entity-index';
import { ApiError } from '@millrace/shared/errors';
import { isImageTask } from '@millrace/shared/model-files/task-files';
import type { ModelVersion } from '@millrace/shared/registry/registry-types';
import type { Logger } from 'pino';
import type { HandlerPool, HandlerSource } from '../handlers/handler-pool.ts';
import type { CanonicalFormTimes } from './canonical-form-times.ts';
import type { Canonicalizer, InputResult } from './canonical-input.ts';
import { handlerCanonicalizer } from './handler-canonicalizer.ts';
import { findHandler, findTaskFiles, notLoaded } from './handler-source.ts';
import { NamedInputs } from './named-inputs.ts';
import { tensorCanonicalizer } from './tensor-canonicalizer.ts';

export interface CanonicalizerDeps {
  modelsDir: string;
  /** The entities, without vectors, that the handler of a version reads. */
  entitiesOf(version: ModelVersion): Promise<Record<string, Entity[]>>;
  handlers: HandlerPool;
  images: ImageResolver;
  times: Pick<CanonicalFormTimes, 'took'>;
  log: Logger;
}

export async function createCanonicalizer(version: ModelVersion, deps: CanonicalizerDeps): Promise<Canonicalizer> {
  if (version.handlerDigest === null) return tensorCanonicalizer(version);
  const handler = await (version.config.task === undefined ? findHandler : findTaskFiles)(version, deps.modelsDir);
  const sets = await deps.entitiesOf(version);
  const source: HandlerSource = { key: version.digest, handler, entities: sets };
  await deps.handlers.load(source, version.tenant).catch((error: unknown) => {
    throw error instanceof ApiError ? error : notLoaded(version, error);
  });
  const named = new NamedInputs({
    ...('task' in handler ? {} : { handler }),
    entities: buildEntities(sets),
    sets: Object.keys(sets),
  });
  const canonicalizer = handlerCanonicalizer({ version, source, named, ...deps });
  return 'task' in handler && isImageTask(handler.task) ? withImages(canonicalizer, deps.images) : canonicalizer;
}

/** Replaces the URL or the file of an image by its bytes, before the handler sees the input. */
export interface ImageResolver {
  /** Returns the inputs with data URLs, in their order. An image that cannot be read is the ApiError of its input. */
  resolve(inputs: readonly unknown[], tenant: string): Promise<unknown[]>;
}

function withImages(canonicalizer: Canonicalizer, images: ImageResolver): Canonicalizer {
  return {
    async convert(inputs, caller) {
      const resolved = await images.resolve(inputs, caller.tenant);
      const readable = resolved.filter((input) => !(input instanceof ApiError));
      const converted = (readable.length === 0 ? [] : await canonicalizer.convert(readable, caller)).values();
      return resolved.map((input) => (input instanceof ApiError ? input : (converted.next().value as InputResult)));
    },
    release: () => canonicalizer.release(),
  };
}
