/** The routes that read predictions: `GET /v1/predictions/{id}`, with a wait, and `GET /v1/predictions`. */

import { joinTexts, type Text } from '@millrace/shared/predictions/long-text';
import { isTerminal, renderPrediction, renderWithoutOutput } from '@millrace/shared/predictions/prediction';
import { publicId } from '@millrace/shared/predictions/public-ids';
import type { StoredTask } from '@millrace/shared/predictions/task';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { disconnectSignal } from '../http/client-disconnect.ts';
import { matchesEtag } from '../http/etags.ts';
import { limitOf, linkNext } from '../http/list.ts';
import { parsePrefer } from '../http/request-headers.ts';
import type { App } from '../http/type-provider.ts';
import { sendText } from '../http/write-text.ts';
import { type Found, type PredictionLookup, predictionUuid } from './find-prediction.ts';
import type { Item, ListPredictions } from './list-predictions.ts';
import { filtersOf } from './list-query.ts';
import { appliedPreference, etagOf, locationOf, retryAfterOf, STATUS_HEADER } from './response-headers.ts';
import * as routes from './route-schemas.ts';
import { type InputMembers, inputsOfTask } from './stored-input.ts';
import { type RecordedLookup, traceMembers } from './timeline.ts';

export interface ReadRoutes {
  /** The public URL without a final slash; '' for links that are paths. */
  base: string;
  lookup: PredictionLookup;
  list: ListPredictions;
  /** The stored task of a prediction of the tenant. */
  inputOf(id: string): Promise<StoredTask | null>;
  recordedOf: RecordedLookup;
  tenantOf(request: FastifyRequest): string;
}

export function registerReadRoutes(app: App, deps: ReadRoutes): void {
  const { base, lookup, list, inputOf, recordedOf, tenantOf } = deps;
  app.get('/v1/predictions/:id', { schema: routes.getPrediction }, async (request, reply) => {
    const prefer = parsePrefer(request.headers.prefer);
    const waitS = prefer.waitS ?? (prefer.respondAsync ? null : request.query.wait) ?? null;
    const tenant = tenantOf(request);
    let found = await lookup.get(tenant, predictionUuid(request.params.id));
    if (waitS && !isTerminal(found.record.status)) {
      const signal = disconnectSignal(reply, true);
      const awaited = await lookup.waitForEnd({ tenant, record: found.record, waitMs: waitS * 1000, signal });
      found = awaited ?? found;
    }
    const queryWait = prefer.waitS === null && waitS !== null && waitS > 0 ? `wait=${waitS}` : undefined;
    const applied = appliedPreference(prefer) ?? queryWait;
    if (applied !== undefined) reply.header('preference-applied', applied);
    reply.header(STATUS_HEADER, found.record.status).header('cache-control', 'private, no-cache');
    const withInput = request.query.include === 'input';
    const etag = isTerminal(found.record.status) ? etagOf(found.record, withInput ? 'input' : undefined) : undefined;
    // The read of an open prediction succeeded. `Retry-After` states when the next read is useful.
    if (etag === undefined) reply.header('retry-after', retryAfterOf(found.queue));
    // The timeline can still get events after the end, so the ETag is weak.
    else reply.header('etag', `W/${etag}`);
    if (etag !== undefined && matchesEtag(request.headers['if-none-match'], etag)) return reply.code(304).send();
    const members = await traceMembers({ lookup, recordedOf }, tenant, found);
    const body = addMembers(renderPrediction(found.record, base, found.queue), members);
    return sendJson(reply, 200, withInput ? addInput(body, inputsOfTask(await inputOf(found.record.id))) : body);
  });

  app.get('/v1/predictions', { schema: routes.listPredictions }, async (request, reply) => {
    const { query } = request;
    const included = query.include?.split(',') ?? [];
    const include = { output: included.includes('output'), input: included.includes('input') };
    const filters = filtersOf(query);
    const limit = limitOf(query);
    const { items, next } = await list(tenantOf(request), { filters, limit, cursor: query.cursor, include });
    linkNext(request, reply, { next, base });
    // A list has no estimates: the estimate of each queued prediction would cost a look-up of its queue.
    const render = include.output ? renderPrediction : renderWithoutOutput;
    const texts = items.map(({ record, input }: Item): Text => {
      const text: Text = render(record, base);
      return input === undefined ? text : addInput(text, input);
    });
    return sendJson(reply, 200, listText(texts, next));
  });
}

/** Adds the members `input` and `inputs` to the JSON of a prediction. */
function addInput(prediction: Text, { input, inputs }: InputMembers): Text {
  const members = `{"input":${input},"inputs":${inputs},`;
  if (typeof prediction === 'string') return members + prediction.slice(1);
  return joinTexts([members, prediction.slice(1)]);
}

/** Adds members to the end of the JSON of a prediction. */
function addMembers(prediction: Text, members: string): Text {
  const end = `,${members}}`;
  if (typeof prediction === 'string') return prediction.slice(0, -1) + end;
  return joinTexts([prediction.slice(0, prediction.length - 1), end]);
}

/** Sends the prediction of an action: 200 when terminal, otherwise 202 with `Location` and `Retry-After`. */
export function sendFound(reply: FastifyReply, { record, queue }: Found, base: string): FastifyReply {
  reply.header(STATUS_HEADER, record.status);
  if (isTerminal(record.status)) {
    reply.header('etag', etagOf(record));
    return sendJson(reply, 200, renderPrediction(record, base));
  }
  reply.header('location', locationOf(base, publicId('pred', record.id))).header('retry-after', retryAfterOf(queue));
  return sendJson(reply, 202, renderPrediction(record, base, queue));
}

function sendJson(reply: FastifyReply, code: number, body: Text): FastifyReply {
  return sendText(reply.code(code).header('content-type', 'application/json; charset=utf-8'), body);
}

function listText(items: readonly Text[], next: string | null): Text {
  const end = `],"next":${JSON.stringify(next)},"has_more":${next !== null}}`;
  if (items.every((item) => typeof item === 'string')) return `{"data":[${items.join(',')}${end}`;
  const listed = items.flatMap((item, at) => (at === 0 ? [item] : [',', item]));
  return joinTexts(['{"data":[', ...listed, end]);
}
