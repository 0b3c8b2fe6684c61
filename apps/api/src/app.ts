/** The API as one Fastify application: the list of its plugins and routes. The caller opens the connections. */
import type { Config } from '@millrace/shared/process/config';
import { verdictOf } from '@millrace/shared/process/readiness';
import type { IdempotentRequests } from '@millrace/shared/tenants/idempotent-requests';
import type { Tracing } from '@millrace/shared/tracing/tracing';
import Fastify, { type FastifyBaseLogger, type FastifyInstance } from 'fastify';
import type { TSchema } from 'typebox';
import { registerConsole, type Sessions } from './console/routes.ts';
import type { EntityLookup } from './entities/entity-lookup.ts';
import { registerEntities } from './entities/routes.ts';
import { type FileRoutes, registerFiles } from './files/routes.ts';
import { logRequests } from './http/access-log.ts';
import { collectMethods } from './http/allowed-methods.ts';
import { type AuthenticationDeps, registerAuthentication } from './http/authentication.ts';
import { limitBodyMemory } from './http/body-memory.ts';
import { registerProblems } from './http/error-handler.ts';
import { registerEtags } from './http/etags.ts';
import { fastifyOptions } from './http/fastify-options.ts';
import { registerGeneralHeaders } from './http/general-headers.ts';
import { registerHeaderLimits } from './http/header-limits.ts';
import { registerIdempotentPosts } from './http/idempotent-posts.ts';
import { jsonLimitsOf, registerJsonBody } from './http/json-body.ts';
import { parseBody, parseJson, parseLongBody } from './http/parse-json.ts';
import { countFailed, countResponses } from './http/request-counter.ts';
import type { HttpMetrics } from './http/request-metrics.ts';
import { traceRequests } from './http/request-trace.ts';
import { compileValidator } from './http/validation.ts';
import { registerRegistryChanges } from './models/admin-routes.ts';
import type { Catalog } from './models/catalog.ts';
import type { RegistryChanges } from './models/registry-changes.ts';
import { type ModelRoutes, registerModels } from './models/routes.ts';
import { registerV2, V2_ERRORS } from './open-inference/routes.ts';
import { OPENAI_ERRORS, registerTextProtocols, TEI_ERRORS } from './openai/routes.ts';
import { registerDocument } from './openapi/document.ts';
import { registerDocuments } from './openapi/routes.ts';
import { type Checks, registerOperations } from './operations/routes.ts';
import { registerService } from './operations/service-routes.ts';
import { registerActionRoutes } from './predictions/action-routes.ts';
import { registerCreateRoutes } from './predictions/create-routes.ts';
import { registerEventRoutes } from './predictions/event-routes.ts';
import type { FormLimits } from './predictions/prediction-form.ts';
import type { PredictionServices } from './predictions/prediction-services.ts';
import { registerReadRoutes } from './predictions/read-routes.ts';
import { metricsOfAll } from './processes/all-metrics.ts';
import { registerStats, type StatsRoutes } from './stats/routes.ts';
import { WEBHOOKS } from './webhooks/event-schemas.ts';
import { registerWebhooks, type WebhookRouteDeps } from './webhooks/routes.ts';

export interface AppDeps extends PredictionServices {
  config: Config;
  log: FastifyBaseLogger;
  /** Undefined where traces are switched off. */
  tracing: Tracing | undefined;
  catalog: Catalog;
  changes: RegistryChanges;
  cardOf: ModelRoutes['cardOf'];
  providers: ModelRoutes['providers'];
  entities: EntityLookup;
  checks: Checks;
  metrics: HttpMetrics;
  idempotentRequests: IdempotentRequests;
  webhooks: Omit<WebhookRouteDeps, 'tenantOf' | 'publicUrl' | 'modelNames'>;
  files: Pick<FileRoutes, 'db' | 'store'>;
  stats: Pick<StatsRoutes, 'db' | 'redis' | 'keys' | 'queues'>;
  /** The tenant of an API key; undefined for a key that is unknown, revoked or expired. */
  tenantOfKey: AuthenticationDeps['tenantOfKey'];
  /** The tenant of a session of the console. */
  tenantOfSession: NonNullable<AuthenticationDeps['tenantOfSession']>;
  sessions: Sessions;
}

