/** The API as one Fastify application. It is given what it needs, opens nothing, and knows no ONNX. */
import { ApiError } from '@millrace/shared/errors';
import type { Config } from '@millrace/shared/process/config';
import Fastify, { type FastifyBaseLogger, type FastifyInstance, type FastifyRequest } from 'fastify';
import type { TSchema } from 'typebox';
import { Compile } from 'typebox/compile';
import { Value } from 'typebox/value';
import type { KnownAnswer } from './cache/cache-lookup.ts';
import type { ParsedRequests } from './cache/parsed-requests.ts';
import type { EntityLookup } from './entities/entity-lookup.ts';
import { registerEntities } from './entities/routes.ts';
import { collectMethods } from './http/allowed-methods.ts';
import { type AuthenticationDeps, registerAuthentication } from './http/authentication.ts';
import { createClientErrorHandler } from './http/client-errors.ts';
import { registerProblems, sendProblem } from './http/error-handler.ts';
import { createHttpServer } from './http/http-server.ts';
import { type JsonLimits, LONG_TEXT, parseJson, parseLongJson } from './http/json-body.ts';
import { registerNosniff } from './http/nosniff.ts';
import { countAnswers, countFailed } from './http/request-counter.ts';
import type { HttpMetrics } from './http/request-metrics.ts';
import { faultsOf, summary } from './http/validation.ts';
import { registerRegistryChanges } from './models/admin-routes.ts';
import type { Catalog } from './models/catalog.ts';
import type { RegistryChanges } from './models/registry-changes.ts';
import { registerModels } from './models/routes.ts';
import { registerV2 } from './open-inference/routes.ts';
import { collectRoutes } from './openapi/document.ts';
import { registerDocuments } from './openapi/routes.ts';
import { type Checks, registerOperations } from './operations/routes.ts';
import { registerPredictionActions } from './predictions/action-routes.ts';
import type { Actions } from './predictions/cancel-retry.ts';
import type { Predict } from './predictions/create-prediction.ts';
import { registerPredictionEvents } from './predictions/event-routes.ts';
import type { Finder } from './predictions/find-prediction.ts';
import type { Listing } from './predictions/list-predictions.ts';
import type { Streams } from './predictions/prediction-watcher.ts';
import { registerPredictions } from './predictions/routes.ts';
import { registerWebhooks, type WebhookRouteDeps } from './webhooks/routes.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** The body as it came; '' where there was none. */
    bodyText: string;
  }
  interface FastifyInstance {
    /** Most bytes of a JSON body. */
    jsonLimit: number;
  }
}

export interface AppDeps {
  config: Config;
  log: FastifyBaseLogger;
  catalog: Catalog;
  predict: Predict;
  knownAnswer: KnownAnswer;
  parsedRequests: ParsedRequests;
  finder: Finder;
  entities: EntityLookup;
  checks: Checks;
  actions: Actions;
  list: Listing;
  streams: Streams;
  changes: RegistryChanges;
  /** The tenant of an API key; undefined for a key that is unknown, revoked or expired. */
  tenantOfKey: AuthenticationDeps['tenantOfKey'];
  webhooks: Omit<WebhookRouteDeps, 'tenantOf' | 'publicUrl'>;
  metrics: HttpMetrics;
  /** Takes a model out of service, or back into it; false where nothing changed. */
  setServed(tenant: string, model: string, served: boolean): Promise<boolean>;
}

