/** The API as one Fastify application. It is given what it needs, opens nothing, and knows no ONNX. */
import type { Config } from '@millrace/shared/config';
import { ApiError } from '@millrace/shared/errors';
import Fastify, { type FastifyBaseLogger, type FastifyInstance, type FastifyRequest, LogController } from 'fastify';
import type { TSchema } from 'typebox';
import { Compile } from 'typebox/compile';
import { Value } from 'typebox/value';
import type { Catalog } from './catalog.ts';
import type { EntityLookup } from './entity-lookup.ts';
import type { Finder } from './finder.ts';
import { parseJson } from './json-body.ts';
import type { Predict } from './predict.ts';
import { registerProblems } from './problems.ts';
import { registerEntities } from './routes/entities.ts';
import { registerModels } from './routes/models.ts';
import { type Checks, registerOperations } from './routes/operations.ts';
import { registerPredictions } from './routes/predictions.ts';
import { faultsOf, summary } from './schema-faults.ts';

export interface AppMeans {
  config: Config;
  log: FastifyBaseLogger;
  catalog: Catalog;
  predict: Predict;
  finder: Finder;
  entities: EntityLookup;
  checks: Checks;
}

export function buildApp(means: AppMeans): FastifyInstance {
  const { config, log } = means;
  const app = Fastify({
    loggerInstance: log,
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: config.bodyLimit,
    requestTimeout: config.requestTimeoutMs,
    connectionTimeout: config.connectionTimeoutMs,
    keepAliveTimeout: 72_000,
    routerOptions: { maxParamLength: 300 },
    genReqId: requestIds(),
    return503OnClosing: true,
    forceCloseConnections: 'idle',
    http: { maxHeaderSize: 16_384 },
  });
  app.server.maxHeadersCount = config.maxHeaders;

  app.removeAllContentTypeParsers();
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (_request, text, done) => {
    try {
      done(null, parseJson(text as string, config.jsonDepth));
    } catch (error) {
      done(error as Error);
    }
  });
  app.addHook('onRequest', async (request) => {
    const encoding = request.headers['content-encoding'];
    if (encoding !== undefined && encoding !== 'identity')
      throw new ApiError(
        'unsupported_media_type',
        `Compressed bodies are not taken; Content-Encoding was '${String(encoding).slice(0, 50)}'.`,
      );
  });
  app.setValidatorCompiler(({ schema, httpPart }) =>
    validator(schema as TSchema, httpPart === 'body' ? '' : `${httpPart ?? ''}`),
  );
  // Answers are rendered by hand or small: no serialiser is compiled from their schemas.
  app.setSerializerCompiler(() => (data) => JSON.stringify(data));
  registerProblems(app);

  const tenantOf = (_request: FastifyRequest) => 'default';
  registerPredictions(app, { ...means, tenantOf, limits: config });
  registerModels(app, { ...means, tenantOf });
  registerEntities(app, { ...means, tenantOf });
  registerOperations(app, means);
  return app;
}

/** Bodies are taken as they are; parameters come as text, and are converted to what their schema asks first. */
function validator(schema: TSchema, part: string): (value: unknown) => { value: unknown } | { error: Error } {
  const compiled = Compile(schema);
  return (given) => {
    const value = part === '' ? given : Value.Convert(schema, given ?? {});
    if (compiled.Check(value)) return { value };
    const faults = faultsOf(schema, value, compiled.Errors(value) as Parameters<typeof faultsOf>[2]);
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
