/** The routes that read models and versions. */
import { mismatchOf } from '@millrace/shared/registry/registry-mismatch';
import type { ModelVersion, RegisteredModel } from '@millrace/shared/registry/registry-types';
import type { FastifyRequest } from 'fastify';
import type { App } from '../http/type-provider.ts';
import type { Catalog } from './catalog.ts';
import * as routes from './route-schemas.ts';

export function registerModels(
  app: App,
  { catalog, tenantOf }: { catalog: Catalog; tenantOf(request: FastifyRequest): string },
): void {
  app.get('/v1/models', { schema: routes.listModels }, async (request) => {
    const { models } = await catalog.models(tenantOf(request));
    return { models: models.map(modelJson) };
  });

  app.get('/v1/models/:model', { schema: routes.getModel }, async (request) => {
    const { model } = request.params;
    const registered = await catalog.model(tenantOf(request), model);
    return { ...modelJson(registered), versions: registered.versions.map(versionJson) };
  });

  app.get('/v1/models/:model/versions/:version', { schema: routes.getVersion }, async (request) => {
    const { model, version } = request.params;
    return versionJson(await catalog.version(tenantOf(request), model, version));
  });
}

export function modelJson(model: RegisteredModel) {
  const serving = model.versions.find(({ version }) => version === model.defaultVersion) ?? model.versions.at(-1);
  return {
    name: model.model,
    description: serving?.config.description ?? '',
    default_version: model.defaultVersion,
    aliases: model.aliases,
    problem: (serving && mismatchOf(serving)) ?? null,
    versions: model.versions.map(({ version }) => version),
    urls: { self: `/v1/models/${model.model}`, predictions: `/v1/models/${model.model}/predictions` },
  };
}

export function versionJson(version: ModelVersion) {
  const { config } = version;
  return {
    model: version.model,
    version: version.version,
    state: version.state,
    reason: version.reason ?? mismatchOf(version),
    digest: version.digest,
    description: config.description,
    created_at: new Date(version.createdAt).toISOString(),
    inputs: version.signature.inputs,
    outputs: version.signature.outputs,
    input_schema: version.inputSchema,
    output_schema: version.outputSchema,
    examples: config.examples,
    max_run_rows: config.maxBatch,
    row_independent: config.rowIndependent,
    row_independent_reason: config.findings?.rows.reason ?? null,
    deterministic: config.deterministic ?? null,
    deterministic_reason: config.findings?.answers.reason ?? null,
    timeout_ms: config.timeoutMs,
    priority: config.priority,
    cache: { enabled: config.cache.enabled, ttl_s: config.cache.ttlS, scope: config.cache.scope },
  };
}