export function buildApp(deps: AppDeps): FastifyInstance {
  const { config, log, parsedRequests } = deps;
  const jsonLimits: JsonLimits = {
    depth: config.jsonDepth,
    stringLength: config.maxStringLength,
    members: config.jsonMembers,
    items: config.jsonItems,
  };
  const app = Fastify({
    // Without a logger: with one Fastify listens to the end of every answer, to log the few that fail on their way out.
    bodyLimit: config.bodyLimit,
    serverFactory: (listener) => createHttpServer(listener, config),
    routerOptions: { maxParamLength: 300 },
    genReqId: requestIds(),
    // Who is connected already is answered, with `Connection: close`: a rolling restart fails no request.
    return503OnClosing: false,
    forceCloseConnections: 'idle',
    clientErrorHandler: createClientErrorHandler({ ...config, log }),
    frameworkErrors: (error, request, reply) => void sendProblem(error, request, reply, log),
  });

  app.removeAllContentTypeParsers();
  app.decorateRequest('bodyText', '');
  const bodyLimit = Math.min(config.jsonLimit, config.bodyLimit);
  app.decorate('jsonLimit', bodyLimit);
  app.addContentTypeParser('application/json', { parseAs: 'string', bodyLimit }, (request, text, done) => {
    try {
      request.bodyText = text as string;
      // Many clients send the header always: where no body is asked for, an empty one is none.
      if (text === '' && request.routeOptions.schema?.body === undefined) return done(null, undefined);
      if (request.bodyText.length > LONG_TEXT) {
        // By setImmediate: what `done` throws is no rejection of the parser.
        parseLongJson(request.bodyText, jsonLimits).then(
          (body) => setImmediate(done, null, body),
          (error: Error) => setImmediate(done, error),
        );
        return;
      }
      done(null, parsedRequests.bodyOf(request.bodyText) ?? parseJson(request.bodyText, jsonLimits));
    } catch (error) {
      done(error as Error);
    }
  });
  app.addHook('onRequest', (request, _reply, done) => done(refusalOf(request, config.maxHeaders)));
  app.setValidatorCompiler(({ schema, httpPart }) =>
    validator(schema as TSchema, httpPart === 'body' ? '' : `${httpPart ?? ''}`, parsedRequests),
  );
  // Answers are rendered by hand or small: no serialiser is compiled from their schemas.
  app.setSerializerCompiler(() => (data) => JSON.stringify(data));
  registerNosniff(app);
  const documented = collectRoutes(app);
  registerProblems(app, { log, methodsOf: collectMethods(app), onError: countFailed(deps.metrics) });
  countAnswers(app, deps.metrics);

  const tenantOf = registerAuthentication(app, { required: config.apiKeysRequired, tenantOfKey: deps.tenantOfKey });
  registerPredictions(app, { ...deps, tenantOf, limits: config });
  registerPredictionActions(app, { ...deps, tenantOf });
  registerPredictionEvents(app, { ...deps, tenantOf });
  registerRegistryChanges(app, { ...deps, tenantOf });
  registerModels(app, { ...deps, tenantOf });
  registerEntities(app, { ...deps, tenantOf });
  registerOperations(app, deps);
  registerDocuments(app, documented);
  registerWebhooks(app, { ...deps.webhooks, tenantOf, publicUrl: config.publicUrl });
  registerV2(app, {
    ...deps,
    ready: async () => Object.values(await deps.checks.ready()).every((answer) => answer === 'ok'),
    tenantOf,
    parseJson: (text, budget) => parseJson(text, jsonLimits, budget),
    parseLongJson: (text) => parseLongJson(text, jsonLimits),
    limits: config,
    jsonLimit: bodyLimit,
  });
  return app;
}

function refusalOf({ headers, raw }: FastifyRequest, maxHeaders: number): ApiError | undefined {
  const encoding = headers['content-encoding'];
  if (encoding !== undefined && encoding !== 'identity') {
    const got = String(encoding).slice(0, 50);
    return new ApiError('unsupported_media_type', `Compressed bodies are not taken; Content-Encoding was '${got}'.`, {
      faults: [{ pointer: 'Content-Encoding', message: 'Not taken', expected: 'identity, or nothing', got }],
    });
  }
  // RFC 9112 requires the refusal.
  if (headers.host === undefined && raw.httpVersion === '1.1')
    return new ApiError('invalid_request', 'The request has no Host header. Send one, as HTTP/1.1 requires.', {
      faults: [{ pointer: 'Host', message: 'Missing', expected: 'the host of the URL', got: 'nothing' }],
    });
  if (raw.rawHeaders.length <= 2 * maxHeaders) return undefined;
  return new ApiError('headers_too_large', `A request has at most ${maxHeaders} headers.`, {
    faults: [{ pointer: '', message: 'Too many headers', expected: `at most ${maxHeaders}`, got: 'more' }],
  });
}

/** Bodies are taken as they are; parameters come as text, and are converted to what their schema asks first. */
function validator(
  schema: TSchema,
  part: string,
  parsedRequests: ParsedRequests,
): (value: unknown) => { value: unknown } | { error: Error } {
  const compiled = Compile(schema);
  return (given) => {
    if (part === '' && parsedRequests.met(schema, given)) return { value: given };
    // What is right as it is needs no conversion, which is a walk over the schema.
    if (given !== undefined && compiled.Check(given)) return { value: given };
    const value = part === '' ? given : Value.Convert(schema, given ?? {});
    if (compiled.Check(value)) return { value };
    const faults = faultsOf(schema, value, compiled.Errors(value) as Parameters<typeof faultsOf>[2]);
    // A parameter goes by its name; only a body has pointers.
    if (part !== '') for (const fault of faults) fault.pointer = fault.pointer.replace(/^\//, '');
    else if (given === null && faults[0]) faults[0].got = 'null, or no body';
    return { error: new ApiError('invalid_request', summary(faults), { faults }) };
  };
}

function requestIds(): () => string {
  const process = Math.random().toString(36).slice(2, 8);
  let number = 0;
  return () => {
    number += 1;
    return `${process}-${number.toString(36)}`;
  };
}
