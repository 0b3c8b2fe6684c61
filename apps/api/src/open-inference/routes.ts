/** The Open Inference Protocol v2 over HTTP: the same cache, flights and queue as /v1, for existing clients of Triton and KServe. */

import { ApiError } from '@millrace/shared/errors';
import { sharedNow } from '@millrace/shared/postgres/clock';
import type { ModelVersion } from '@millrace/shared/registry/registry-types';
import { BytePieces } from '@millrace/shared/tensors/byte-pieces';
import type { FastifyBaseLogger, FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { freeBody, readPieces } from '../http/body-pieces.ts';
import { disconnectSignal } from '../http/client-disconnect.ts';
import { asApiError, logFailed } from '../http/error-handler.ts';
import type { JsonBudget } from '../http/json-members.ts';
import { LONG_TEXT } from '../http/parse-json.ts';
import { member } from '../http/validation.ts';
import type { Catalog } from '../models/catalog.ts';
import type { RunningProviders } from '../models/running-providers.ts';
import type { CreatePrediction } from '../predictions/create-prediction.ts';
import type { Outcome } from '../predictions/outcome.ts';
import { type Bytes, splitBody, whole } from './binary-tensors.ts';
import { tensorMetadata } from './datatypes.ts';
import { messageOf, statusOf, V2Error } from './errors.ts';
import { renderLong } from './long-output.ts';
import {
  HANDLER_INPUT,
  HANDLER_OUTPUT,
  type Infer,
  type InferLimits,
  outputNames,
  parseInfer,
  refuseFiles,
} from './request.ts';
import { type InferReply, renderInfer } from './response.ts';
import * as schemas from './route-schemas.ts';
import { Statistics } from './statistics.ts';

export interface V2Deps {
  /** The methods of a path, as sent. Empty for a path that has no route. */
  methodsOf(target: string): string[];
  log: FastifyBaseLogger;
  catalog: Catalog;
  createPrediction: CreatePrediction;
  /** The execution providers that run the versions now. */
  providers: RunningProviders;
  /** Whether every part that the API needs is available. */
  ready(): Promise<boolean>;
  tenantOf(request: FastifyRequest): string;
  /** Takes a model out of service, or returns the model to service. Resolves to false where nothing changed. */
  setServed(tenant: string, model: string, served: boolean): Promise<boolean>;
  /** Throws ApiError. All texts of one request share a budget. */
  parseJson(text: string, budget?: JsonBudget): unknown;
  /** Parses a body, whose large arrays of numbers become NumberArrays. Throws ApiError. */
  parseBody(bytes: Buffer): unknown;
  /** As `parseBody`, in several turns of the event loop. */
  parseLongBody(bytes: Buffer): Promise<unknown>;
  limits: InferLimits;
  /** The most bytes of JSON, because parsing JSON holds the event loop. Binary tensor data has no such limit. */
  jsonLimit: number;
}

const EXTENSIONS = ['binary_tensor_data', 'model_repository', 'statistics', 'schedule_policy'];

/** From this number of bytes on, the event loop gets a turn between parsing and use. */
const LONG_BODY = 262_144;

type ModelRoute = { Params: { model: string; version?: string } };
type ModelRequest = FastifyRequest<ModelRoute>;

export function registerV2(app: FastifyInstance, deps: V2Deps): void {
  void app.register(async (v2) => routes(v2, deps), { prefix: '/v2' });
}

function routes(app: FastifyInstance, deps: V2Deps): void {
  const statistics = new Statistics();
  registerBodiesAndErrors(app, deps);
  registerServer(app, deps);
  registerModels(app, deps, statistics);
  registerRepository(app, deps);
  registerInfer(app, deps, statistics);
}

const MODEL_PATHS = ['/models/:model', '/models/:model/versions/:version'];

/** Returns the parser of JSON bodies, within the limit of all JSON of a request. */
function bodyParser({ jsonLimit, ...deps }: V2Deps): (json: Buffer) => unknown {
  return (json) => {
    if (json.length <= jsonLimit) return json.length > LONG_TEXT ? deps.parseLongBody(json) : deps.parseBody(json);
    throw new V2Error(413, `the JSON has more than ${jsonLimit} bytes: send tensors of this size as binary data`);
  };
}

/** Returns the parser of the elements of a handler's input, which are JSON texts. */
function elementParser({ jsonLimit, ...deps }: V2Deps): (texts: readonly string[]) => unknown[] {
  return (texts) => {
    const length = texts.reduce((sum, text) => sum + text.length, 0);
    if (length > jsonLimit)
      throw new V2Error(413, `the elements of input '${HANDLER_INPUT}' have more than ${jsonLimit} characters in all`);
    const budget = { items: deps.limits.jsonItems };
    return texts.map((text, at) => {
      try {
        return deps.parseJson(text, budget);
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        const { code, message } = error;
        throw new V2Error(
          statusOf(error),
          `input '${HANDLER_INPUT}': element ${at} ${code === 'invalid_json' ? 'is not JSON: ' : ''}${message}`,
        );
      }
    });
  };
}

function registerBodiesAndErrors(app: FastifyInstance, deps: V2Deps): void {
  app.removeAllContentTypeParsers();
  // Triton's clients send JSON and binary bodies as application/json or application/octet-stream, or without a type.
  app.addContentTypeParser('*', readPieces);
  app.setErrorHandler((error: FastifyError, request, reply) => {
    if (error instanceof V2Error) return reply.code(error.status).send({ error: error.message });
    const known = asApiError(error);
    const status = statusOf(known);
    if (status >= 500) logFailed(deps.log, request, known);
    if (known.retryAfterS !== undefined) reply.header('retry-after', String(known.retryAfterS));
    return reply.code(status).send({ error: messageOf(known) });
  });
  app.setNotFoundHandler((request, reply) => {
    const allowed = deps.methodsOf(request.raw.url ?? '');
    const error = `there is no ${request.method} ${request.url.slice(0, 200)}`;
    if (allowed.length === 0) return reply.code(404).send({ error });
    return reply
      .code(405)
      .header('allow', allowed.join(', '))
      .send({ error: `${error}: the path takes ${allowed.join(' and ')}` });
  });
}

function registerServer(app: FastifyInstance, deps: V2Deps): void {
  app.get('/', { schema: schemas.getServerMetadata }, async () => ({
    name: 'millrace',
    version: '0.1.0',
    extensions: EXTENSIONS,
  }));
  app.get('/health/live', { schema: schemas.getServerLive, config: { public: true } }, async () => ({ live: true }));
  app.get('/health/ready', { schema: schemas.getServerReady, config: { public: true } }, async (_request, reply) => {
    const ready = await deps.ready();
    return reply.code(ready ? 200 : 503).send({ ready });
  });
}

function registerModels(app: FastifyInstance, { catalog, tenantOf, providers }: V2Deps, statistics: Statistics): void {
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

function registerRepository(app: FastifyInstance, deps: V2Deps): void {
  const { catalog, tenantOf } = deps;
  const parseJson = bodyParser(deps);
  app.post('/repository/index', { schema: schemas.indexRepository }, async (request) => {
    const ready = member(await bodyOf(request, parseJson), 'ready');
    const { models } = await catalog.models(tenantOf(request));
    return models.flatMap(({ versions }) =>
      versions
        .filter(({ state }) => ready !== true || state === 'ready')
        .map(({ model, version, state, reason }) => ({
          name: model,
          version,
          state: TRITON_STATE[state],
          reason: reason ?? '',
        })),
    );
  });

  for (const [action, served, schema] of [
    ['load', true, schemas.loadModel],
    ['unload', false, schemas.unloadModel],
  ] as const) {
    app.post<ModelRoute>(`/repository/models/:model/${action}`, { schema }, async (request, reply) => {
      const { model } = request.params;
      const { versions } = await catalog.model(tenantOf(request), model);
      refuseFiles(await bodyOf(request, parseJson));
      if (!(await deps.setServed(tenantOf(request), model, served))) {
        const registered = await catalog.model(tenantOf(request), model);
        const serves = registered.defaultVersion !== null;
        const states = versions.map(
          ({ version, state, reason }) => `${version} is ${state}${reason ? `: ${reason}` : ''}`,
        );
        if (serves !== served)
          throw new V2Error(
            400,
            `failed to ${action} '${model}': no version is in a state that allows this; ${states.join('; ')}`,
          );
      }
      catalog.changed();
      return reply.code(200).send();
    });
  }
}

function registerInfer(app: FastifyInstance, deps: V2Deps, statistics: Statistics): void {
  const { catalog, createPrediction, tenantOf } = deps;
  const parseJson = bodyParser(deps);
  const parseElements = elementParser(deps);
  for (const path of MODEL_PATHS)
    app.post<ModelRoute>(`${path}/infer`, { schema: schemas.schemaOf(path, 'infer', schemas.infer) }, infer);

  async function infer(request: ModelRequest, reply: FastifyReply): Promise<FastifyReply> {
    try {
      return await respond(request, reply);
    } finally {
      // A prediction that goes on has a copy of its rows.
      freeBody(request.body);
    }
  }

  async function respond(request: ModelRequest, reply: FastifyReply): Promise<FastifyReply> {
    const started = performance.now();
    const { model, version } = request.params;
    const tenant = tenantOf(request);
    const serving = await catalog.serving(tenant, model, version);
    const body = bytesOfBody(request) ?? Buffer.alloc(0);
    const { json, rest } = splitBody(body, headerOf(request, 'inference-header-content-length'));
    const parsed = await parseJson(json);
    // The tensors are parsed in their own turn of the event loop.
    if (body.length > LONG_BODY) await new Promise(setImmediate);
    const infer = parseInfer({
      json: parsed,
      rest,
      version: serving.version,
      limits: deps.limits,
      parseElements,
    });
    const outcome = await createPrediction({
      tenant,
      model,
      version: serving.version.version,
      body: infer.body,
      prefer: { waitS: infer.waitS, respondAsync: false },
      cacheControl: { noCache: false, noStore: false, onlyIfCached: false, maxAgeS: null },
      idempotencyKey: undefined,
      signal: disconnectSignal(reply, true),
      trace: request.trace,
      ledgerless: true,
      freeInput: () => freeBody(request.body),
    });
    if (outcome.kind === 'disconnected') {
      reply.raw.destroy();
      return reply;
    }
    const rows = infer.body.inputs?.length ?? 1;
    record(statistics, { tenant, model, version: serving.version.version, rows, started }, outcome);
    return sendInfer(reply, { version: serving.version, infer }, outcome);
  }
}

async function sendInfer(
  reply: FastifyReply,
  { version, infer }: { version: ModelVersion; infer: Infer },
  outcome: Exclude<Outcome, { kind: 'disconnected' }>,
): Promise<FastifyReply> {
  reply.header('cache-status', outcome.cacheStatus);
  if (outcome.kind === 'accepted') throw new V2Error(504, 'the inference did not end within its timeout');
  if (outcome.kind === 'completed' && outcome.record.status !== 'succeeded') {
    const { status, detail }: { status: number; detail: string } = JSON.parse(String(outcome.record.result));
    throw new V2Error(status >= 500 ? status : 500, detail);
  }
  const { body, headerLength } = await rendered(version, infer, outcome);
  if (headerLength === undefined) return reply.header('content-type', 'application/json').send(body);
  return reply
    .header('content-type', 'application/octet-stream')
    .header('inference-header-content-length', String(headerLength))
    .send(body);
}

function rendered(
  version: ModelVersion,
  infer: Infer,
  outcome: Exclude<Outcome, { kind: 'disconnected' | 'accepted' }>,
): InferReply | Promise<InferReply> {
  const isPrediction = outcome.kind === 'cached';
  const text = isPrediction ? outcome.text : outcome.record.result;
  const { model, version: name, handlerDigest } = version;
  const shown = { model, version: name, handlerDigest, outputNames: outputNames(version) };
  if (typeof text !== 'string') {
    const { id, outputs, binary } = infer;
    return renderLong({
      version: shown,
      infer: { id, outputs, binary },
      json: text,
      isPrediction,
    });
  }
  const output: unknown = isPrediction ? JSON.parse(Buffer.from(text, 'latin1').toString()).output : JSON.parse(text);
  return renderInfer(shown, infer, output);
}

function record(
  statistics: Statistics,
  { started, ...request }: { tenant: string; model: string; version: string; rows: number; started: number },
  outcome: Exclude<Outcome, { kind: 'disconnected' }>,
): void {
  const prediction = outcome.kind === 'cached' ? undefined : outcome.record;
  statistics.record({
    ...request,
    ok: prediction === undefined || prediction.status === 'succeeded',
    hit: outcome.cacheStatus.includes('; hit'),
    totalMs: performance.now() - started,
    queueMs: prediction?.startedAt ? prediction.startedAt - prediction.createdAt : 0,
    computeMs: prediction?.inferenceMs ?? 0,
    atMs: sharedNow(),
  });
}

const TRITON_STATE = {
  loading: 'LOADING',
  ready: 'READY',
  failed: 'UNAVAILABLE',
  draining: 'UNLOADING',
  retired: 'UNAVAILABLE',
} as const;

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

const headerOf = (request: FastifyRequest, name: string): string | undefined => {
  const value = request.headers[name];
  return Array.isArray(value) ? value[0] : value;
};

function bodyOf(request: FastifyRequest, parseJson: (json: Buffer) => unknown): unknown {
  const body = bytesOfBody(request);
  return body && body.length > 0 ? parseJson(whole(body)) : undefined;
}

const bytesOfBody = ({ body }: FastifyRequest): Bytes | undefined =>
  Buffer.isBuffer(body) || body instanceof BytePieces ? body : undefined;
