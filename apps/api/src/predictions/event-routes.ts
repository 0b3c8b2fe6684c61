/** `GET /v1/predictions/{id}/events`: the states of a prediction as server-sent events. */
import { isTerminal } from '@millrace/shared/predictions/prediction';
import type { FastifyRequest } from 'fastify';
import { onHalfClose } from '../http/client-disconnect.ts';
import { generalHeaders } from '../http/general-headers.ts';
import type { App } from '../http/type-provider.ts';
import { EventStream, eventIdOf } from './event-stream.ts';
import { type PredictionLookup, predictionUuid } from './find-prediction.ts';
import type { PredictionWatcher } from './prediction-watcher.ts';
import { watchPrediction } from './route-schemas.ts';

/** Proxies close a connection that is silent for a minute, and some proxies after 30 s. */
const HEARTBEAT_MS = 15_000;

export interface EventRoutes {
  /** The public URL without a final slash; '' for links that are paths. */
  base: string;
  lookup: PredictionLookup;
  watcher: PredictionWatcher;
  tenantOf(request: FastifyRequest): string;
  heartbeatMs?: number;
}

export function registerEventRoutes(app: App, deps: EventRoutes): void {
  const { base, lookup, watcher, tenantOf, heartbeatMs = HEARTBEAT_MS } = deps;
  const open = new Set<EventStream>();
  const timer = setInterval(() => {
    for (const stream of [...open]) stream.beat();
  }, heartbeatMs);
  timer.unref();
  // Open streams would keep the server from closing. The clients reconnect, to another process.
  app.addHook('preClose', (done) => {
    clearInterval(timer);
    for (const stream of [...open]) stream.end();
    done();
  });

  app.get('/v1/predictions/:id/events', { schema: watchPrediction, exposeHeadRoute: false }, async (request, reply) => {
    const id = predictionUuid(request.params.id);
    const tenant = tenantOf(request);
    const lastId = String(request.headers['last-event-id'] ?? '');
    const first = await lookup.get(tenant, id);
    // The client already has the last event. An EventSource reconnects forever unless the response is 204.
    if (isTerminal(first.record.status) && lastId === eventIdOf(first.record, undefined)) return reply.code(204).send();
    reply.hijack();
    reply.raw.setHeaders(new Map(Object.entries(generalHeaders(request.id))));
    const stream = new EventStream(reply.raw, lastId, base);
    open.add(stream);
    const stopWatching = watcher.watch(tenant, id, (found) => stream.send(found));
    const forget = () => {
      stopWatching();
      open.delete(stream);
    };
    stream.send(first);
    // The stream can last for hours: a client that ends its side gets the first event, and the stream ends.
    const half = {
      abort: () => {
        forget();
        reply.raw.end();
      },
    };
    const connection = onHalfClose(request.raw.socket, half);
    reply.raw.once('close', () => {
      connection?.delete(half);
      forget();
    });
    return reply;
  });
}
