/** `GET /v1/predictions/{id}/events`: what becomes of a prediction, as server-sent events. */
import type { ServerResponse } from 'node:http';
import { isTerminal } from '@millrace/shared/predictions/prediction';
import type { FastifyRequest } from 'fastify';
import { NOSNIFF } from '../http/nosniff.ts';
import type { App } from '../http/type-provider.ts';
import { writeText } from '../http/write-text.ts';
import { eventIdOf, eventText } from './event-format.ts';
import type { Finder, Found } from './find-prediction.ts';
import type { Streams } from './prediction-watcher.ts';
import { IdParams } from './schemas.ts';

/** Proxies cut a connection that is silent for a minute, some for half of one. */
const HEARTBEAT_MS = 15_000;
/** How soon a client whose connection broke is to come back. */
const RETRY_MS = 1_000;
/** A reader that takes nothing for so many heartbeats has gone. */
const STUCK_HEARTBEATS = 4;

const HEADERS = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-cache, no-transform',
  // nginx would gather events otherwise.
  'x-accel-buffering': 'no',
  ...NOSNIFF,
};

export interface EventRoutes {
  finder: Finder;
  streams: Streams;
  tenantOf(request: FastifyRequest): string;
  heartbeatMs?: number;
}

export function registerPredictionEvents(app: App, deps: EventRoutes): void {
  const { finder, streams, tenantOf, heartbeatMs = HEARTBEAT_MS } = deps;
  const open = new Set<EventStream>();
  const timer = setInterval(() => {
    for (const stream of [...open]) stream.beat();
  }, heartbeatMs);
  timer.unref();
  // They would keep the server from closing; their clients come back, to another process.
  app.addHook('preClose', (done) => {
    clearInterval(timer);
    for (const stream of [...open]) stream.end();
    done();
  });

  app.get(
    '/v1/predictions/:id/events',
    { schema: { params: IdParams }, exposeHeadRoute: false },
    async (request, reply) => {
      const { id } = request.params;
      const tenant = tenantOf(request);
      const lastId = String(request.headers['last-event-id'] ?? '');
      const first = await finder.get(tenant, id);
      // It has had the last event, and would come back for ever: 204 tells an EventSource to stop.
      if (isTerminal(first.record.status) && lastId === eventIdOf(first.record, undefined))
        return reply.code(204).send();
      reply.hijack();
      const stream = new EventStream(reply.raw, lastId);
      open.add(stream);
      const leave = streams.watch(tenant, id, (found) => stream.tell(found));
      reply.raw.once('close', () => {
        leave();
        open.delete(stream);
      });
      stream.tell(first);
      return reply;
    },
  );
}

/** Writes no faster than its reader reads: while that is busy only the newest state is kept. */
class EventStream {
  readonly #raw: ServerResponse;
  #lastId: string;
  #held: Found | undefined;
  #full = false;
  #beatsStuck = 0;

  constructor(raw: ServerResponse, lastId: string) {
    this.#raw = raw;
    this.#lastId = lastId;
    raw.writeHead(200, HEADERS);
    raw.write(`retry: ${RETRY_MS}\n\n`);
    raw.on('drain', () => this.#drained());
  }

  tell(found: Found): void {
    if (this.#raw.writableEnded) return;
    if (this.#full) {
      this.#held = found;
      return;
    }
    const { record, queue } = found;
    const id = eventIdOf(record, queue);
    if (id !== this.#lastId) {
      this.#lastId = id;
      this.#full = !writeText(this.#raw, eventText(id, record, queue));
    }
    if (isTerminal(record.status)) this.end();
  }

  #drained(): void {
    this.#full = false;
    this.#beatsStuck = 0;
    const held = this.#held;
    this.#held = undefined;
    if (held) this.tell(held);
  }

  beat(): void {
    if (!this.#full) {
      this.#full = !this.#raw.write(':\n\n');
      return;
    }
    this.#beatsStuck += 1;
    if (this.#beatsStuck >= STUCK_HEARTBEATS) this.#raw.destroy();
  }

  end(): void {
    this.#raw.end();
  }
}