/** Registers every plugin and every route. The hooks run in the order of this list. */
export async function buildApp(deps: AppDeps): Promise<FastifyInstance> {
  const { config, log, catalog, parsedRequests } = deps;
  const jsonLimits = jsonLimitsOf(config);
  const jsonLimit = Math.min(config.jsonLimit, config.bodyLimit);
  const app = Fastify(fastifyOptions(config, log, [V2_ERRORS, OPENAI_ERRORS, TEI_ERRORS]));
  registerJsonBody(app, {
    limits: jsonLimits,
    bodyLimit: jsonLimit,
    parsedBefore: (text) => parsedRequests.bodyOf(text),
  });
  registerHeaderLimits(app, config.maxHeaders);
  app.setValidatorCompiler<TSchema>(({ schema, httpPart = 'body' }) =>
    compileValidator(schema, httpPart, parsedRequests),
  );
  // Routes render large responses themselves, and other responses are small: no serializer is compiled from schemas.
  app.setSerializerCompiler(() => (data) => JSON.stringify(data));
  registerGeneralHeaders(app);
  if (deps.tracing) traceRequests(app, deps.tracing);
  await registerDocument(app, WEBHOOKS);
  const methodsOf = collectMethods(app);
  registerProblems(app, { log, methodsOf, onError: countFailed(deps.metrics) });
  countResponses(app, deps.metrics);
  if (config.accessLog) logRequests(app, log);

  const tenantOf = registerAuthentication(app, {
    required: config.apiKeysRequired,
    tenantOfKey: deps.tenantOfKey,
    ...(config.console ? { tenantOfSession: deps.tenantOfSession } : {}),
  });
  registerEtags(app);
  registerIdempotentPosts(app, { requests: deps.idempotentRequests, tenantOf, log });
  limitBodyMemory(app, config.bodyMemoryMb * 1_048_576);
  registerCreateRoutes(app, { ...deps, tenantOf, limits: { ...config, ...formLimitsOf(config) } });
  registerReadRoutes(app, { ...deps, tenantOf });
  registerActionRoutes(app, { ...deps, tenantOf });
  registerEventRoutes(app, { ...deps, tenantOf });
  registerRegistryChanges(app, { ...deps, tenantOf });
  registerModels(app, { ...deps, tenantOf });
  registerEntities(app, { ...deps, tenantOf, versionOf: catalog.version });
  registerFiles(app, { ...deps.files, limits: config, base: deps.base, tenantOf, log });
  registerOperations(app, { ...deps, allMetrics: metricsOfAll(() => deps.metrics.text()) });
  registerService(app, config);
  registerStats(app, { ...deps.stats, base: deps.base, tenantOf });
  registerDocuments(app, config.console);
  if (config.console)
    registerConsole(app, { ...deps, keysRequired: config.apiKeysRequired, traceUrl: config.traceUrl });
  registerWebhooks(app, {
    ...deps.webhooks,
    tenantOf,
    publicUrl: config.publicUrl,
    modelNames: async (tenant) => new Set((await catalog.models(tenant)).models.map(({ model }) => model)),
  });
  registerTextProtocols(app, { ...deps, methodsOf, tenantOf, limits: config });
  registerV2(app, {
    methodsOf,
    ...deps,
    ready: async () => verdictOf({ parts: await deps.checks.ready(), serves: deps.checks.serves }).code === 200,
    tenantOf,
    setServed: deps.changes.setServed,
    parseJson: (text, budget) => parseJson(text, jsonLimits, budget),
    parseBody: (bytes) => parseBody(bytes, jsonLimits),
    parseLongBody: (bytes) => parseLongBody(bytes, jsonLimits),
    limits: config,
    jsonLimit,
  });
  return app;
}

function formLimitsOf(config: Config): FormLimits {
  return {
    fileBytes: config.imageLimit,
    jsonBytes: Math.min(config.jsonLimit, config.bodyLimit),
    stringLength: config.maxStringLength,
    parseJson: (text) => parseJson(text, jsonLimitsOf(config)),
  };
}
