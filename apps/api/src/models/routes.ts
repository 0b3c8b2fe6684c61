/** The routes that read models and versions. */
import { ApiError } from '@millrace/shared/errors';
import { providersOf } from '@millrace/shared/model-files/engine-settings';
import type { ModelCard } from '@millrace/shared/registry/model-cards';
import { mismatchOf } from '@millrace/shared/registry/registry-mismatch';
import type { ModelVersion, RegisteredModel } from '@millrace/shared/registry/registry-types';
import type { FastifyRequest } from 'fastify';
import { linkNext } from '../http/list.ts';
import { memoryPage } from '../http/memory-pages.ts';
import type { App } from '../http/type-provider.ts';
import type { Catalog } from './catalog.ts';
import * as routes from './route-schemas.ts';
import type { ProvidersOf, RunningProviders } from './running-providers.ts';

/** The most names of a filter. */
const NAMES_MAX = 100;

export interface ModelRoutes {
  /** The public URL without a final slash; '' for links that are paths. */
  base: string;
  catalog: Catalog;
  tenantOf(request: FastifyRequest): string;
  /** The execution providers that run the versions now. */
  providers: RunningProviders;
  /** The card of a version. Reads Postgres. */
  cardOf(version: ModelVersion): Promise<ModelCard>;
}

export function registerModels(app: App, { base, catalog, tenantOf, cardOf, providers }: ModelRoutes): void {
  app.get('/v1/models', { schema: routes.listModels }, async (request, reply) => {
    const { q = '', status, name } = request.query;
    const { models } = await catalog.models(tenantOf(request));
    const names = name === undefined ? undefined : namesOf(name);
    const rows = models.filter(
      (model) => (names?.has(model.model) ?? true) && matchesText(model, q.toLowerCase()) && hasVersion(model, status),
    );
    const keyOf = ({ model }: RegisteredModel) => [model];
    const filters = [q, status ?? null, ...(name === undefined ? [] : [name])];
    const list = filters.some((filter) => filter) ? JSON.stringify(['models', ...filters]) : 'models';
    const page = memoryPage({ list, query: request.query, rows, keyOf, order: 'asc' });
    linkNext(request, reply, { next: page.next, base });
    const running = await providers.current();
    return { ...page, data: page.data.map((model) => modelJson(model, running)) };
  });

  app.get('/v1/models/:model', { schema: routes.getModel, config: { etag: true } }, async (request) =>
    modelJson(await catalog.model(tenantOf(request), request.params.model), await providers.current()),
  );

  app.get('/v1/models/:model/versions', { schema: routes.listVersions }, async (request, reply) => {
    const { model } = request.params;
    const { versions } = await catalog.model(tenantOf(request), model);
    const list = JSON.stringify(['versions', model]);
    const keyOf = ({ createdAt, version }: ModelVersion) => [createdAt, version];
    const page = memoryPage({ list, query: request.query, rows: versions, keyOf, order: 'desc' });
    linkNext(request, reply, { next: page.next, base });
    const running = await providers.current();
    return { ...page, data: page.data.map((version) => versionJson(version, running)) };
  });

  app.get(
    '/v1/models/:model/versions/:version',
    { schema: routes.getVersion, config: { etag: true } },
    async (request) => {
      const { model, version } = request.params;
      return versionJson(await catalog.version(tenantOf(request), model, version), await providers.current());
    },
  );

  app.get(
    '/v1/models/:model/versions/:version/card',
    { schema: routes.getCard, config: { etag: true } },
    async (request) => {
      const { model, version } = request.params;
      const found = await catalog.version(tenantOf(request), model, version);
      const { readme, images, figures } = await cardOf(found);
      return { model: found.model, version: found.version, readme, images, figures };
    },
  );
}

export interface AliasState {
  model: string;
  alias: string;
  version: string;
}

export function aliasJson({ model, alias, version }: AliasState) {
  const base = `/v1/models/${model}`;
  return {
    model,
    name: alias,
    version,
    urls: { self: `${base}/aliases/${alias}`, model: base, version: `${base}/versions/${version}` },
  };
}

const servingOf = (model: RegisteredModel): ModelVersion | undefined =>
  model.versions.find(({ version }) => version === model.defaultVersion) ?? model.versions.at(-1);

/** Throws `invalid_request`. */
function namesOf(text: string): Set<string> {
  const names = new Set(text.split(','));
  if (names.size <= NAMES_MAX) return names;
  const expected = `at most ${NAMES_MAX} names, separated by commas`;
  throw new ApiError('invalid_request', `The filter name has ${names.size} names: expected ${expected}.`, {
    faults: [{ in: 'query', pointer: 'name', message: 'There are too many names', expected, got: String(names.size) }],
  });
}

/** `text` is in lower case. */
const matchesText = (model: RegisteredModel, text: string): boolean =>
  text === '' ||
  model.model.includes(text) ||
  (servingOf(model)?.config.description ?? '').toLowerCase().includes(text);

const hasVersion = ({ versions }: RegisteredModel, status: string | undefined): boolean =>
  status === undefined || versions.some(({ state }) => state === status);

export function modelJson(model: RegisteredModel, running: ProvidersOf) {
  const serving = servingOf(model);
  return {
    name: model.model,
    description: serving?.config.description ?? '',
    task: serving?.config.task ?? null,
    default_version: model.defaultVersion,
    aliases: model.aliases,
    problem: (serving && mismatchOf(serving)) ?? null,
    version_counts: versionCounts(model),
    providers: serving === undefined ? [] : running(serving),
    urls: {
      self: `/v1/models/${model.model}`,
      versions: `/v1/models/${model.model}/versions`,
      entities: `/v1/models/${model.model}/entities`,
      predictions: `/v1/models/${model.model}/predictions`,
    },
  };
}

function versionCounts({ versions }: RegisteredModel): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { state } of versions) counts[state] = (counts[state] ?? 0) + 1;
  return counts;
}

export function versionJson(version: ModelVersion, running: ProvidersOf) {
  const { config } = version;
  return {
    model: version.model,
    version: version.version,
    status: version.state,
    reason: version.reason ?? mismatchOf(version),
    digest: version.digest,
    description: config.description,
    task: config.task ?? null,
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
    engine: {
      providers: providersOf(config.engine),
      threads: config.engine?.threads ?? null,
      instances: config.engine?.instances ?? null,
    },
    providers: running(version),
    cache: { enabled: config.cache.enabled, ttl_s: config.cache.ttlS, scope: config.cache.scope },
  };
}
