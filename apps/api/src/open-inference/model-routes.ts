/** The routes of models: metadata, readiness and statistics. */
import { ApiError } from '@millrace/shared/errors';
import type { ModelVersion } from '@millrace/shared/registry/registry-types';
import type { FastifyInstance } from 'fastify';
import { tensorMetadata } from './datatypes.ts';
import { MODEL_PATHS, type ModelRequest, type ModelRoute, type V2Deps } from './deps.ts';
import { HANDLER_INPUT, HANDLER_OUTPUT } from './request.ts';
import * as schemas from './route-schemas.ts';
import type { Statistics } from './statistics.ts';
export function registerModels(
  app: FastifyInstance,
  { catalog, tenantOf, providers }: V2Deps,
  statistics: Statistics,
): void {
  const versionOf = async (request: ModelRequest): Promise<ModelVersion> => {
    const { model, version } = request.params;
    const tenant = tenantOf(request);
    if (version !== undefined) return catalog.version(tenant, model, version);
    const registered = await catalog.model(tenant, model);
    const name = registered.defaultVersion ?? registered.versions.at(-1)?.version;
    if (name === undefined) throw new ApiError('version_not_found', `Model '${model}' has no version.`);
    return catalog.version(tenant, model, name);
  };

  for (const path of MODEL_PATHS) {
    const schemaOf = (schema: Parameters<typeof schemas.schemaOf>[2]) => ({
      schema: schemas.schemaOf(path, 'get', schema),
    });
    app.get<ModelRoute>(path, schemaOf(schemas.getModelMetadata), async (request) => {
      const version = await versionOf(request);
      if (version.state === 'failed')
        throw new ApiError(
          'model_unavailable',
          `Version ${version.version} of '${version.model}' failed: ${version.reason}`,
        );
      const { versions } = await catalog.model(tenantOf(request), version.model);
      const running = await providers.current();
      return { ...metadata(version, versions), parameters: { execution_providers: running(version) } };
    });
    app.get<ModelRoute>(`${path}/ready`, schemaOf(schemas.getModelReady), async (request, reply) => {
      const { state, model } = await versionOf(request);
      return reply.code(state === 'ready' ? 200 : 503).send({ name: model, ready: state === 'ready' });
    });
    app.get<ModelRoute>(`${path}/stats`, schemaOf(schemas.getModelStatistics), async (request) => {
      const { model, version } = request.params;
      const { versions } = await catalog.model(tenantOf(request), model);
      const selected = version === undefined ? versions : [await versionOf(request)];
      return { model_stats: selected.map((item) => statistics.of(tenantOf(request), model, item.version)) };
    });
  }

  app.get('/models/stats', { schema: schemas.getStatistics }, async (request) => {
    const tenant = tenantOf(request);
    const { models } = await catalog.models(tenant);
    const all = models.flatMap(({ model, versions }) =>
      versions.map(({ version }) => statistics.of(tenant, model, version)),
    );
    return { model_stats: all };
  });
}

function metadata(version: ModelVersion, versions: readonly ModelVersion[]) {
  const text = (name: string) => [{ name, datatype: 'BYTES', shape: [-1] }];
  const raw = version.handlerDigest === null;
  return {
    name: version.model,
    versions: versions.filter(({ state }) => state === 'ready').map((ready) => ready.version),
    platform: 'onnxruntime_onnx',
    inputs: raw ? version.signature.inputs.map(tensorMetadata) : text(HANDLER_INPUT),
    outputs: raw ? version.signature.outputs.map(tensorMetadata) : text(HANDLER_OUTPUT),
  };
}
