/** The route of an inference: reads the tensors, makes a prediction, and sends the outputs. */
import { sharedNow } from '@millrace/shared/postgres/clock';
import type { ModelVersion } from '@millrace/shared/registry/registry-types';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { freeBody } from '../http/body-pieces.ts';
import { disconnectSignal } from '../http/client-disconnect.ts';
import type { Outcome } from '../predictions/outcome.ts';
import { splitBody } from './binary-tensors.ts';
import { MODEL_PATHS, type ModelRequest, type ModelRoute, type V2Deps } from './deps.ts';
import { V2Error } from './errors.ts';
import { renderLong } from './long-output.ts';
import { bodyParser, bytesOfBody, elementParser } from './read-body.ts';
import { type Infer, outputNames, parseInfer } from './request.ts';
import { type InferReply, renderInfer } from './response.ts';
import * as schemas from './route-schemas.ts';
import type { Statistics } from './statistics.ts';

/** From this number of bytes on, the event loop gets a turn between parsing and use. */
const LONG_BODY = 262_144;

export function registerInfer(app: FastifyInstance, deps: V2Deps, statistics: Statistics): void {
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

const headerOf = (request: FastifyRequest, name: string): string | undefined => {
  const value = request.headers[name];
  return Array.isArray(value) ? value[0] : value;
};
